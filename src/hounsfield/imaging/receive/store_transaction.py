"""The transaction that makes the instances of requests visible, all of several requests together or those of one.

staged instances ─▶ group_requests ─▶ planned versions ─▶ rows ─▶ outcome of each request
                                      │
                                      └─▶ locked, denied, too large: refused, or to be committed apart (`GroupSplitError`)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from sqlalchemy import Connection, select

from hounsfield.imaging.datastores import active_datastore
from hounsfield.imaging.image_set_access import ImageSetAccess
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.ingest.content import KnownSizes
from hounsfield.imaging.ingest.files import Failure, FailureReason
from hounsfield.imaging.ingest.grouping import Assignment, group_requests
from hounsfield.imaging.ingest.image_set_writer import (
    PlannedVersion,
    find_denied,
    find_oversized,
    plan_versions,
    read_existing_image_sets,
    write_versions,
)
from hounsfield.imaging.staged_instance import StagedInstance, pack_ids_of
from hounsfield.runtime.picklable_error import PicklableError
from hounsfield.storage.blobs.packs import delete_packs
from hounsfield.storage.db.database import in_groups
from hounsfield.storage.db.image_set_tables import instances
from hounsfield.storage.keys.data_key import DataKey

_log = structlog.get_logger(__name__)
_NOT_AUTHORIZED: Final = Failure(
    FailureReason.NOT_AUTHORIZED, "A policy denies the caller the image set that the instance belongs to"
)


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """What a request has staged.

    Attributes
    ----------
    id : str
        What is particular to the request; ids of new image sets follow from it.
    key : DataKey
        The key of its data store.
    staged : Mapping of int to StagedInstance
        The instances by their place in the request, at least one.
    access : ImageSetAccess
        What the caller may do with image sets that the instances go into.
    caller : str
        Unique id of the caller: only for more of the same caller a commit waits.
    """

    id: str
    key: DataKey
    staged: Mapping[int, StagedInstance]
    access: ImageSetAccess
    caller: str = ""


@dataclass(frozen=True, slots=True)
class StoreOutcome:
    """What became of the instances of a request that was committed.

    Attributes
    ----------
    primary : Mapping of int to bool
        Those that are stored, and whether their image set is primary.
    refused : Mapping of int to Failure
        Those that are not, and why.
    """

    primary: Mapping[int, bool]
    refused: Mapping[int, Failure]


class GroupSplitError(PicklableError):
    """Some requests of a group cannot be committed with the others: those at these places of it."""

    def __init__(self, locked: frozenset[int]) -> None:
        super().__init__()
        self.locked = locked


class StoreTransaction:
    """Commits requests of one data store; for one thread.

    Parameters
    ----------
    image_store : ImageStore
        Where everything is.
    """

    def __init__(self, image_store: ImageStore) -> None:
        self._image_store = image_store
        self._sizes = KnownSizes()

    def commit(self, requests: Sequence[StoreRequest]) -> list[StoreOutcome]:
        """Make the instances of requests visible, all in one transaction, grouped as those of an import job.

        Raises
        ------
        GroupSplitError
            Some of several requests must be committed apart.
        ConflictError
            The data store is not ACTIVE any more.
        """
        key = requests[0].key
        with self._image_store.database.write() as connection:
            active_datastore(connection, self._image_store, key.datastore_id, lock=True)
            numbered = _numbered(requests)
            staged = {ordinal: instance for request in numbered for ordinal, instance in request}
            refused: dict[int, Failure] = {}
            while True:
                versions = self._plan(connection, requests, numbered, refused)
                too_large = find_oversized(versions, self._image_store.quotas.metadata_bytes)
                if not too_large:
                    break
                if len(requests) > 1:
                    # Each is then asked whether the quota has room for it, in turn.
                    raise GroupSplitError(frozenset())
                for ordinal, reason in too_large.items():
                    refused[ordinal] = Failure(FailureReason.OUT_OF_RESOURCES, reason)
            write_versions(connection, key, versions, staged)
        for planned in versions:
            self._sizes.note(planned.destination.image_set_id, planned.destination.version, planned.content)
        return _outcomes(requests, numbered, versions, refused)

    def _plan(
        self,
        connection: Connection,
        requests: Sequence[StoreRequest],
        numbered: Sequence[Sequence[tuple[int, StagedInstance]]],
        refused: dict[int, Failure],
    ) -> list[PlannedVersion]:
        """Plan where instances go; those that may not go where they belong are refused, besides those that are already."""
        key = requests[0].key
        while True:
            kept = [[(ordinal, instance) for ordinal, instance in some if ordinal not in refused] for some in numbered]
            staged = {ordinal: instance for some in kept for ordinal, instance in some}
            plan = group_requests(kept, read_existing_image_sets(connection, key.datastore_id, list(staged.values())))
            denied = [
                ordinal
                for request, some in zip(requests, kept, strict=True)
                for ordinal in find_denied(connection, request.access, key.datastore_id, plan)
                if ordinal in dict(some)
            ]
            if not denied:
                break
            # Without them others may come to stand first, so that the plan is made anew.
            refused.update(dict.fromkeys(denied, _NOT_AUTHORIZED))
        locked = _locked(plan, numbered)
        if locked:
            raise GroupSplitError(locked)
        return plan_versions(connection, key, plan, staged, requests[0].id, self._sizes)

    def discard(self, request: StoreRequest, ordinals: Sequence[int] | None = None) -> None:
        """Remove the packs of instances that are not committed; all of a request where ``ordinals`` does not say which."""
        going = set(request.staged if ordinals is None else ordinals)
        gone = [instance for ordinal, instance in request.staged.items() if ordinal in going]
        stays = [instance for ordinal, instance in request.staged.items() if ordinal not in going]
        try:
            # Whoever lost the database at the end of a commit does not know whether that was carried out.
            if gone and (stays or not self._are_named(gone)):
                kept = pack_ids_of(stays)
                discard_packs(self._image_store, request.key.datastore_id, gone, kept)
        except Exception as error:  # noqa: BLE001 - packs that nothing names are found by the daily sweep
            _log.warning("packs of a request are left", error=type(error).__name__)

    def _are_named(self, staged: Sequence[StagedInstance]) -> bool:
        with self._image_store.database.read() as connection:
            return any(
                connection.execute(select(instances.c.key).where(instances.c.key.in_(some)).limit(1)).first()
                for some in in_groups([instance.key for instance in staged])
            )


def discard_packs(
    image_store: ImageStore, datastore_id: str, staged: Sequence[StagedInstance], kept: frozenset[str] = frozenset()
) -> None:
    """Remove the packs of instances that are not committed, but for those that others use too."""
    delete_packs(image_store.blobs, datastore_id, pack_ids_of(staged) - kept)


def _numbered(requests: Sequence[StoreRequest]) -> list[list[tuple[int, StagedInstance]]]:
    """Return the instances of each request in their order, numbered through all requests."""
    numbered = []
    first = 0
    for request in requests:
        ordered = [request.staged[ordinal] for ordinal in sorted(request.staged)]
        numbered.append(list(enumerate(ordered, first)))
        first += len(ordered)
    return numbered


def _locked(plan: Sequence[Assignment], numbered: Sequence[Sequence[tuple[int, StagedInstance]]]) -> frozenset[int]:
    """Return the places of the requests that have instances for image sets which are being changed."""
    wanted = {
        ordinal
        for assignment in plan
        if assignment.extends is not None and assignment.extends.locked
        for ordinal in (*assignment.ordinals, *assignment.superseded)
    }
    return frozenset(at for at, some in enumerate(numbered) if any(ordinal in wanted for ordinal, _ in some))


def _outcomes(
    requests: Sequence[StoreRequest],
    numbered: Sequence[Sequence[tuple[int, StagedInstance]]],
    versions: Sequence[PlannedVersion],
    refused: Mapping[int, Failure],
) -> list[StoreOutcome]:
    """Return what became of the instances of each request, by their places in it."""
    primary = {
        ordinal: planned.destination.is_primary
        for planned in versions
        for ordinal in (*planned.destination.ordinals, *planned.destination.superseded)
    }
    outcomes = []
    for request, some in zip(requests, numbered, strict=True):
        own = dict(zip((number for number, _ in some), sorted(request.staged), strict=True))
        outcomes.append(
            StoreOutcome(
                {place: primary[number] for number, place in own.items() if number in primary},
                {place: refused[number] for number, place in own.items() if number in refused},
            )
        )
    return outcomes
