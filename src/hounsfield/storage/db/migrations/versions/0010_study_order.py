"""The order of studies beside their UIDs, for studies that are found by words of their names"""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_index("ix_studies_by_study_uid", "studies", ["datastore_id", "study_uid", "updated_at"])
