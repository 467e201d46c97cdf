"""Tables of data stores and image sets, as SQLAlchemy Core metadata.

    datastores ─┬─▶ image_sets ─▶ image_set_versions
                │        └──────▶ instances ─▶ frame_runs ─▶ (pack, offset, length)
                ├─▶ studies, study_words (`study_tables`)
                └─▶ import_jobs ─▶ import_files (`job_tables`)

Times are integers: milliseconds since 1970-01-01 UTC. Columns called ``sealed_*`` hold bytes encrypted with the data key
of the data store; the plain ``*_uid``, ``patient_*`` and ``study_*`` columns are the search index.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    text,
)

from hounsfield.storage.db.ordering import LAST

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

datastores = Table(
    "datastores",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("account_id", String(12), nullable=False),
    Column("name", String(256), nullable=False),
    Column("status", String(16), nullable=False),
    Column("lossless_format", String(32), nullable=False),
    Column("kms_key_arn", String(512)),
    Column("lambda_authorizer_arn", String(512)),
    Column("wrapped_key", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("ix_datastores_account_created", "account_id", "created_at", "id"),
)

secrets = Table(
    "secrets",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
)

tags = Table(
    "tags",
    metadata,
    Column("resource_arn", String(512), nullable=False),
    Column("tag_key", String(128), nullable=False),
    Column("tag_value", String(256), nullable=False),
    PrimaryKeyConstraint("resource_arn", "tag_key"),
)

image_sets = Table(
    "image_sets",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("datastore_id", String(32), ForeignKey("datastores.id"), nullable=False),
    Column("is_primary", Boolean, nullable=False),
    Column("state", String(16), nullable=False),
    Column("latest_version", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("deleted_at", BigInteger),
    Column("last_accessed_at", BigInteger, nullable=False),
    Column("storage_tier", String(32), nullable=False),
    Column("placed_tier", String(32), nullable=False, server_default="FREQUENT_ACCESS"),
    Column("instance_count", Integer, nullable=False),
    Column("frame_count", Integer, nullable=False, server_default="0"),
    Column("stored_bytes", BigInteger, nullable=False, server_default="0"),
    Column("patient_id", Text, nullable=False),
    Column("patient_name", Text, nullable=False),
    Column("patient_birth_date", Text, nullable=False),
    Column("patient_sex", Text, nullable=False),
    Column("study_uid", Text, nullable=False),
    Column("study_id", Text, nullable=False),
    Column("study_description", Text, nullable=False),
    Column("study_date", Text, nullable=False),
    Column("study_time", Text, nullable=False),
    Column("accession_number", Text, nullable=False),
    Column("series_uid", Text, nullable=False),
    Column("series_number", Text, nullable=False),
    Column("modality", Text, nullable=False),
    Column("body_part", Text, nullable=False),
    Column("patient_birth_time", Text, nullable=False, server_default=""),
    Column("referring_physician", Text, nullable=False, server_default=""),
    Column("series_description", Text, nullable=False, server_default=""),
    Column("request_attributes", Text, nullable=False, server_default=""),
    Column("series_order", BigInteger, nullable=False, server_default=str(LAST)),
    Column("performed_date", Text, nullable=False, server_default=""),
    Column("performed_time", Text, nullable=False, server_default=""),
    Column("timezone_offset", Text, nullable=False, server_default=""),
    Column("index_version", Integer, nullable=False, server_default="0"),
)

"""``frame_count`` and ``stored_bytes`` are those of the instances of the latest version; copies count what they share in full.
``placed_tier`` is the tier whose place the packs of the image set were brought to; empty while that is not certain.

``index_version`` tells which form of the search index the columns have, see `hounsfield.imaging.search.reindex`.
``request_attributes`` is a member of DICOM JSON.
"""

_LIVE = text("deleted_at IS NULL")
IS_FREQUENT = text("storage_tier = 'FREQUENT_ACCESS' AND deleted_at IS NULL")
"""Image sets that may come to be archived. Written out, not as parameters, so that the planner knows its index fits."""
IS_MISPLACED = text("placed_tier <> storage_tier AND deleted_at IS NULL")
"""Image sets whose packs may not be where their tier has its place."""

Index("ix_image_sets_frequent", image_sets.c.last_accessed_at, sqlite_where=IS_FREQUENT, postgresql_where=IS_FREQUENT)
Index(
    "ix_image_sets_misplaced",
    image_sets.c.storage_tier,
    image_sets.c.id,
    sqlite_where=IS_MISPLACED,
    postgresql_where=IS_MISPLACED,
)
Index(
    "uq_image_sets_one_primary_per_series",
    image_sets.c.datastore_id,
    image_sets.c.study_uid,
    image_sets.c.series_uid,
    unique=True,
    sqlite_where=text("is_primary = 1 AND deleted_at IS NULL"),
    postgresql_where=text("is_primary AND deleted_at IS NULL"),
)
_ORDERS = {
    "update": ("updated_at",),
    "creation": ("created_at",),
    "study_date": ("study_date", "study_time"),
}


def _search_index(name: str, *columns: str) -> Index:
    return Index(
        f"ix_image_sets_by_{name}",
        image_sets.c.datastore_id,
        *(image_sets.c[column] for column in columns),
        sqlite_where=_LIVE,
        postgresql_where=_LIVE,
    )


# An order that all image sets share, or nearly all, may have to be walked or sorted over a range of another: such an index
# holds the columns of the other orders too, so that this never asks for the rows.
for _name, _order in _ORDERS.items():
    _others = [column for other in _ORDERS.values() if other != _order for column in other]
    _search_index(_name, *_order, "id", *_others)
    _search_index(f"is_primary_and_{_name}", "is_primary", *_order, "id", *_others)
    for _attribute in ("patient_id", "accession_number", "study_id"):
        _search_index(f"{_attribute}_and_{_name}", _attribute, *_order, "id")
# Of a study or a series there are never so many image sets that they could not be sorted.
_search_index("study_uid", "study_uid", "updated_at", "id")
_search_index("series_uid", "series_uid", "updated_at", "id")

# What DICOMweb searches are primary image sets as series, each attribute in the one order that series have. The indexes hold
# what leads to the level above or below, so that walking them never asks for the rows.
_PRIMARY_ON_SQLITE, _PRIMARY = text("is_primary = 1 AND deleted_at IS NULL"), text("is_primary AND deleted_at IS NULL")
for _attribute in ("", "modality", "performed_date"):
    Index(
        f"ix_series_by_{_attribute or 'order'}",
        image_sets.c.datastore_id,
        *([image_sets.c[_attribute]] if _attribute else []),
        image_sets.c.series_order,
        image_sets.c.series_uid,
        image_sets.c.id,
        image_sets.c.study_uid,
        sqlite_where=_PRIMARY_ON_SQLITE,
        postgresql_where=_PRIMARY,
    )
Index(
    "ix_series_by_study",
    image_sets.c.datastore_id,
    image_sets.c.study_uid,
    image_sets.c.series_order,
    image_sets.c.series_uid,
    image_sets.c.id,
    sqlite_where=_PRIMARY_ON_SQLITE,
    postgresql_where=_PRIMARY,
)
Index("ix_image_sets_to_index", image_sets.c.index_version, image_sets.c.id, sqlite_where=_LIVE, postgresql_where=_LIVE)

image_set_versions = Table(
    "image_set_versions",
    metadata,
    Column("image_set_id", String(32), ForeignKey("image_sets.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("workflow_status", String(48), nullable=False),
    Column("is_primary", Boolean, nullable=False),
    Column("forced", Boolean),
    Column("message", String(2048)),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger),
    Column("sealed_levels", LargeBinary, nullable=False),
    Column("sealed_request", LargeBinary),
    PrimaryKeyConstraint("image_set_id", "version"),
)
"""``sealed_request`` is what the operation that makes a version was asked for, until it has ended."""

instances = Table(
    "instances",
    metadata,
    Column("key", String(24), nullable=False),
    Column("image_set_id", String(32), ForeignKey("image_sets.id"), nullable=False),
    Column("datastore_id", String(32), ForeignKey("datastores.id"), nullable=False),
    Column("sop_uid", Text, nullable=False),
    Column("sop_class_uid", Text, nullable=False),
    Column("first_version", Integer, nullable=False),
    Column("last_version", Integer),
    Column("source_key", String(24), nullable=False),
    Column("stored_transfer_syntax", String(64)),
    Column("pixel_kind", String(16), nullable=False),
    Column("frame_count", Integer, nullable=False),
    Column("fragment_pack_id", String(32), nullable=False),
    Column("fragment_offset", BigInteger, nullable=False),
    Column("fragment_length", BigInteger, nullable=False),
    Column("dataset_pack_id", String(32), nullable=False),
    Column("dataset_offset", BigInteger, nullable=False),
    Column("dataset_length", BigInteger, nullable=False),
    Column("fragment_bytes", BigInteger, nullable=False, server_default="0"),
    Column("pixel_bytes", BigInteger, nullable=False, server_default="0"),
    Column("instance_number", Text, nullable=False, server_default=""),
    Column("instance_order", BigInteger, nullable=False, server_default=str(LAST)),
    Column("pixel_rows", Integer),
    Column("pixel_columns", Integer),
    Column("bits_allocated", Integer),
    Column("number_of_frames", Integer),
    Column("warning_reason", Integer),
    Column("performed_date", Text, nullable=False, server_default=""),
    Column("performed_time", Text, nullable=False, server_default=""),
    Column("timezone_offset", Text, nullable=False, server_default=""),
    PrimaryKeyConstraint("key", "first_version"),
    Index("ix_instances_image_set", "image_set_id", "sop_uid"),
    Index("ix_instances_sop_uid", "datastore_id", "sop_uid"),
)
_COPIED = text("source_key <> key")
Index("ix_instances_copied", instances.c.source_key, sqlite_where=_COPIED, postgresql_where=_COPIED)
"""An instance as it is from ``first_version`` to ``last_version`` (None: until now) of its image set.

One that a later file of its own import job replaced ends before it begins: it is in no version, its row only names its packs.

``key`` is what its frame ids begin with; ``source_key`` the key its records were written under. They differ for copies.
``fragment_length`` is the size of a sealed record, ``fragment_bytes`` that of the JSON in it.
``pixel_bytes`` is the size of all sealed records of its pixel data.
"""

_CURRENT = text("last_version IS NULL")
_ORDER = (instances.c.instance_order, instances.c.sop_uid, instances.c.key, instances.c.image_set_id)
Index(
    "ix_instances_in_image_set",
    instances.c.image_set_id,
    *_ORDER[:-1],
    sqlite_where=_CURRENT,
    postgresql_where=_CURRENT,
)
Index("ix_instances_by_order", instances.c.datastore_id, *_ORDER, sqlite_where=_CURRENT, postgresql_where=_CURRENT)
Index(
    "ix_instances_by_sop_class_uid",
    instances.c.datastore_id,
    instances.c.sop_class_uid,
    *_ORDER,
    sqlite_where=_CURRENT,
    postgresql_where=_CURRENT,
)
_WARNED = "last_version IS NULL AND warning_reason IS NOT NULL"
Index(
    "ix_instances_by_warning_reason",
    instances.c.datastore_id,
    instances.c.warning_reason,
    *_ORDER,
    sqlite_where=text(_WARNED),
    postgresql_where=text(_WARNED),
)

frame_runs = Table(
    "frame_runs",
    metadata,
    Column("source_key", String(24), nullable=False),
    Column("first_ordinal", Integer, nullable=False),
    Column("pack_id", String(32), nullable=False),
    Column("first_offset", BigInteger, nullable=False),
    Column("lengths", LargeBinary, nullable=False),
    PrimaryKeyConstraint("source_key", "first_ordinal"),
)
"""Where the pixel records written under a key are; every copy of an instance reads them through its ``source_key``."""

blob_places = Table(
    "blob_places",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("marker", String(32), nullable=False),
)
"""Second places of packs that were ever used: the blob ``places/<marker>`` is there, so that no other place is taken for it."""
