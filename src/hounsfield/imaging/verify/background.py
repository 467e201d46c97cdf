"""The background pass: a runner verifies everything again and again, slowly, each pass in a number of days.

    work item ─▶ pass, begun or gone on with ─▶ walk until it is ahead of its time ─▶ saved ─▶ item released, with a pause
                                                      └─ to the end ─▶ log, audit record ─▶ pause until the next is due

One runner at a time has the item. What was saved last is held with its lease, so that two never count the same pass.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import structlog

from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.verify.check_processes import CheckProcesses, start_politely
from hounsfield.imaging.verify.findings import Finding, Severity
from hounsfield.imaging.verify.passes import (
    Pass,
    PassKind,
    PassState,
    begin_pass,
    find_unfinished,
    list_passes,
    save_pass,
)
from hounsfield.imaging.verify.reports import result_of
from hounsfield.imaging.verify.scopes import Scope
from hounsfield.imaging.verify.verifier import Unit, Verifier
from hounsfield.jobs.queue import WorkItem
from hounsfield.jobs.runner import StoppedError
from hounsfield.runtime.rate_limit import RateLimit
from hounsfield.storage.blobs.blobs import BlobsUnreachableError
from hounsfield.storage.clock import now_ms

if TYPE_CHECKING:
    # What it needs is installed only where there is a cluster.
    from hounsfield.runtime.cluster.remote_pool import RemotePool

VERIFY: Final = "verify"
_DAY_SECONDS: Final = 24 * 3600.0
_LONGEST_PAUSE_SECONDS: Final = 600.0
_SHORTEST_PAUSE_SECONDS: Final = 0.2
_SAVE_SECONDS: Final = 5.0
_LEAST_RATE: Final = 20e6
"""Bytes a second that a pass reads while it reads; more where it would not come to its end in time."""
_CATCH_UP: Final = 4.0
_MOST_LOGGED: Final = 100
_log = structlog.get_logger(__name__)

AuditCheck = Callable[[], "tuple[list[Finding], Counter[str]]"]
"""Checks the audit trail of this machine."""


def schedule_verification(image_store: ImageStore) -> None:
    """Make sure that there is the one work item that verifies again and again."""
    image_store.queue.schedule(VERIFY)


class BackgroundVerifier:
    """Makes the passes of a runner.

    Parameters
    ----------
    image_store : ImageStore
        Where everything is.
    days : float
        Days that a pass takes; more than 0.
    stop : threading.Event
        Ends the work between two units.
    check_audit : callable
        Checks the audit trail at the end of a pass.
    ended : callable
        Is given each pass that came to its end.
    cluster : RemotePool or None
        Workers that check records while there are any; otherwise a process of this machine does.
    """

    def __init__(
        self,
        image_store: ImageStore,
        *,
        days: float,
        stop: threading.Event,
        check_audit: AuditCheck,
        ended: Callable[[Pass], None],
        cluster: RemotePool | None = None,
    ) -> None:
        self._image_store = image_store
        self._seconds = days * _DAY_SECONDS
        self._stop = stop
        self._check_audit = check_audit
        self._ended = ended
        self._cluster = cluster

    def run(self, item: WorkItem) -> None:
        """Verify as much as is due, and come again."""
        current = find_unfinished(self._image_store, PassKind.BACKGROUND)
        if current is None:
            wait = self._until_next()
            if wait > 0:
                self._release(item, wait)
                return
            current = begin_pass(self._image_store, PassKind.BACKGROUND, Scope())
            _log.info("verification begun", pass_id=current.id, bytes=current.total_bytes)
        current = self._go_on(item, current)
        self._release(item, self._until_next() if current.state is PassState.ENDED else self._ahead(current))

    def give_up(self, item: WorkItem) -> None:
        """Go on trying: the work is never over."""
        self.run(item)

    def _release(self, item: WorkItem, seconds: float) -> None:
        pause = min(max(seconds, _SHORTEST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)
        self._image_store.queue.release_lease(item, pause, failed=False)

    def _until_next(self) -> float:
        """Return the seconds until the next pass is due; a small installation is verified in less than its time."""
        last = next(iter(list_passes(self._image_store, [PassKind.BACKGROUND])), None)
        return 0.0 if last is None else self._seconds - _elapsed(last)

    def _ahead(self, current: Pass) -> float:
        """Return the seconds by which a pass is ahead of its time."""
        share = current.counts["bytes"] / current.total_bytes if current.total_bytes else 0.0
        return min(share, 1.0) * self._seconds - _elapsed(current)

    def _go_on(self, item: WorkItem, current: Pass) -> Pass:
        """Walk until the pass is ahead of its time, or at its end."""
        rate = max(_LEAST_RATE, _CATCH_UP * current.total_bytes / self._seconds)
        processes = CheckProcesses(1, start_politely, self._cluster)
        try:
            verifier = Verifier(self._image_store, processes, pace=RateLimit(rate, self._stop).wait, stop=self._stop)
            return self._walk(item, current, verifier)
        finally:
            processes.close()

    def _walk(self, item: WorkItem, current: Pass, verifier: Verifier) -> Pass:
        began, saved = time.monotonic(), time.monotonic()
        before = current.seconds
        walk = verifier.walk(current)
        while True:
            try:
                unit = next(walk, None)
            except (StoppedError, BlobsUnreachableError):
                self._save(item, current)
                raise
            current = replace(current, seconds=before + time.monotonic() - began)
            if unit is None:
                return self._end(item, current)
            _log_damage(unit, current)
            current = current.with_unit(unit.position, unit.counts, unit.findings)
            if self._ahead(current) > 0:
                self._save(item, current)
                return current
            if time.monotonic() - saved >= _SAVE_SECONDS:
                self._save(item, current)
                saved = time.monotonic()

    def _end(self, item: WorkItem, current: Pass) -> Pass:
        findings, counts = self._check_audit()
        unit = Unit(current.position, findings, counts)
        _log_damage(unit, current)
        current = replace(current.with_unit(unit.position, unit.counts, unit.findings), state=PassState.ENDED)
        self._save(item, current)
        log = _log.error if current.damages else _log.info
        log(
            "verification ended",
            pass_id=current.id,
            result=result_of(current),
            damages=current.damages,
            unchecked=current.unchecked,
            image_sets=current.counts["image_sets"],
            frames=current.counts["frames"],
            bytes=current.counts["bytes"],
        )
        self._ended(current)
        return current

    def _save(self, item: WorkItem, current: Pass) -> None:
        save_pass(self._image_store, current, item)


def _elapsed(current: Pass) -> float:
    return (now_ms() - current.began_at) / 1000


def _log_damage(unit: Unit, current: Pass) -> None:
    """Log what a unit found that is new in the pass."""
    known = set(current.findings)
    new = [finding for finding in unit.findings if finding.severity is Severity.DAMAGE and finding not in known]
    for finding in new[:_MOST_LOGGED]:
        _log.error("damage found", **finding.to_json())
    if len(new) > _MOST_LOGGED:
        _log.error("more damage found", findings=len(new) - _MOST_LOGGED)
