"""The executor: where the work of processors is done, in processes of this machine or by the workers of a Dask cluster."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

_SCHEMES: Final = {"dask": "tcp", "dask+tls": "tls"}
_DEFAULT_PORT: Final = 8786


@dataclass(frozen=True, slots=True)
class SchedulerAddress:
    """Where the scheduler of a Dask cluster is."""

    host: str
    port: int
    tls: bool

    def __str__(self) -> str:
        """Return it as Dask has it, such as ``tls://scheduler:8786``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'tls' if self.tls else 'tcp'}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class ClusterFiles:
    """PEM files that prove to a Dask cluster who this is, and to this whose cluster it is."""

    authorities: Path
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class ExecutorPlace:
    """A Dask cluster.

    Attributes
    ----------
    scheduler : SchedulerAddress
        Where its scheduler is.
    files : ClusterFiles or None
        What TLS needs; None without TLS.
    plain : bool
        Whether it may be on other machines though nothing is encrypted on the way.
    """

    scheduler: SchedulerAddress
    files: ClusterFiles | None
    plain: bool


def parse_executor(url: str) -> SchedulerAddress:
    """Return the address in ``dask://host:port`` or ``dask+tls://host:port``; raises ValueError for anything else."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = 0
    proper = parts.username is None and not (parts.path.strip("/") or parts.query or parts.fragment)
    if parts.scheme not in _SCHEMES or not parts.hostname or port == 0 or not proper:
        raise ValueError("it must be dask+tls://host:port, or dask://host:port for a scheduler on this machine")
    return SchedulerAddress(parts.hostname, port or _DEFAULT_PORT, _SCHEMES[parts.scheme] == "tls")


def is_loopback(host: str) -> bool:
    """Return whether a name or an address is one of this machine that nobody else reaches."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_executor(url: str, files: tuple[str, str, str], *, plain: bool) -> ExecutorPlace | None:
    """Return the cluster that settings name; None where they name none.

    Parameters
    ----------
    url : str
        Of the scheduler; empty for none.
    files : tuple of str
        Authorities, certificate and key, by their paths.
    plain : bool
        Whether keys may travel without TLS.

    Raises
    ------
    ValueError
        They cannot be together.
    """
    if not url:
        if any(files):
            raise ValueError("EXECUTOR_CA, EXECUTOR_CERTIFICATE and EXECUTOR_KEY need EXECUTOR=dask+tls://host:port")
        return None
    address = parse_executor(url)
    if address.tls:
        if not all(files):
            raise ValueError("dask+tls needs EXECUTOR_CA, EXECUTOR_CERTIFICATE and EXECUTOR_KEY")
        return ExecutorPlace(address, ClusterFiles(*map(Path, files)), plain=plain)
    if any(files):
        raise ValueError("EXECUTOR_CA, EXECUTOR_CERTIFICATE and EXECUTOR_KEY need dask+tls")
    if not plain and not is_loopback(address.host):
        raise ValueError(
            f"{url!r} is not on this machine, and keys of data stores would travel to it without encryption; "
            "use dask+tls, or set EXECUTOR_PLAIN=true where nobody else can listen or connect"
        )
    return ExecutorPlace(address, None, plain=plain)
