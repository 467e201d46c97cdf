"""Table of runs of backups: when, whereto, and how each ended (`hounsfield.imaging.backup.runs`)."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, String, Table, Text

from hounsfield.storage.db.image_set_tables import metadata

backup_runs = Table(
    "backup_runs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("target", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("began_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("packs", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("copied_bytes", BigInteger, nullable=False),
    Column("message", Text, nullable=False),
)
"""``packs`` and ``bytes`` are those of the generation, ``copied_bytes`` what the run had to copy of them."""
