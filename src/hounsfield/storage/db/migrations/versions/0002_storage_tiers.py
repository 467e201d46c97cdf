"""Storage tiers: where the packs of an image set are, and the second place"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_FREQUENT = sa.text("storage_tier = 'FREQUENT_ACCESS' AND deleted_at IS NULL")
_MISPLACED = sa.text("placed_tier <> storage_tier AND deleted_at IS NULL")


def upgrade() -> None:
    op.add_column(
        "image_sets",
        sa.Column("placed_tier", sa.String(length=32), server_default="FREQUENT_ACCESS", nullable=False),
    )
    op.create_index(
        "ix_image_sets_frequent",
        "image_sets",
        ["last_accessed_at"],
        unique=False,
        sqlite_where=_FREQUENT,
        postgresql_where=_FREQUENT,
    )
    op.create_index(
        "ix_image_sets_misplaced",
        "image_sets",
        ["storage_tier", "id"],
        unique=False,
        sqlite_where=_MISPLACED,
        postgresql_where=_MISPLACED,
    )
    op.create_table(
        "blob_places",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("marker", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_blob_places")),
    )
