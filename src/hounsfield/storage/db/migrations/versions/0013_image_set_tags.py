"""The tags of image sets in the orders of lists, made of the tags there are, and the data stores that ask for each image set"""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

_IN_CODE_ORDER = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_INDEXES = {
    "update": ("updated_at", "image_set_id"),
    "creation": ("created_at", "image_set_id"),
    "study_date": ("study_date", "study_time", "image_set_id"),
    "study": ("is_primary", "study_updated_at", "study_uid"),
}
_REPEATED = ("datastore_id", "study_uid", "is_primary", "updated_at", "created_at", "study_date", "study_time")
_ID_LENGTH = 32
_AT_ONCE = 500


def upgrade() -> None:
    op.create_table(
        "explicit_datastores",
        sa.Column("datastore_id", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("datastore_id", name="pk_explicit_datastores"),
    )
    table = op.create_table(
        "image_set_tags",
        sa.Column("image_set_id", sa.String(32), sa.ForeignKey("image_sets.id"), nullable=False),
        sa.Column("tag_key", sa.String(128), nullable=False),
        sa.Column("tag_value", sa.String(256), nullable=False),
        sa.Column("datastore_id", sa.String(32), nullable=False),
        sa.Column("study_uid", _IN_CODE_ORDER, nullable=False),
        sa.Column("is_primary", sa.Boolean(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("study_date", sa.Text(), nullable=False),
        sa.Column("study_time", sa.Text(), nullable=False),
        sa.Column("study_updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("image_set_id", "tag_key"),
    )
    for name, columns in _INDEXES.items():
        op.create_index(
            f"ix_image_set_tags_by_{name}", "image_set_tags", ["datastore_id", "tag_key", "tag_value", *columns]
        )
    of_study = ["datastore_id", "study_uid", "tag_key", "tag_value", "is_primary"]
    op.create_index("ix_image_set_tags_of_study", "image_set_tags", of_study)
    _fill(op.get_bind(), table)


def _fill(connection: sa.Connection, table: sa.Table) -> None:
    names = ("resource_arn", "tag_key", "tag_value")
    tags = sa.table("tags", *(sa.column(name) for name in names))
    query = sa.select(tags).where(tags.c.resource_arn.like("%/imageset/%")).order_by(tags.c.resource_arn)
    by_arn = groupby(connection.execute(query).all(), lambda row: row.resource_arn)
    tagged = [(arn[-_ID_LENGTH:], {row.tag_key: row.tag_value for row in rows}) for arn, rows in by_arn]
    for start in range(0, len(tagged), _AT_ONCE):
        some = dict(tagged[start : start + _AT_ONCE])
        rows = [row for repeated in _image_sets(connection, list(some)) for row in _rows(repeated, some)]
        if rows:
            connection.execute(table.insert(), rows)


def _image_sets(connection: sa.Connection, ids: list[str]) -> list[dict[str, Any]]:
    image_sets = sa.table("image_sets", *(sa.column(name) for name in ("id", "deleted_at", *_REPEATED)))
    studies = sa.table("studies", *(sa.column(name) for name in ("datastore_id", "study_uid", "updated_at")))
    of_study = sa.and_(
        studies.c.datastore_id == image_sets.c.datastore_id, studies.c.study_uid == image_sets.c.study_uid
    )
    changed_at = sa.func.coalesce(studies.c.updated_at, 0).label("study_updated_at")
    columns = [image_sets.c.id.label("image_set_id"), *(image_sets.c[name] for name in _REPEATED), changed_at]
    query = sa.select(*columns).select_from(image_sets.outerjoin(studies, of_study))
    there = (image_sets.c.id.in_(ids), image_sets.c.deleted_at.is_(None))
    return [
        {**row, "is_primary": bool(row["is_primary"])} for row in connection.execute(query.where(*there)).mappings()
    ]


def _rows(repeated: dict[str, Any], tags_of: dict[str, dict[str, str]]) -> Iterator[dict[str, Any]]:
    by_key: dict[str, str] = {}
    tags = tags_of[repeated["image_set_id"]]
    for key in sorted(tags):
        by_key.setdefault(key.lower(), tags[key])
    for key, value in by_key.items():
        yield {**repeated, "tag_key": key, "tag_value": value}
