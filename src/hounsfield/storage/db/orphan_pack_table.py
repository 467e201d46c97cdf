"""Table of packs without references at the last sweep (`hounsfield.imaging.tiering.orphan_packs`)."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, PrimaryKeyConstraint, String, Table

from hounsfield.storage.db.image_set_tables import metadata

orphan_packs = Table(
    "orphan_packs",
    metadata,
    Column("datastore_id", String(32), nullable=False),
    Column("name", String(255), nullable=False),
    Column("first_seen_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("datastore_id", "name"),
)
"""One row for each, with the time of the installation at which a sweep first found it so."""
