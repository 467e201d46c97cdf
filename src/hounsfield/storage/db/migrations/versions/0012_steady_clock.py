"""The time of the installation, which no clock of a machine moves, and packs that a sweep found to be orphans"""

import sqlalchemy as sa
from alembic import op

from hounsfield.storage.clock import now_ms

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    clock = op.create_table(
        "steady_clock",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.bulk_insert(clock, [{"id": 1, "ms": now_ms()}])
    op.add_column("work_items", sa.Column("since", sa.BigInteger(), server_default="0", nullable=False))
    op.execute("UPDATE work_items SET since = available_at")
    op.add_column("import_jobs", sa.Column("ended_steady", sa.BigInteger(), nullable=True))
    op.execute("UPDATE import_jobs SET ended_steady = ended_at")
    op.create_table(
        "orphan_packs",
        sa.Column("datastore_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("first_seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("datastore_id", "name"),
    )
