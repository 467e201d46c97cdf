"""Operation slots: how many operations of a kind may be under way in a data store.

They are counted under a lock that everybody takes who adds to them, so that requests at the same moment cannot go beyond a
quota together. A quota of 0 is no quota.
"""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from hounsfield.imaging.errors import ImagingError, QuotaExceededError
from hounsfield.imaging.quotas import exceeds
from hounsfield.storage.db.image_set_tables import image_sets
from hounsfield.storage.db.job_tables import work_items


def require_slot(
    connection: Connection,
    kind: str,
    datastore_id: str,
    quota: int,
    *,
    what: str,
    error: type[ImagingError] = QuotaExceededError,
) -> None:
    """Refuse one more operation of a kind in a data store when as many are under way as may be.

    Parameters
    ----------
    connection : Connection
        A write transaction that has the lock of the data store.
    kind : str
        Kind of the work item that an operation under way has; its subject is an image set.
    datastore_id : str
        Which data store.
    quota : int
        How many may be under way.
    what : str
        What the operations are called, in the plural.
    error : type
        What to raise.

    Raises
    ------
    ImagingError
        ``error``, because of the quota.
    """
    under_way = connection.execute(
        select(func.count())
        .select_from(work_items)
        .join(image_sets, image_sets.c.id == work_items.c.subject_id)
        .where(work_items.c.kind == kind, image_sets.c.datastore_id == datastore_id)
    ).scalar_one()
    if exceeds(under_way + 1, quota):
        raise error(
            f"data store {datastore_id} has {under_way} {what} under way, its quota is {quota}; "
            "try again when one of them has ended"
        )
