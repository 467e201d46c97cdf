"""Tables of the console: sessions of browsers, and links that sign in once.

Neither holds what signs in: a session and a link are named by the SHA-256 of what the browser has.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, LargeBinary, String, Table, Text

from hounsfield.storage.db.image_set_tables import metadata

console_sessions = Table(
    "console_sessions",
    metadata,
    Column("id_hash", LargeBinary(32), primary_key=True),
    Column("access_key_id", String(128), nullable=False),
    Column("session_token", Text),
    Column("holder_id", String(128), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("address", String(64), nullable=False),
    Column("user_agent", String(256), nullable=False),
    Index("ix_console_sessions_holder_id", "holder_id"),
    Index("ix_console_sessions_expires_at", "expires_at"),
)
"""Sessions of browsers. Whose key it is, is looked up at each request; the token is that of temporary credentials."""

console_links = Table(
    "console_links",
    metadata,
    Column("token_hash", LargeBinary(32), primary_key=True),
    Column("access_key_id", String(128), nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)
"""Links that sign in as the holder of a key; the row is deleted by the first use."""
