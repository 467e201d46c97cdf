"""Worker pool: processes for CPU work, renewed when one of them dies.

The seam is `concurrent.futures.Executor`: tasks are top-level functions with picklable arguments. When a worker dies, the
standard pool breaks as a whole; `WorkerPool` then starts a new one, and whoever submitted work that was lost decides what to
do with it.

    this process ─▶ fork server, which imports once what the tasks need ─┬─▶ worker
     (keeps the pool)                                                    └─▶ worker
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from multiprocessing import forkserver
from multiprocessing.util import get_temp_dir
from pathlib import Path
from typing import Final, ParamSpec, Protocol, TypeVar

from hounsfield.runtime.forked_programs import forked_programs, may_fork
from hounsfield.runtime.picklable_error import PicklableError

P = ParamSpec("P")
T = TypeVar("T")

_context: Final = multiprocessing.get_context("forkserver")
_LONGEST_FOLDER: Final = 64
"""The kernel takes names of sockets of 107 bytes, of which multiprocessing's own parts are some 35."""
_SHORT_FOLDER: Final = "/tmp"  # noqa: S108 - a folder of our own is made in it

_NOT_STARTED: Final = (OSError, EOFError)
"""What starting a process raises where there is no memory for it, the second when the fork server met that."""

PARENT = "HOUNSFIELD_PARENT"
"""Environment variable with the id of the process that a child must not outlive."""


REFUSAL = signal.SIGUSR1
"""What a child sends to `PARENT` when it cannot work with the settings, so that it is not started again."""


READY = signal.SIGUSR2
"""What an API process sends to `PARENT` when it serves."""


def notify_ready() -> None:
    """Notify the process that `PARENT` names, where it names one, that this one serves."""
    if PARENT in os.environ:
        os.kill(int(os.environ[PARENT]), READY)


def notify_refusal() -> None:
    """Notify the process that `PARENT` names, where it names one, that no child can work with the settings."""
    if PARENT in os.environ:
        os.kill(int(os.environ[PARENT]), REFUSAL)


def end_with_parent() -> None:
    """Exit when the process that `PARENT` names is gone, where it names one."""
    if PARENT in os.environ:
        exit_with_parent(int(os.environ[PARENT]))


def exit_with_parent(parent: int) -> None:
    """Watch the parent process from a thread and exit when it is gone, so that no orphan keeps working.

    Parameters
    ----------
    parent : int
        Process id of the parent as it knows itself.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(3)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def _exit_with_starter() -> None:
    """Exit when the process that asked for this one is gone; it is not the parent, which is the fork server."""
    starter = multiprocessing.parent_process()
    if starter is None:
        return

    def watch() -> None:
        starter.join()
        os._exit(3)

    threading.Thread(target=watch, name="starter-watch", daemon=True).start()


def start_fork_server(module: str) -> None:
    """Start the fork server of this process, which imports ``module`` while this one does something else.

    Parameters
    ----------
    module : str
        Name of the module of the tasks; the workers of all pools of this process begin with what it imports.
    """
    _context.set_forkserver_preload(["hounsfield.runtime.fork_server", module])
    _have_room_for_sockets()
    # What is not imported yet is better imported beside this process.
    with forked_programs() if module in sys.modules and may_fork() else nullcontext():
        forkserver.ensure_running()


def _have_room_for_sockets() -> None:
    """Let the sockets of the fork server be elsewhere where the folder for temporary files has too long a name for them."""
    usual = tempfile.gettempdir()
    if len(os.fsencode(usual)) <= _LONGEST_FOLDER or not Path(_SHORT_FOLDER).is_dir():
        return
    tempfile.tempdir = _SHORT_FOLDER
    try:
        # It is made once for the process, and removed at its end.
        get_temp_dir()
    finally:
        tempfile.tempdir = usual


def _start_worker(warm_up: Callable[[], None] | None) -> None:
    _exit_with_starter()
    # Only a fork server and its workers may import it.
    from hounsfield.runtime.fork_server import enable_collection

    enable_collection()
    if warm_up is not None:
        warm_up()


def _ready() -> int:
    return os.getpid()


class NoWorkersError(Exception):
    """There is no worker on any machine that a task could be given to, and there was none for as long as it was to wait."""


class TaskPool(Protocol):
    """Worker processes, of this machine or others, that tasks are handed to."""

    @property
    def processes(self) -> int:
        """How many tasks are worked on at a time."""
        ...

    def submit(self, task: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> tuple[Executor, Future[T]]:
        """Hand in a task; also gives the executor it went to, which `renew` needs.

        The future raises what the task raises, and `BrokenProcessPool` when a process died with which it was.
        """
        ...

    def single(self) -> AbstractContextManager[Executor]:
        """Open an executor in which a process that dies does so by the task that it works on."""
        ...

    def renew(self, broken: Executor) -> None:
        """Replace an executor that broke."""
        ...

    def close(self) -> None:
        """End the pool; what it has not handed in yet is lost."""
        ...


class NoProcessError(PicklableError, OSError):
    """No process can be started now: the machine has no room for one, or what forks them has just died."""

    def __init__(self) -> None:
        super().__init__("no process can be started now")

    def __reduce__(self) -> tuple[type[NoProcessError], tuple[()]]:
        """Be made anew: an `OSError` has no words that its constructor did not give it."""
        return type(self), ()


class _Processes(ProcessPoolExecutor):
    """A pool of the standard library that says by one error that no process can be started."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        try:
            return super().submit(fn, *args, **kwargs)
        except _NOT_STARTED as error:
            raise NoProcessError from error


class WorkerPool:
    """A process pool that can be renewed after a worker died.

    Parameters
    ----------
    processes : int
        How many worker processes.
    warm_up : Callable[[], None] | None
        A top-level function run once in each worker. Its module is imported before, once for all workers; where
        `start_fork_server` was called, that may have happened already.
    """

    def __init__(self, processes: int, warm_up: Callable[[], None] | None = None) -> None:
        self._processes = processes
        self._warm_up = warm_up
        if warm_up is not None:
            start_fork_server(warm_up.__module__)
        self._lock = threading.Lock()
        self._executor: Executor = self._new(processes)

    @property
    def processes(self) -> int:
        """How many worker processes."""
        return self._processes

    def _new(self, processes: int) -> Executor:
        executor = _Processes(
            processes,
            mp_context=_context,
            initializer=_start_worker,
            initargs=(self._warm_up,),
        )
        # A process is started for each task that finds none idle, so this starts them all.
        with suppress(NoProcessError):
            for _ in range(processes):
                executor.submit(_ready)
        return executor

    def submit(self, task: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> tuple[Executor, Future[T]]:
        """Hand in a task; also gives the executor it went to, which `renew` needs when the future tells it broke.

        Raises
        ------
        NoProcessError
            No process can be started now.
        """
        while True:
            executor = self._executor
            try:
                return executor, executor.submit(task, *args, **kwargs)
            except BrokenProcessPool:
                # A worker died while nobody waited for it.
                self.renew(executor)
            except NoProcessError:
                # The task is among those of the executor, but nobody could tell what becomes of it.
                self.renew(executor)
                raise

    @contextmanager
    def single(self) -> Iterator[Executor]:
        """Open a pool of one process that nobody else uses, ended at the end of the block."""
        executor = self._new(1)
        try:
            yield executor
        finally:
            executor.shutdown(wait=False, cancel_futures=True)

    def renew(self, broken: Executor) -> None:
        """Replace ``broken`` by a new pool, once, however many callers saw it break."""
        with self._lock:
            if self._executor is broken:
                self._executor = self._new(self.processes)
        broken.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """End the workers, whatever they are doing; what they have not handed in yet is lost."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        ended = multiprocessing.active_children()
        for process in ended:
            process.terminate()
        for process in ended:
            process.join()
        self._executor.shutdown(wait=True)
