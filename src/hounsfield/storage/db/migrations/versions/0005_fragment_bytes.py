"""Size of the JSON of each instance, of which the size of a metadata document is the sum"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("instances", sa.Column("fragment_bytes", sa.BigInteger(), nullable=False, server_default="0"))
    # What is known of the rows there are: the deflated size, which is less.
    op.execute("UPDATE instances SET fragment_bytes = fragment_length")


def downgrade() -> None:
    op.drop_column("instances", "fragment_bytes")
