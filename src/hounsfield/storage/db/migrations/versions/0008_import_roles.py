"""Which role, by its unique id, an import job runs with"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("import_jobs", sa.Column("role_id", sa.String(length=128), nullable=True))
