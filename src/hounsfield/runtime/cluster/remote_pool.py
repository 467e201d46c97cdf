"""The remote pool: workers of a cluster, in the form that worker processes of this machine have.

submit ─▶ RemotePool ─▶ Cluster ─▶ a worker
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from hounsfield.runtime.cluster.cluster import Cluster

P = ParamSpec("P")
T = TypeVar("T")


class _RemoteExecutor(Executor):
    def __init__(self, cluster: Cluster, priority: int, wait_seconds: float | None) -> None:
        self._cluster = cluster
        self._priority = priority
        self._wait_seconds = wait_seconds

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        return self._cluster.submit(fn, args, kwargs, priority=self._priority, wait_seconds=self._wait_seconds)


class RemotePool:
    """Workers of a cluster, which may come and go.

    Parameters
    ----------
    cluster : Cluster
        The cluster.
    priority : int
        Of two tasks that wait at a worker the one with the higher number goes first.
    wait_seconds : float or None
        How long tasks wait while there is no worker at all, before they fail by `NoWorkersError`; None for as long as it takes.
    """

    def __init__(self, cluster: Cluster, *, priority: int = 0, wait_seconds: float | None = None) -> None:
        self._cluster = cluster
        self._executor: Executor = _RemoteExecutor(cluster, priority, wait_seconds)

    @property
    def processes(self) -> int:
        """Tasks that are worked on at a time; at least one, for which the first worker is waited."""
        return max(1, self._cluster.state.threads)

    @property
    def is_ready(self) -> bool:
        """Whether there is a worker now."""
        return self._cluster.is_ready

    def start(self) -> None:
        """Begin to connect."""
        self._cluster.start()

    def submit(self, task: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> tuple[Executor, Future[T]]:
        """Hand in a task; also gives what `renew` of other pools needs."""
        return self._executor, self._executor.submit(task, *args, **kwargs)

    @contextmanager
    def single(self) -> Iterator[Executor]:
        """Open what works on each task in a process that nobody else uses, as the workers of a cluster always do."""
        yield self._executor

    def renew(self, broken: Executor) -> None:
        """Do nothing: a process that ended is replaced by its worker, and a worker by whoever runs the cluster."""

    def close(self) -> None:
        """Let go of the cluster, for all pools of it."""
        self._cluster.close()

    def __repr__(self) -> str:
        return f"RemotePool({self._cluster.state.scheduler})"
