"""The Dask cluster that the settings name.

Settings ─▶ open_cluster ─▶ Cluster ─▶ pool_of ─▶ a pool for imports, for STOW-RS, for verifying
"""

from __future__ import annotations

import importlib.util
import pickle
from typing import TYPE_CHECKING, Final

from hounsfield.bootstrap.image_store import archive_location, blob_location, open_buckets
from hounsfield.settings import InstallationError, Settings
from hounsfield.storage.blobs.location_marker import MARK
from hounsfield.storage.shared_places import SharedPlaces, read_mark

if TYPE_CHECKING:
    # What it needs is installed only where there is a cluster.
    from hounsfield.runtime.cluster.cluster import Cluster
    from hounsfield.runtime.cluster.remote_pool import RemotePool
    from hounsfield.runtime.cluster.state import ClusterState

TASKS: Final = "hounsfield.imaging.ingest.worker"
"""Module that the processes of workers begin with."""
STORE_PRIORITY: Final = 10
VERIFY_PRIORITY: Final = -10
"""Imports have 0: who waits for an answer goes first, and what nobody waits for last."""
FALL_BACK_SECONDS: Final = 10.0
"""How long what processes of this machine could do waits for a cluster that has no workers any more."""


def open_cluster(settings: Settings) -> Cluster | None:
    """Return the cluster that the settings name, not connected yet; None where they name none.

    Raises
    ------
    InstallationError
        What a cluster needs is not installed, or its files cannot be read.
    """
    place = settings.cluster
    if place is None:
        return None
    if importlib.util.find_spec("distributed") is None:
        raise InstallationError(
            "HOUNSFIELD_EXECUTOR names a Dask cluster, and Dask is not installed; install hounsfield[dask]"
        )
    for file in () if place.files is None else (place.files.authorities, place.files.certificate, place.files.key):
        try:
            file.read_bytes()
        except OSError as error:
            raise InstallationError(
                f"HOUNSFIELD_EXECUTOR needs {file}, which cannot be read: {error.strerror}"
            ) from error
    from hounsfield.runtime.cluster.cluster import Admission, Cluster

    def places() -> bytes:
        packs, buckets = blob_location(settings), open_buckets(settings)
        mark = read_mark(packs.open(), MARK)
        if not mark:
            raise ConnectionError(f"{MARK} is not at the place of the packs")
        found = SharedPlaces(packs, MARK, mark, archive_location(settings), "" if buckets.remote else buckets.folder)
        return pickle.dumps(found.find_fault)

    return Cluster(place, Admission(TASKS, places))


def pool_of(cluster: Cluster | None, priority: int = 0, wait_seconds: float | None = None) -> RemotePool | None:
    """Return the workers of a cluster as a pool, see `RemotePool`; None without a cluster."""
    if cluster is None:
        return None
    from hounsfield.runtime.cluster.remote_pool import RemotePool

    return RemotePool(cluster, priority=priority, wait_seconds=wait_seconds)


def read_cluster_state(settings: Settings, seconds: float = FALL_BACK_SECONDS) -> ClusterState | None:
    """Connect to the cluster that the settings name, and return how it stands after a while; None where they name none.

    Parameters
    ----------
    settings : Settings
        The settings.
    seconds : float
        How long to wait at most until every worker was asked whether it is fit.

    Raises
    ------
    InstallationError
        What a cluster needs is not installed, or its files cannot be read.
    """
    cluster = open_cluster(settings)
    if cluster is None:
        return None
    try:
        cluster.wait_asked(seconds)
        return cluster.state
    finally:
        cluster.close()
