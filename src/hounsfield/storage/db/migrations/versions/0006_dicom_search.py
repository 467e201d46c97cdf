"""Tables and columns that DICOMweb searches; a runner fills them from the image sets that are there"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_LAST = str(2**31)
_STUDY_INDEXES = (
    "patient_id",
    "patient_name_key",
    "patient_birth_date",
    "study_id",
    "study_description",
    "study_date",
    "accession_number",
    "referring_physician_key",
)
_IN_CODE_ORDER = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    _add("image_sets", "patient_birth_time", "referring_physician", "series_description", "request_attributes")
    op.add_column("image_sets", sa.Column("series_order", sa.BigInteger(), nullable=False, server_default=_LAST))
    _add("image_sets", "performed_date", "performed_time", "timezone_offset")
    op.add_column("image_sets", sa.Column("index_version", sa.Integer(), nullable=False, server_default="0"))
    _add("instances", "instance_number")
    op.add_column("instances", sa.Column("instance_order", sa.BigInteger(), nullable=False, server_default=_LAST))
    for name in ("pixel_rows", "pixel_columns", "bits_allocated", "number_of_frames", "warning_reason"):
        op.add_column("instances", sa.Column(name, sa.Integer()))
    _add("instances", "performed_date", "performed_time", "timezone_offset")
    _make_studies()
    _make_indexes()


def _add(table: str, *names: str) -> None:
    for name in names:
        op.add_column(table, sa.Column(name, sa.Text(), nullable=False, server_default=""))


def _make_studies() -> None:
    op.create_table(
        "studies",
        sa.Column("datastore_id", sa.String(32), sa.ForeignKey("datastores.id"), nullable=False),
        sa.Column("study_uid", _IN_CODE_ORDER, nullable=False),
        sa.Column("image_set_id", sa.String(32), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("patient_id", _IN_CODE_ORDER, nullable=False),
        sa.Column("patient_name", sa.Text(), nullable=False),
        sa.Column("patient_name_key", _IN_CODE_ORDER, nullable=False),
        sa.Column("patient_birth_date", _IN_CODE_ORDER, nullable=False),
        sa.Column("patient_birth_time", _IN_CODE_ORDER, nullable=False),
        sa.Column("patient_sex", sa.Text(), nullable=False),
        sa.Column("study_id", _IN_CODE_ORDER, nullable=False),
        sa.Column("study_description", _IN_CODE_ORDER, nullable=False),
        sa.Column("study_date", _IN_CODE_ORDER, nullable=False),
        sa.Column("study_time", _IN_CODE_ORDER, nullable=False),
        sa.Column("accession_number", _IN_CODE_ORDER, nullable=False),
        sa.Column("referring_physician", sa.Text(), nullable=False),
        sa.Column("referring_physician_key", _IN_CODE_ORDER, nullable=False),
        sa.Column("timezone_offset", sa.Text(), nullable=False),
        sa.Column("modalities", sa.Text(), nullable=False),
        sa.Column("series_count", sa.Integer(), nullable=False),
        sa.Column("instance_count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("datastore_id", "study_uid"),
    )
    op.create_table(
        "study_words",
        sa.Column("datastore_id", sa.String(32), sa.ForeignKey("datastores.id"), nullable=False),
        sa.Column("field", sa.String(32), nullable=False),
        sa.Column("word", _IN_CODE_ORDER, nullable=False),
        sa.Column("study_uid", _IN_CODE_ORDER, nullable=False),
        sa.PrimaryKeyConstraint("datastore_id", "field", "word", "study_uid"),
    )
    op.create_index("ix_study_words_study", "study_words", ["datastore_id", "study_uid", "field", "word"])
    op.create_index("ix_studies_by_update", "studies", ["datastore_id", "updated_at", "study_uid"])
    for name in _STUDY_INDEXES:
        op.create_index(f"ix_studies_by_{name}", "studies", ["datastore_id", name, "updated_at", "study_uid"])


def _make_indexes() -> None:
    series = ["series_order", "series_uid", "id"]
    for name, columns in (
        ("order", [*series, "study_uid"]),
        ("modality", ["modality", *series, "study_uid"]),
        ("performed_date", ["performed_date", *series, "study_uid"]),
        ("study", ["study_uid", *series]),
    ):
        op.create_index(
            f"ix_series_by_{name}",
            "image_sets",
            ["datastore_id", *columns],
            sqlite_where=sa.text("is_primary = 1 AND deleted_at IS NULL"),
            postgresql_where=sa.text("is_primary AND deleted_at IS NULL"),
        )
    live = sa.text("deleted_at IS NULL")
    op.create_index(
        "ix_image_sets_to_index", "image_sets", ["index_version", "id"], sqlite_where=live, postgresql_where=live
    )
    order = ["instance_order", "sop_uid", "key"]
    for name, columns in (
        ("in_image_set", ["image_set_id", *order]),
        ("by_order", ["datastore_id", *order, "image_set_id"]),
        ("by_sop_class_uid", ["datastore_id", "sop_class_uid", *order, "image_set_id"]),
    ):
        _make_instance_index(name, columns, "last_version IS NULL")
    warned = "last_version IS NULL AND warning_reason IS NOT NULL"
    _make_instance_index("by_warning_reason", ["datastore_id", "warning_reason", *order, "image_set_id"], warned)


def _make_instance_index(name: str, columns: list[str], where: str) -> None:
    op.create_index(
        f"ix_instances_{name}",
        "instances",
        columns,
        sqlite_where=sa.text(where),
        postgresql_where=sa.text(where),
    )
