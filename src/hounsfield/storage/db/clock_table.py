"""Table of the time of the installation (`hounsfield.storage.db.steady_clock`)."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, Table

from hounsfield.storage.db.image_set_tables import metadata

steady_clock = Table(
    "steady_clock",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("ms", BigInteger, nullable=False),
)
