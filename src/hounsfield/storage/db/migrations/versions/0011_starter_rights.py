"""What whoever started an import job may do with image sets"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("import_jobs", sa.Column("starter_rights", sa.Text(), nullable=True))
