"""The connection of a process to a Dask cluster: which workers get work, and what becomes of work when they are lost.

    submit ─▶ order ─▶ waits for a worker ─▶ Dask, for the admitted workers only ─▶ result
                 ▲                                   │
                 └──── lost with its workers, ◀──────┘
                       or with the scheduler

All of it happens in an event loop of a thread of its own. Workers are looked at once a second; each is asked once, before any
work goes to it (`hounsfield.runtime.cluster.parcel`). Dask itself does a task again whose worker was lost while others are
left; what Dask gives up, or what waits for workers that are all gone, is handed in anew here. A task may therefore have been
done more than once: it must be one whose result is what counts.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, ParamSpec, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

import dask
import structlog

from hounsfield.runtime.cluster.parcel import (
    AdmissionTest,
    Parcel,
    admit,
    carry_out,
    pack_task,
    unpack_result,
)
from hounsfield.runtime.cluster.state import ClusterState, ClusterWorker
from hounsfield.runtime.cluster.versions import read_versions
from hounsfield.runtime.picklable_error import PicklableError
from hounsfield.runtime.worker_pool import NoWorkersError
from hounsfield.settings.executor import ExecutorPlace, is_loopback

# What it says by itself would not be of the form of our log.
dask.config.set(
    {
        "logging": {
            "distributed": "critical",
            "distributed.client": "critical",
            "distributed.core": "critical",
            "tornado.application": "critical",
        },
        # Small files travel in the task.
        "distributed.admin.large-graph-warning-threshold": "128MB",
    }
)

from distributed import Client, Security  # noqa: E402 - it reads what is set above when it is imported

P = ParamSpec("P")
T = TypeVar("T")
_log = structlog.get_logger(__name__)

# They have no types.
_client: Final[Any] = Client
_security: Final[Any] = Security

_CONNECT_SECONDS: Final = 10.0
_AGAIN_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 1.0
_ANSWER_SECONDS: Final = 15.0
_ADMISSION_SECONDS: Final = 60.0
_CLOSE_SECONDS: Final = 5.0
_MOST_LOSSES: Final = 3
"""How often work is handed in anew whose workers were lost; the next time it is said to have ended them."""


@dataclass(frozen=True, slots=True)
class Admission:
    """What a worker must be fit for.

    Attributes
    ----------
    module : str
        Name of the module of the tasks.
    places : callable
        Returns a pickled function without arguments, which a worker calls to learn what is wrong with its places; asked for
        with each connection.
    """

    module: str
    places: Callable[[], bytes]


@dataclass(slots=True, eq=False)
class _Order:
    """A task that somebody waits for."""

    parcel: Parcel
    future: Future[Any]
    priority: int
    wait_seconds: float | None
    losses: int = 0


class _LostError(PicklableError):
    """A task was lost; whether that may have been its own doing."""

    def __init__(self, *, suspicious: bool) -> None:
        super().__init__()
        self.suspicious = suspicious


class _Session:
    """A connection to the scheduler, for as long as it lasts."""

    def __init__(self, client: Any, dashboard: str) -> None:
        self.client = client
        self.dashboard = dashboard
        self.workers: dict[str, ClusterWorker] = {}
        self.admitting: dict[str, asyncio.Task[None]] = {}
        self.ended = False
        self.changed = asyncio.Condition()

    @property
    def admitted(self) -> list[str]:
        return sorted(address for address, worker in self.workers.items() if worker.is_fit)

    async def notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()


class Cluster:
    """The Dask cluster that a process hands work to; from any thread.

    Parameters
    ----------
    place : ExecutorPlace
        Where it is.
    admission : Admission
        What its workers must be fit for.
    """

    def __init__(self, place: ExecutorPlace, admission: Admission) -> None:
        self._place = place
        self._admission = admission
        self._versions = read_versions()
        self._loop = asyncio.new_event_loop()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closing = False
        self._main_task: asyncio.Task[None] | None = None
        self._session: _Session | None = None
        self._came = asyncio.Event()
        self._orders: set[asyncio.Task[None]] = set()
        self._state = ClusterState(str(place.scheduler))
        self._looked = threading.Event()

    @property
    def state(self) -> ClusterState:
        """How it stands."""
        return self._state

    @property
    def is_ready(self) -> bool:
        """Whether there is a worker that work can be given to now."""
        return self._state.threads > 0

    def start(self) -> None:
        """Begin to connect, and to keep connected."""
        with self._lock:
            if self._thread is None and not self._closing:
                self._thread = threading.Thread(target=self._run, name="cluster", daemon=True)
                self._thread.start()

    def wait_ready(self, seconds: float) -> bool:
        """Wait until there is a worker, but not for longer than ``seconds``; returns whether there is one."""
        return self._wait(seconds, lambda: self.is_ready)

    def wait_asked(self, seconds: float) -> bool:
        """Wait until every worker that there is was asked, at least one; returns whether it was within ``seconds``."""
        return self._wait(seconds, lambda: bool(self._state.workers) and self._state.is_asked)

    def _wait(self, seconds: float, condition: Callable[[], bool]) -> bool:
        self.start()
        until = time.monotonic() + seconds
        while not condition() and (left := until - time.monotonic()) > 0:
            self._looked.clear()
            if not condition():
                self._looked.wait(left)
        return condition()

    def submit(
        self,
        task: Callable[P, T],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        priority: int,
        wait_seconds: float | None,
    ) -> Future[T]:
        """Hand in a top-level function with picklable arguments.

        Parameters
        ----------
        task : callable
            The function.
        args, kwargs : tuple, dict
            Its arguments.
        priority : int
            Of two that wait at a worker the one with the higher number goes first.
        wait_seconds : float or None
            How long it waits while there is no worker at all; None for as long as it takes.

        Returns
        -------
        Future
            Raises what the task raises; `BrokenProcessPool` where it ended its process, or worker after worker was lost with
            it, and `NoWorkersError`.
        """
        self.start()
        future: Future[T] = Future()
        order = _Order(pack_task(self._versions, task, *args, **kwargs), future, priority, wait_seconds)
        with self._lock:
            if self._closing:
                raise BrokenProcessPool("the connection to the cluster was closed")
            self._loop.call_soon_threadsafe(self._begin, order)
        return future

    def close(self) -> None:
        """Let go of the cluster; what it has not handed in yet is lost."""
        with self._lock:
            self._closing = True
            thread = self._thread
        if thread is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._end)
            thread.join(2 * _CLOSE_SECONDS)

    def _end(self) -> None:
        if self._main_task is not None:
            self._main_task.cancel()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._main_task = self._loop.create_task(self._main())
        with suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._main_task)
        for order in self._orders:
            order.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._orders, return_exceptions=True))
        self._loop.close()

    # The connection.

    async def _main(self) -> None:
        while not self._closing:
            try:
                await self._connected()
            except Exception as error:  # noqa: BLE001 - whatever it is, the cluster may be there again in a moment
                self._note(ClusterState(self._state.scheduler, fault=_reason(error)))
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _connected(self) -> None:
        """Connect, and look after the workers until the connection is lost."""
        places = await asyncio.to_thread(self._admission.places)
        test = AdmissionTest(self._versions, self._admission.module, places)
        client = _client(
            str(self._place.scheduler),
            asynchronous=True,
            security=self._security(),
            set_as_default=False,
            timeout=_CONNECT_SECONDS,
            name="hounsfield",
        )
        session: _Session | None = None
        try:
            await client
            await self._check_scheduler(client)
            session = self._session = _Session(client, client.dashboard_link if await _has_dashboard(client) else "")
            self._came.set()
            while client.status == "running":
                await self._look(session, test)
                await asyncio.sleep(_LOOK_SECONDS)
            raise ConnectionError("the connection to the scheduler was lost")
        finally:
            self._came.clear()
            if session is not None:
                session.ended = True
                self._session = None
                for admitting in session.admitting.values():
                    admitting.cancel()
                await session.notify()
            with suppress(Exception):
                await asyncio.wait_for(client.close(), _CLOSE_SECONDS)

    def _security(self) -> Any:
        files = self._place.files
        if files is None:
            return None
        return _security(
            tls_ca_file=str(files.authorities),
            tls_client_cert=str(files.certificate),
            tls_client_key=str(files.key),
            require_encryption=True,
        )

    async def _check_scheduler(self, client: Any) -> None:
        """Make sure that the scheduler can pass on work, and that nobody else can reach it without TLS."""
        address = client.scheduler_info()["address"]
        if not self._is_safe(address):
            raise _RefusedError(
                f"it listens at {address} without TLS: whoever reaches it can run code and read keys; "
                "start it with --host 127.0.0.1, or with TLS"
            )
        try:
            found = await asyncio.wait_for(client.run_on_scheduler(read_versions), _ANSWER_SECONDS)
        except (ImportError, AttributeError) as error:
            raise _RefusedError("Hounsfield is not installed where the scheduler runs") from error
        difference = self._versions.compare(found)
        if difference:
            raise _RefusedError(f"its versions are other ones: {difference}; install the same everywhere")

    def _is_safe(self, address: str) -> bool:
        place = self._place
        return place.plain or place.files is not None or is_loopback(urlsplit(address).hostname or "")

    async def _look(self, session: _Session, test: AdmissionTest) -> None:
        """Find out which workers there are, and ask those that are new."""
        identity = await asyncio.wait_for(session.client.scheduler.identity(n_workers=-1), _ANSWER_SECONDS)
        found = {address: info for address, info in identity["workers"].items() if info["status"] == "running"}
        for address in session.workers.keys() - found.keys():
            worker = session.workers.pop(address)
            if (admitting := session.admitting.pop(address, None)) is not None:
                admitting.cancel()
            _log.warning("cluster worker left", worker=worker.name, address=address)
        for address in found.keys() - session.workers.keys():
            info = found[address]
            session.workers[address] = ClusterWorker(str(info["name"]), address, int(info["nthreads"]))
            session.admitting[address] = asyncio.create_task(self._admit(session, address, test))
        await self._noted(session)

    async def _admit(self, session: _Session, address: str, test: AdmissionTest) -> None:
        try:
            fault = await self._fault_of(session, address, test)
        except Exception as error:  # noqa: BLE001 - a worker that cannot be asked gets no work
            fault = f"it cannot be asked: {_reason(error)}"
        worker = session.workers.get(address)
        session.admitting.pop(address, None)
        if worker is None:
            return
        session.workers[address] = replace(worker, fault=fault)
        if fault:
            _log.error("cluster worker refused", worker=worker.name, address=address, reason=fault)
        else:
            _log.info("cluster worker joined", worker=worker.name, address=address, threads=worker.threads)
        await self._noted(session)

    async def _fault_of(self, session: _Session, address: str, test: AdmissionTest) -> str:
        if not self._is_safe(address):
            return "it is reached without TLS over the network, and would be given keys"
        asked = session.client.run(admit, test, workers=[address], on_error="return")
        answer = (await asyncio.wait_for(asked, _ADMISSION_SECONDS)).get(address)
        if isinstance(answer, str):
            return answer
        if isinstance(answer, ImportError | AttributeError):
            return "Hounsfield is not installed there, or another version of it"
        return f"it did not answer: {type(answer).__name__}"

    async def _noted(self, session: _Session) -> None:
        workers = tuple(session.workers[address] for address in sorted(session.workers))
        fault = "" if session.admitted else "no worker that work can be given to"
        self._note(ClusterState(self._state.scheduler, session.dashboard, fault, workers))
        await session.notify()

    def _note(self, state: ClusterState) -> None:
        before, self._state = self._state, state
        if state.fault != before.fault:
            if state.fault:
                _log.warning("cluster not ready, work waits", scheduler=state.scheduler, reason=state.fault)
            else:
                _log.info("cluster ready", scheduler=state.scheduler, threads=state.threads)
        self._looked.set()

    # The work.

    def _begin(self, order: _Order) -> None:
        task = self._loop.create_task(self._carry_out(order))
        self._orders.add(task)
        task.add_done_callback(self._orders.discard)

        def cancel(future: Future[Any]) -> None:
            if future.cancelled():
                with suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(task.cancel)

        order.future.add_done_callback(cancel)

    async def _carry_out(self, order: _Order) -> None:
        try:
            parcel = await self._parcel_of(order)
            value = await asyncio.to_thread(unpack_result, parcel)
        except asyncio.CancelledError:
            order.future.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - whoever waits must be told, whatever it is
            if order.future.set_running_or_notify_cancel():
                order.future.set_exception(error)
        else:
            if order.future.set_running_or_notify_cancel():
                order.future.set_result(value)

    async def _parcel_of(self, order: _Order) -> Parcel:
        while True:
            session = await self._session_with_workers(order)
            try:
                return await self._parcel_from(session, order)
            except _LostError as lost:
                order.losses += lost.suspicious
                _log.warning("work lost with its worker", losses=order.losses, again=order.losses <= _MOST_LOSSES)
                if order.losses > _MOST_LOSSES:
                    raise BrokenProcessPool("worker after worker was lost with the work") from lost
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _session_with_workers(self, order: _Order) -> _Session:
        """Wait for a connection with a worker that work can be given to."""
        try:
            async with asyncio.timeout(order.wait_seconds):
                while True:
                    await self._came.wait()
                    session = self._session
                    if session is None:
                        continue
                    async with session.changed:
                        await session.changed.wait_for(partial(_has_workers_or_ended, session))
                    if not session.ended:
                        return session
                    await asyncio.sleep(0)
        except TimeoutError as error:
            raise NoWorkersError(self._state.fault) from error

    async def _parcel_from(self, session: _Session, order: _Order) -> Parcel:
        """Have a task done by the workers that there are now; raises `_LostError` when they are all gone."""
        workers = session.admitted
        future = session.client.submit(
            carry_out,
            order.parcel,
            key=f"hounsfield-{uuid4().hex}",
            workers=workers,
            priority=order.priority,
            pure=False,
        )
        result = asyncio.ensure_future(_gathered(future))
        gone = asyncio.ensure_future(_all_gone(session, frozenset(workers)))
        try:
            await asyncio.wait({result, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not result.done():
                raise _LostError(suspicious=not session.ended)
            return result.result()
        finally:
            for waiting in (result, gone):
                waiting.cancel()
            with suppress(Exception):
                future.release()


async def _gathered(future: Any) -> Parcel:
    try:
        parcel = await future.result()
    except CancelledError as error:
        # Dask cancels what a client waits for that has lost its scheduler.
        raise _LostError(suspicious=False) from error
    except Exception as error:
        # `KilledWorker`, mostly: no task raises anything, so it did not come to be done.
        raise _LostError(suspicious=True) from error
    if not isinstance(parcel, Parcel):
        raise _LostError(suspicious=True)
    return parcel


async def _all_gone(session: _Session, workers: Iterable[str]) -> None:
    """Wait until none of some workers is there any more."""

    def are_gone() -> bool:
        return session.ended or not any(address in session.workers for address in workers)

    async with session.changed:
        await session.changed.wait_for(are_gone)


def _has_workers_or_ended(session: _Session) -> bool:
    return session.ended or bool(session.admitted)


async def _has_dashboard(client: Any) -> bool:
    identity = await asyncio.wait_for(client.scheduler.identity(n_workers=0), _ANSWER_SECONDS)
    return "dashboard" in identity["services"]


class _RefusedError(Exception):
    """The scheduler is not worked with; the message says why, and what to do."""


def _reason(error: BaseException) -> str:
    if isinstance(error, _RefusedError | ConnectionError):
        return str(error)
    if isinstance(error, TimeoutError | OSError):
        return "the scheduler does not answer"
    return type(error).__name__
