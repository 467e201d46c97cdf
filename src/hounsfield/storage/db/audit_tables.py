"""Table of audit anchors.

An index that was cut off, or removed with everything it names, does not show in its folder; it does here.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, LargeBinary, String, Table

from hounsfield.storage.db.image_set_tables import metadata

audit_indexes = Table(
    "audit_indexes",
    metadata,
    Column("first_mac", String(64), primary_key=True),
    Column("host", String(64), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("mac", LargeBinary, nullable=False),
)
"""One row for each audit folder: code of the first entry of its index, and the last entry that is known."""
