"""How many frames and bytes image sets have, and how many files import jobs imported"""

from array import array
from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

_AT_ONCE = 500


def upgrade() -> None:
    op.add_column("image_sets", sa.Column("frame_count", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("image_sets", sa.Column("stored_bytes", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("instances", sa.Column("pixel_bytes", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("import_jobs", sa.Column("imported_files", sa.Integer()))
    op.add_column("import_jobs", sa.Column("failed_files", sa.Integer()))
    _fill_pixel_bytes(op.get_bind())
    op.execute(
        """UPDATE image_sets SET
        frame_count = COALESCE((SELECT SUM(i.frame_count) FROM instances i
            WHERE i.image_set_id = image_sets.id AND i.last_version IS NULL), 0),
        stored_bytes = COALESCE((SELECT SUM(i.fragment_length + i.dataset_length + i.pixel_bytes) FROM instances i
            WHERE i.image_set_id = image_sets.id AND i.last_version IS NULL), 0)
        WHERE deleted_at IS NULL"""
    )


def _fill_pixel_bytes(connection: sa.Connection) -> None:
    instances = sa.table("instances", *(sa.column(name) for name in ("key", "source_key", "pixel_bytes")))
    runs = sa.table("frame_runs", sa.column("source_key"), sa.column("lengths"))
    own = (
        sa.update(instances)
        .where(instances.c.key == sa.bindparam("of_key"))
        .values(pixel_bytes=instances.c.pixel_bytes + sa.bindparam("more"))
    )
    after = ""
    while sizes := _sizes(connection, runs, after):
        connection.execute(own, [{"of_key": key, "more": size} for key, size in sizes.items()])
        after = max(sizes)
    of_copies = sa.select(instances.c.key, instances.c.source_key).where(instances.c.key != instances.c.source_key)
    copies = {row.key: row.source_key for row in connection.execute(of_copies)}
    keys = sorted(copies)
    for start in range(0, len(keys), _AT_ONCE):
        some = keys[start : start + _AT_ONCE]
        found = _sizes_of(connection, runs, sorted({copies[key] for key in some}))
        connection.execute(own, [{"of_key": key, "more": found.get(copies[key], 0)} for key in some])


def _sizes(connection: sa.Connection, runs: sa.TableClause, after: str) -> dict[str, int]:
    """Return the sizes of the pixel data of the next keys."""
    query = sa.select(runs.c.source_key).where(runs.c.source_key > after).distinct()
    keys = connection.execute(query.order_by(runs.c.source_key).limit(_AT_ONCE)).scalars().all()
    return _sizes_of(connection, runs, keys) if keys else {}


def _sizes_of(connection: sa.Connection, runs: sa.TableClause, keys: Sequence[str]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for key, lengths in connection.execute(sa.select(runs).where(runs.c.source_key.in_(keys))):
        sizes[key] = sizes.get(key, 0) + sum(array("I", lengths))
    return sizes
