"""Packs that compaction has to do with, and what it has done"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.create_table(
        "noted_packs",
        sa.Column("pack_id", sa.String(32), primary_key=True),
        sa.Column("datastore_id", sa.String(32), nullable=False),
        sa.Column("image_set_id", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("only_edits", sa.Boolean(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("dead_bytes", sa.BigInteger(), nullable=False),
        sa.Column("dead_since", sa.BigInteger()),
        sa.Column("noted_at", sa.BigInteger(), nullable=False),
        sa.Column("again_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_noted_packs_datastore", "noted_packs", ["datastore_id", "state"])
    op.create_table(
        "compactions",
        sa.Column("datastore_id", sa.String(32), primary_key=True),
        sa.Column("seen_until", sa.BigInteger(), nullable=False),
        sa.Column("ran_at", sa.BigInteger(), nullable=False),
        sa.Column("packs_rewritten", sa.BigInteger(), nullable=False),
        sa.Column("packs_written", sa.BigInteger(), nullable=False),
        sa.Column("packs_deleted", sa.BigInteger(), nullable=False),
        sa.Column("bytes_taken_in", sa.BigInteger(), nullable=False),
        sa.Column("bytes_written", sa.BigInteger(), nullable=False),
        sa.Column("bytes_deleted", sa.BigInteger(), nullable=False),
    )
