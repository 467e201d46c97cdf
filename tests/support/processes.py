"""The processes of a running server, told apart by their parents and command lines."""

from __future__ import annotations

from pathlib import Path

import psutil

from support.servers import ServerProcess


def _children(parent: int) -> list[psutil.Process]:
    try:
        return psutil.Process(parent).children()
    except psutil.NoSuchProcess:
        return []


def _command(process: psutil.Process) -> list[str]:
    """Return the words of its command line; one that was given a name has them in one piece."""
    try:
        return " ".join(process.cmdline()).split()
    except psutil.Error:
        return []


def runners(server: ServerProcess) -> list[psutil.Process]:
    """The runner process, if it is up."""
    assert server.process is not None
    return [child for child in _children(server.process.pid) if _command(child)[-1:] == ["runner"]]


def api_processes(server: ServerProcess) -> list[psutil.Process]:
    """The processes that answer requests, and the one that keeps them going."""
    assert server.process is not None
    fathers = [child for child in _children(server.process.pid) if "api" in _command(child)]
    return [*fathers, *(child for father in fathers for child in _children(father.pid))]


def _fork_servers(process: psutil.Process) -> list[psutil.Process]:
    return [child for child in _children(process.pid) if "multiprocessing.forkserver" in " ".join(_command(child))]


def _forked(process: psutil.Process) -> list[psutil.Process]:
    """What the fork server of a process has made."""
    return [worker for server in _fork_servers(process) for worker in _children(server.pid)]


def fork_servers(server: ServerProcess) -> list[psutil.Process]:
    """The processes that fork those that transcode."""
    return [child for parent in runners(server) + api_processes(server) for child in _fork_servers(parent)]


def workers(server: ServerProcess) -> list[psutil.Process]:
    """The transcoding processes of the runner."""
    return [worker for runner in runners(server) for worker in _forked(runner)]


def store_workers(server: ServerProcess) -> list[psutil.Process]:
    """The transcoding processes of what is stored by DICOMweb."""
    return [worker for api in api_processes(server) for worker in _forked(api)]


def working_on(server: ServerProcess, file: Path) -> list[psutil.Process]:
    """The transcoding processes that have a file open."""
    found = []
    for worker in workers(server):
        try:
            if any(Path(opened.path) == file.resolve() for opened in worker.open_files()):
                found.append(worker)
        except psutil.Error:
            continue
    return found
