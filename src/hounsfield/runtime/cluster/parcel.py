"""The parcel: a task or its result on the way to a worker of a cluster and back.

    whoever needs a result                            a worker of the cluster
    pack_task ─▶ Parcel ─▶ scheduler, which cannot ─▶ carry_out ─▶ a process of its own ─▶ Parcel ─▶ unpack_result
                           look into it                            (one for each thread of the worker)

Arguments hold keys, names of files and bytes of images. A parcel shows none of it: not to logs, not to dashboards. Nothing is
ever raised within the cluster, because it would be logged there with what it says. Tasks are worked on in processes beside
the worker: a file that ends its process does not end the worker, and it is known which one did it.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Final, ParamSpec, TypeVar

from hounsfield.runtime.cluster.versions import Versions, read_versions
from hounsfield.runtime.core_dumps import forbid_core_dumps
from hounsfield.runtime.picklable_error import make_picklable
from hounsfield.runtime.worker_pool import WorkerPool, start_fork_server

P = ParamSpec("P")
T = TypeVar("T")

_lock: Final = threading.Lock()
_idle: Final[list[WorkerPool]] = []


class WorkerUnfitError(Exception):
    """A worker did not do a task because it is none that was admitted."""


class Parcel:
    """Bytes that nothing shows.

    Parameters
    ----------
    content : bytes
        A pickled task, or what became of it.
    versions : Versions
        Of whoever packed it.
    """

    __slots__ = ("content", "versions")

    def __init__(self, content: bytes, versions: Versions) -> None:
        self.content = content
        self.versions = versions

    def __repr__(self) -> str:
        return f"<Parcel of {len(self.content)} bytes>"

    def __sizeof__(self) -> int:
        return object.__sizeof__(self) + len(self.content)


@dataclass(frozen=True, slots=True)
class AdmissionTest:
    """What a worker is asked before it gets work.

    Attributes
    ----------
    versions : Versions
        Those that it must have.
    module : str
        What the tasks need imported; it is, while the test goes on.
    places : bytes
        A pickled function without arguments that returns what is wrong with the places a worker reads and writes, or nothing.
    """

    versions: Versions
    module: str
    places: bytes

    def __repr__(self) -> str:
        return "<AdmissionTest>"


def pack_task(versions: Versions, task: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Parcel:
    """Pack a top-level function and its arguments."""
    return Parcel(pickle.dumps((task, args, kwargs), pickle.HIGHEST_PROTOCOL), versions)


def unpack_result(parcel: Parcel) -> Any:
    """Return what a task returned, or raise what it raised."""
    outcome, value = pickle.loads(parcel.content)  # noqa: S301 - from a worker of ours, which runs our code
    if outcome:
        return value
    raise value


def carry_out(parcel: Parcel) -> Parcel:
    """Do a task in a process beside the worker that this is called in."""
    own = read_versions()
    difference = parcel.versions.compare(own)
    if difference:
        return _packed(own, done=False, value=WorkerUnfitError(difference))
    try:
        pool = _take()
        try:
            executor, future = pool.submit(run_packed, parcel.content)
            try:
                return Parcel(future.result(), own)
            except BrokenProcessPool:
                pool.renew(executor)
                raise
        finally:
            with _lock:
                _idle.append(pool)
    except Exception as error:  # noqa: BLE001 - whoever handed it in must be told, whatever it is
        return _packed(own, done=False, value=make_picklable(error))


def run_packed(content: bytes) -> bytes:
    """Do a task, in the process that is there for it; what it raises is among what it gives."""
    try:
        task, args, kwargs = pickle.loads(content)  # noqa: S301 - from whoever the scheduler lets in
        return pickle.dumps((True, task(*args, **kwargs)), pickle.HIGHEST_PROTOCOL)
    except Exception as error:  # noqa: BLE001 - whoever handed it in must be told, whatever it is
        return pickle.dumps((False, make_picklable(error)), pickle.HIGHEST_PROTOCOL)


def _packed(own: Versions, *, done: bool, value: object) -> Parcel:
    return Parcel(pickle.dumps((done, value), pickle.HIGHEST_PROTOCOL), own)


def _take() -> WorkerPool:
    """Return a pool of one process that nobody else uses."""
    with _lock:
        return _idle.pop() if _idle else WorkerPool(1, start_task_process)


def start_task_process() -> None:
    """Leave interrupts to the worker, and let nothing that is written be for other users of the machine."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.umask(0o077)


def find_fault(test: AdmissionTest) -> str:
    """Return why this worker gets no work, and begin to import what work needs; empty when nothing is wrong."""
    difference = test.versions.compare(read_versions())
    if difference:
        return f"{difference}; install the same versions everywhere"
    if multiprocessing.current_process().daemon:
        return (
            "it may not start processes; start it with --no-nanny, or with DASK_DISTRIBUTED__WORKER__DAEMON=False "
            "in its environment"
        )
    forbid_core_dumps()
    # As for the processes of a server: numpy's library would start a thread for every processor in each.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with _lock:
        start_fork_server(test.module)
    try:
        fault: str = pickle.loads(test.places)()  # noqa: S301 - as above
    except Exception as error:  # noqa: BLE001 - it is what is asked for
        return f"the places of packs and buckets cannot be looked at: {type(error).__name__}"
    return fault


async def admit(test: AdmissionTest) -> str:
    """Do `find_fault` beside the event loop of the worker, which goes on answering the scheduler."""
    return await asyncio.to_thread(find_fault, test)
