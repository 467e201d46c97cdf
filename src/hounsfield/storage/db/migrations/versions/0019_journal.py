"""Journal records that are not yet durable beside the packs"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.create_table(
        "journal_outbox",
        sa.Column(
            "sequence",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            primary_key=True,
            autoincrement=True,
        ),
        sa.Column("content", sa.LargeBinary(), nullable=False),
    )
    connection = op.get_bind()
    if connection.execute(sa.text("SELECT 1 FROM datastores LIMIT 1")).first() is None:
        # Nothing has happened yet: the journal has all there is.
        outbox = sa.table("journal_outbox", sa.column("content", sa.LargeBinary()))
        connection.execute(outbox.insert().values(content=b'\x00{"w":0,"s":0,"c":[["origin"]]}'))
