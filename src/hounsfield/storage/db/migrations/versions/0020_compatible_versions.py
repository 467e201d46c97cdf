"""Which earlier versions of Hounsfield may work with the schema"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.add_column("schema_upgrades", sa.Column("compatible_since", sa.String(32), nullable=True))
