"""Rebuild: the database of an installation made again of its packs, its journal and its master keys.

packs ─▶ PackPlaces: where each record is ────────────┐
journal ─▶ records in their order ─▶ Replay ─▶ rows ──┴─▶ derived rows (indexes, studies, tags, totals, work) ─▶ report
"""
