"""Table of tags of image sets, in the orders of lists.

    tags, by ARN ─▶ image_set_tags: data store · key · value ─▶ image sets in order of their update, creation, study date
                                                            └─▶ studies in order of their update

The table is made of `tags`, `image_sets` and `studies`, see `hounsfield.imaging.tag_index`.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, PrimaryKeyConstraint, String, Table, Text

from hounsfield.storage.db.image_set_tables import metadata
from hounsfield.storage.db.study_tables import IN_CODE_ORDER

image_set_tags = Table(
    "image_set_tags",
    metadata,
    Column("image_set_id", String(32), ForeignKey("image_sets.id"), nullable=False),
    Column("tag_key", String(128), nullable=False),
    Column("tag_value", String(256), nullable=False),
    Column("datastore_id", String(32), nullable=False),
    Column("study_uid", IN_CODE_ORDER, nullable=False),
    Column("is_primary", Boolean, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("study_date", Text, nullable=False),
    Column("study_time", Text, nullable=False),
    Column("study_updated_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("image_set_id", "tag_key"),
)
"""``tag_key`` is in lower case, as policies know it. ``study_updated_at`` is that of the row of the study, 0 without one."""

TAG_INDEXES = {
    "update": ("updated_at", "image_set_id"),
    "creation": ("created_at", "image_set_id"),
    "study_date": ("study_date", "study_time", "image_set_id"),
    "study": ("is_primary", "study_updated_at", "study_uid"),
}
"""The orders of what has a tag of a value, by the names of their indexes."""
for _name, _columns in TAG_INDEXES.items():
    Index(
        f"ix_image_set_tags_by_{_name}",
        image_set_tags.c.datastore_id,
        image_set_tags.c.tag_key,
        image_set_tags.c.tag_value,
        *(image_set_tags.c[column] for column in _columns),
    )
Index(
    "ix_image_set_tags_of_study",
    *(image_set_tags.c[name] for name in ("datastore_id", "study_uid", "tag_key", "tag_value", "is_primary")),
)
