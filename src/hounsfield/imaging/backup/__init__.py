"""Backup of an installation to a folder or a bucket, and its restore.

database ─▶ one snapshot ─▶ tables, sealed ──────┐
packs that it names ─▶ those that are not there ─┼─▶ place of the backup ─▶ manifest, last
audit trail ─▶ what has grown ───────────────────┘         │
                                                           └─▶ restore ─▶ empty folder, database and place of packs
"""
