"""Storage tiers, pack moves, compaction and orphaned packs."""
