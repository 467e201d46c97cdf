"""Table of the upgrades of the schema: which version of Hounsfield brought it to which revision, when, and who may use it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, String, Table

from hounsfield.storage.db.image_set_tables import metadata

schema_upgrades = Table(
    "schema_upgrades",
    metadata,
    Column("revision", String(32), primary_key=True),
    Column("version", String(64), nullable=False),
    Column("upgraded_at", BigInteger, nullable=False),
    Column("compatible_since", String(32)),
)
"""Older versions read it to name the one that made what they do not know, so its columns stay as they are."""
