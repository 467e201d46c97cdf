"""Worker processes that check records; a record that ends its process fails alone.

submit ─▶ WorkerPool, or a cluster while it has workers ─▶ check_records ─▶ result
            │
            └─ the process ended ─▶ each instance alone, in a process of its own
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from hounsfield.imaging.verify.findings import Finding, FindingKind
from hounsfield.imaging.verify.record_check import RecordCheck, RecordCheckResult, check_records
from hounsfield.runtime.worker_pool import NoProcessError, NoWorkersError, TaskPool, WorkerPool
from hounsfield.storage.blobs.blobs import BlobsUnreachableError

if TYPE_CHECKING:
    # What it needs is installed only where there is a cluster.
    from hounsfield.runtime.cluster.remote_pool import RemotePool

_NICENESS: Final = 15


def start_politely() -> None:
    """Have a process of the background pass run only when nobody else wants the processor."""
    start()
    os.nice(_NICENESS)


def start() -> None:
    """Leave it to the command to act on an interrupt."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@dataclass(frozen=True, slots=True)
class PendingCheck:
    """A task that was handed in."""

    task: RecordCheck
    pool: TaskPool
    executor: Executor
    future: Future[RecordCheckResult]


class CheckProcesses:
    """Some processes that check records.

    Parameters
    ----------
    processes : int
        How many on this machine.
    warm_up : callable
        Run once in each: `start` or `start_politely`.
    cluster : RemotePool or None
        Workers that come first while there are any; it must not wait for them for long. Processes of this machine are then
        started with the first task that finds none.
    """

    def __init__(self, processes: int, warm_up: Callable[[], None] = start, cluster: RemotePool | None = None) -> None:
        self._processes = processes
        self._warm_up = warm_up
        self._cluster = cluster
        self._pool = WorkerPool(processes, warm_up) if cluster is None else None

    @property
    def processes(self) -> int:
        """How many tasks are worked on at a time."""
        if self._cluster is None:
            return self._processes
        return max(self._processes, self._cluster.processes)

    def submit(self, task: RecordCheck) -> PendingCheck:
        """Hand in a task."""
        pool: TaskPool = self._cluster if self._cluster is not None and self._cluster.is_ready else self._own()
        return PendingCheck(task, pool, *pool.submit(check_records, task))

    def _own(self) -> WorkerPool:
        if self._pool is None:
            self._pool = WorkerPool(self._processes, self._warm_up)
        return self._pool

    def result(self, pending: PendingCheck) -> RecordCheckResult:
        """Wait for what a task found; what could not be looked at is among the findings.

        Raises
        ------
        BlobsUnreachableError
            An object store does not answer: nothing else can be looked at either.
        """
        try:
            return pending.future.result()
        except BlobsUnreachableError:
            raise
        except NoWorkersError:
            pool = self._own()
            return self.result(PendingCheck(pending.task, pool, *pool.submit(check_records, pending.task)))
        except BrokenProcessPool:
            pending.pool.renew(pending.executor)
            return self._alone(pending.task)
        except OSError as error:
            return _unreadable(pending.task, error)

    def check(self, task: RecordCheck) -> RecordCheckResult:
        """Do a task, and wait for it."""
        return self.result(self.submit(task))

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.close()

    def _alone(self, task: RecordCheck) -> RecordCheckResult:
        joined = RecordCheckResult()
        for instance in task.instances:
            one = replace(task, instances=(instance,))
            with self._own().single() as executor:
                try:
                    result = executor.submit(check_records, one).result()
                except BrokenProcessPool:
                    what = "the process that checked the records of the instance ended"
                    result = _result(one, FindingKind.RECORD_DAMAGED, what)
                except BlobsUnreachableError:
                    raise
                except NoProcessError as error:
                    result = _result(one, FindingKind.NOT_CHECKED, str(error))
                except OSError as error:
                    result = _unreadable(one, error)
            joined.findings += result.findings
            joined.frames += result.frames
            joined.records += result.records
            joined.bytes += result.bytes
        return joined


def _unreadable(task: RecordCheck, error: OSError) -> RecordCheckResult:
    return _result(task, FindingKind.NOT_CHECKED, f"packs cannot be read: {error.strerror or type(error).__name__}")


def _result(task: RecordCheck, kind: FindingKind, what: str) -> RecordCheckResult:
    datastore_id = task.key.datastore_id
    findings = {
        Finding(datastore_id, instance.image_set_id, instance.key, 0, "", kind, what) for instance in task.instances
    }
    return RecordCheckResult(sorted(findings))
