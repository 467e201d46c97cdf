"""Processes of a server that are killed, each kind by its name."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

import psutil

from support.processes import api_processes, fork_servers, runners, store_workers, workers
from support.servers import ServerProcess


def _kill_one(found: list[psutil.Process], dice: random.Random) -> bool:
    if not found:
        return False
    try:
        dice.choice(found).kill()
    except psutil.NoSuchProcess:
        return False
    return True


def kill_server(server: ServerProcess, _: random.Random) -> bool:
    """Kill the first process; its children see that and end, and another server takes over the data folder."""
    assert server.process is not None
    family = psutil.Process(server.process.pid).children(recursive=True)
    server.process.kill()
    server.process.wait()
    _, alive = psutil.wait_procs(family, timeout=120)
    assert alive == [], "processes outlive the server"
    server.log.close()
    server.start()
    return True


def kill_processes(server: ServerProcess) -> None:
    """Kill all processes at once, as the end of the machine does."""
    assert server.process is not None
    family = psutil.Process(server.process.pid).children(recursive=True)
    server.process.kill()
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    server.process.wait()
    psutil.wait_procs(family, timeout=120)


def kill_all(server: ServerProcess, _: random.Random) -> bool:
    """Kill all processes at once, and start another server."""
    kill_processes(server)
    server.log.close()
    server.start()
    return True


KILLS: Final[Mapping[str, Callable[[ServerProcess, random.Random], bool]]] = {
    "worker": lambda server, dice: _kill_one(workers(server) + store_workers(server), dice),
    "fork server": lambda server, dice: _kill_one(fork_servers(server), dice),
    "runner": lambda server, dice: _kill_one(runners(server), dice),
    "api": lambda server, dice: _kill_one(api_processes(server), dice),
    "server": kill_server,
    "all": kill_all,
}
"""What kills a process of a kind, and returns whether there was one."""
