"""Which version of Hounsfield brought the schema to which revision"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.create_table(
        "schema_upgrades",
        sa.Column("revision", sa.String(32), primary_key=True),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("upgraded_at", sa.BigInteger(), nullable=False),
    )
