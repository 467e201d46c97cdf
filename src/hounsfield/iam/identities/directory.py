"""The directory of identities in a process: dicts in memory, refreshed within a second of any change.

request ─▶ key, role, policy ─▶ Snapshot                          never waits for the database
thread  ─every 0.4 s─▶ generation changed? ─▶ take_snapshot ─▶ the new Snapshot takes the old one's place
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

import structlog
from sqlalchemy import select

from hounsfield.iam.identities.errors import DirectoryUnavailableError
from hounsfield.iam.identities.last_used import LastUsedWriter
from hounsfield.iam.identities.repository import Repository
from hounsfield.iam.identities.snapshot import KnownKey, Role, Snapshot, take_snapshot
from hounsfield.iam.policies.document import Policy
from hounsfield.runtime.supervised_threads import SupervisedThread
from hounsfield.storage.db.iam_tables import identity_generation
from hounsfield.storage.db.prepared import PreparedStatement

_log = structlog.get_logger(__name__)
LOOK_SECONDS: Final = 0.4
TRUSTED_SECONDS: Final = 5.0
"""How long what is in memory is gone by while the database cannot be asked; then a key might long be disabled."""
_GENERATION: Final = PreparedStatement(select(identity_generation.c.generation))


class Directory:
    """Users, roles and policies of an installation, for looking up.

    Between `start` and `stop` it follows changes by itself; else `refresh` does it.

    Parameters
    ----------
    repository : Repository
        Where they are kept; read once here.
    clock : callable
        The time in seconds, never going back.
    """

    def __init__(self, repository: Repository, clock: Callable[[], float] = time.monotonic) -> None:
        self._repository = repository
        self._clock = clock
        self._snapshot: Snapshot
        self._looked_at = 0.0
        self._refreshing = threading.Lock()
        self._stop = threading.Event()
        self._thread = SupervisedThread("directory", self._follow, self._stop)
        self.uses = LastUsedWriter(repository.database)
        self._load()

    def start(self) -> None:
        """Begin to follow changes, and to write down when keys were used."""
        self._thread.start()
        self.uses.start()

    def stop(self) -> None:
        """End what `start` began."""
        self._stop.set()
        self._thread.join()
        self.uses.stop()

    def key(self, access_key_id: str) -> KnownKey | None:
        """Return an access key, also one that is disabled or expired; None for one that is not known.

        Raises
        ------
        DirectoryUnavailableError
            The database was not heard of for `TRUSTED_SECONDS`.
        """
        return self._trusted().keys.get(access_key_id)

    def role(self, arn: str) -> Role | None:
        """Return a role by its ARN; raises as `key` does."""
        return self._trusted().roles.get(arn)

    def policy(self, arn: str) -> Policy | None:
        """Return a managed policy by its ARN, also one that is built in; raises as `key` does."""
        return self._trusted().policies.get(arn)

    def is_restricted(self, datastore_id: str) -> bool:
        """Return whether each image set of a data store must be allowed, see `image_set_access`; raises as `key` does."""
        return datastore_id in self._trusted().restricted_datastores

    def refresh(self) -> None:
        """Look for changes now, and take them over; raises what the database raises."""
        with self._refreshing:
            looked_at = self._clock()
            row = self._repository.database.lookup(_GENERATION, {})
            if row is None or row[0] != self._snapshot.generation:
                self._load()
            self._looked_at = looked_at

    def _load(self) -> None:
        looked_at = self._clock()
        self._snapshot = take_snapshot(self._repository)
        self._looked_at = looked_at

    @property
    def is_trusted(self) -> bool:
        """Whether the database was heard of within `TRUSTED_SECONDS`."""
        return self._clock() - self._looked_at <= TRUSTED_SECONDS

    def _trusted(self) -> Snapshot:
        if not self.is_trusted:
            raise DirectoryUnavailableError("The directory of users cannot be read at the moment.")
        return self._snapshot

    def _follow(self) -> None:
        heard = True
        while not self._stop.wait(LOOK_SECONDS):
            try:
                self.refresh()
                heard = True
            except Exception as error:  # noqa: BLE001 - the database may be away; it is asked again
                if heard:
                    _log.warning("directory not looked at", error=type(error).__name__)
                heard = False
