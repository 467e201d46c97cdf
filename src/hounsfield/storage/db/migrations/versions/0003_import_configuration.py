"""What import jobs are configured with, and what tells that an input file was changed"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("import_jobs", sa.Column("input_owner_account_id", sa.String(length=12), nullable=True))
    op.add_column("import_jobs", sa.Column("metadata_mappings", sa.Text(), nullable=True))
    op.add_column("import_files", sa.Column("etag", sa.Text(), nullable=True))
