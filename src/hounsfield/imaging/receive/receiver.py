"""Instances that are received one request at a time (STOW-RS), as opposed to those of an import job.

    SpooledFile ─▶ IngestScheduler ─▶ StagedInstance ─┐
    SpooledFile ─▶ IngestScheduler ─▶ Failure         ├─▶ commit, together with other requests
    SpooledFile ─▶ IngestScheduler ─▶ StagedInstance ─┘   (`hounsfield.imaging.receive.group_commit`)

Nothing of a request is visible before its commit; packs of one that is not committed are removed.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from cachetools import TTLCache

from hounsfield.imaging.datastores import active_datastore, fetch_key
from hounsfield.imaging.image_set_access import ImageSetAccess
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.ingest.context import IngestContext
from hounsfield.imaging.ingest.workers import IngestWorkers
from hounsfield.imaging.receive.group_commit import GroupCommitter
from hounsfield.imaging.receive.store_transaction import StoreOutcome, StoreRequest, discard_packs
from hounsfield.imaging.staged_instance import StagedInstance
from hounsfield.storage.identifiers import new_id

if TYPE_CHECKING:
    from hounsfield.runtime.cluster.remote_pool import RemotePool

_CONTEXT_SECONDS = 1.0
_MOST_CONTEXTS = 1024
START_SECONDS = 5.0
"""How long a process answers requests before its workers are started, if none that stores came before."""


class Receiver:
    """Takes instances into data stores; one for each process that answers requests.

    Parameters
    ----------
    image_store : ImageStore
        Where everything is.
    processes : int
        Worker processes; they are started a while after `start`, or with the first instance that is received. There is one
        more, the spare one, from when it is used first.
    cluster : RemotePool or None
        The workers of a cluster, which come first for what is in memory.
    """

    def __init__(self, image_store: ImageStore, processes: int, cluster: RemotePool | None = None) -> None:
        self._image_store = image_store
        self.workers = IngestWorkers(processes, cluster)
        self._committer = GroupCommitter(image_store, processes)
        self._contexts: TTLCache[str, IngestContext] = TTLCache(_MOST_CONTEXTS, _CONTEXT_SECONDS)
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start the workers in a while: importing takes each of them longer than an instance, and nobody should wait for it."""
        self.workers.start(START_SECONDS)

    def context(self, datastore_id: str) -> IngestContext:
        """Return what workers need to know of a data store.

        Raises
        ------
        NotFoundError
            There is no such data store.
        ConflictError
            It is not ACTIVE.
        """
        with self._image_store.database.read() as connection:
            datastore = active_datastore(connection, self._image_store, datastore_id)
        context = IngestContext.of(self._image_store, datastore, fetch_key(self._image_store, datastore))
        with self._lock:
            self._contexts[datastore_id] = context
        return context

    def recent_context(self, datastore_id: str) -> IngestContext | None:
        """Return what `context` returned a moment ago; the commit looks again whether the data store is still ACTIVE."""
        with self._lock:
            return self._contexts.get(datastore_id)

    def commit(
        self, context: IngestContext, access: ImageSetAccess, caller: str, staged: Mapping[int, StagedInstance]
    ) -> Future[StoreOutcome]:
        """Make the staged instances of a request, at least one, visible; from here on their packs are the committer's."""
        return self._committer.submit(StoreRequest(new_id(), context.key, staged, access, caller))

    def expecting(self, caller: str) -> AbstractContextManager[None]:
        """Announce, as a block, that all of a request of a caller is with the workers and will be committed soon."""
        return self._committer.expecting(caller)

    def discard(self, context: IngestContext, staged: Sequence[StagedInstance]) -> None:
        """Remove the packs of instances that are not to be committed."""
        discard_packs(self._image_store, context.key.datastore_id, staged)

    def close(self) -> None:
        """Commit what waits, and end the worker processes."""
        self.workers.cancel_start()
        self._committer.close()
        self.workers.close()
