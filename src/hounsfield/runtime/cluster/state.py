"""The state of a cluster, as one process sees it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClusterWorker:
    """A worker of a cluster.

    Attributes
    ----------
    name : str
        What it is called, which is its address unless whoever started it gave it a name.
    address : str
        Where it is.
    threads : int
        Tasks that it works on at a time.
    fault : str or None
        Why it gets no work; empty for one that does, None while it is asked.
    """

    name: str
    address: str
    threads: int
    fault: str | None = None

    @property
    def is_fit(self) -> bool:
        """Whether it gets work."""
        return self.fault == ""


@dataclass(frozen=True, slots=True)
class ClusterState:
    """A cluster at a moment.

    Attributes
    ----------
    scheduler : str
        Address of the scheduler.
    dashboard : str
        Its page; empty where it has none, or is not reached.
    fault : str
        Why it is not worked with; empty while it is.
    workers : tuple of ClusterWorker
        Its workers.
    """

    scheduler: str
    dashboard: str = ""
    fault: str = "not connected yet"
    workers: tuple[ClusterWorker, ...] = ()

    @property
    def is_asked(self) -> bool:
        """Whether each worker was asked whether it is fit."""
        return all(worker.fault is not None for worker in self.workers)

    @property
    def threads(self) -> int:
        """Tasks that are worked on at a time by the workers that get work."""
        return sum(worker.threads for worker in self.workers if worker.is_fit)
