"""Table of passes of verification: how far each has come, and what it found (`hounsfield.imaging.verify.passes`)."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, String, Table, Text

from hounsfield.storage.db.image_set_tables import metadata

verification_passes = Table(
    "verification_passes",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("scope", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("began_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("total_bytes", BigInteger, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("position", Text, nullable=False),
    Column("counts", Text, nullable=False),
    Column("findings", Text, nullable=False),
)
"""``scope``, ``position``, ``counts`` and ``findings`` are JSON; ``seconds`` is how long it has worked."""
