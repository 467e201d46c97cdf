"""The process of `preloaded.Preloader`: imports the modules that it is told, then forks a program for each message.

preloader.py DESCRIPTOR MODULE...
"""

from __future__ import annotations

import gc
import importlib
import json
import multiprocessing.util
import os
import re
import runpy
import select
import signal
import socket
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from setproctitle import setproctitle

_spawn = multiprocessing.util.spawnv_passfds


def _fork_programs(listener: socket.socket) -> dict[str, Any] | None:
    """Fork a process for each message; return the message in the new one, and None at the end in this one."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([0, listener, woken], [], [])
        if 0 in ready:
            return None
        if woken in ready:
            os.read(woken, 512)
            _tell_ended(running)
        if listener in ready:
            connection, _ = listener.accept()
            message, descriptors, _, _ = socket.recv_fds(connection, 1 << 17, 3)
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for number, descriptor in enumerate(descriptors):
                    os.dup2(descriptor, number)
                for one in (listener, connection, *running.values()):
                    one.detach()
                os.closerange(3, os.sysconf("SC_OPEN_MAX"))
                program: dict[str, Any] = json.loads(message)
                return program
            for descriptor in descriptors:
                os.close(descriptor)
            running[pid] = connection
            # Whoever asked for it may be gone.
            with suppress(OSError):
                connection.send(str(pid).encode())


def _tell_ended(running: dict[int, socket.socket]) -> None:
    """Tell the exit status of each process that has ended to whoever started it."""
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        with running.pop(pid) as connection, suppress(OSError):
            connection.send(str(os.waitstatus_to_exitcode(status)).encode())


def _run(program: dict[str, Any], put_by_imports: dict[str, str]) -> None:
    """Be a program, as ``python -m`` makes it."""
    os.chdir(program["folder"])
    os.environ.clear()
    os.environ.update(put_by_imports | program["environment"])
    module, *arguments = program["arguments"]
    setproctitle(" ".join([sys.executable, "-m", module, *arguments]))
    multiprocessing.util.spawnv_passfds = _fork_or_spawn
    sys.path.insert(0, program["folder"])
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _fork_or_spawn(path: bytes, arguments: Sequence[Any], descriptors: Sequence[int]) -> int:
    """Start a program for the standard library: what it starts needs only what is imported here, and is forked."""
    words = [os.fsdecode(word) for word in arguments]
    if "multiprocessing" not in words[-1] or _has_threads():
        return _spawn(path, arguments, descriptors)
    pid = os.fork()
    if pid == 0:
        _be(words, set(descriptors))
    return pid


def _has_threads() -> bool:
    """Return whether anything else runs in this process: a copy of it would wait in vain for locks that are held here."""
    return len(os.listdir("/proc/self/task")) > 1  # noqa: PTH208 - names are all that is wanted


def _be(words: list[str], kept: set[int]) -> NoReturn:
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in {int(one.name) for one in Path("/proc/self/fd").iterdir()} - {0, 1, 2, nothing, *kept}:
            # What refers to it still must not meet another file of the same number.
            with suppress(OSError):
                os.dup2(nothing, descriptor)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_DFL)
        sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
        for word in words:
            if word.startswith("-W"):
                action, _, message = word.removeprefix("-W").partition(":")
                warnings.filterwarnings(action, re.escape(message))
        setproctitle(" ".join(words))
        exec(words[-1], {"__name__": "__main__"})
    finally:
        os._exit(0)


if __name__ == "__main__":
    number, *modules = sys.argv[1:]
    # Not from the folder of this file.
    del sys.path[0]
    # As the command sets it before it imports anything.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    gc.disable()
    before = dict(os.environ)
    for name in modules:
        importlib.import_module(name)
    gc.freeze()
    put_by_imports = dict(os.environ.items() - before.items())
    # It finds the room for titles beside the environment that Python was started with.
    setproctitle("preloader of programs")
    program = _fork_programs(socket.socket(fileno=int(number)))
    gc.enable()
    if program is not None:
        _run(program, put_by_imports)
