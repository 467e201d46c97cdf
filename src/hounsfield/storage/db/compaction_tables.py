"""Tables of compaction: the packs that it has to do with, and what it has done (`hounsfield.imaging.tiering.compaction`)."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, String, Table

from hounsfield.storage.db.image_set_tables import metadata

noted_packs = Table(
    "noted_packs",
    metadata,
    Column("pack_id", String(32), primary_key=True),
    Column("datastore_id", String(32), nullable=False),
    Column("image_set_id", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("only_edits", Boolean, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("dead_bytes", BigInteger, nullable=False),
    Column("dead_since", BigInteger),
    Column("noted_at", BigInteger, nullable=False),
    Column("again_at", BigInteger, nullable=False),
    Index("ix_noted_packs_datastore", "datastore_id", "state"),
)
"""Packs that are small or have records to erase, that are being written, and old ones that wait for their grace time.

``image_set_id`` is one of those that lie in it, so that neighbours come together; empty where none is known.
``dead_bytes`` are those of records that no row names, found since ``dead_since``; None where no record is to be erased.
``again_at`` is when a pack that could not be worked on is looked at again. Times are those of the installation.
"""

compactions = Table(
    "compactions",
    metadata,
    Column("datastore_id", String(32), primary_key=True),
    Column("seen_until", BigInteger, nullable=False),
    Column("ran_at", BigInteger, nullable=False),
    Column("packs_rewritten", BigInteger, nullable=False),
    Column("packs_written", BigInteger, nullable=False),
    Column("packs_deleted", BigInteger, nullable=False),
    Column("bytes_taken_in", BigInteger, nullable=False),
    Column("bytes_written", BigInteger, nullable=False),
    Column("bytes_deleted", BigInteger, nullable=False),
)
"""One row for each data store: up to which change of image sets their packs were looked at, and counts since the beginning.

``bytes_taken_in`` are those of small packs that others wrote, ``bytes_written`` those that compaction wrote.
"""
