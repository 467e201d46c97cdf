"""Programs of Python that start at once: each is forked from a process that has imported what they need.

    test ─args, environment, folder, descriptors─▶ preloader ─fork─▶ the program, which is run as ``python -m`` would run it
         ◀──────────── process id, exit status ───┘

Importing is nine tenths of the start of a server.
A program that is started so is the same program in a process of its own, with more modules imported than it asks for.
What a test says about the start itself, about memory or about imports needs a process that Python started.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

_PRELOADER: Final = Path(__file__).with_name("preloader.py")
_MESSAGE_BYTES: Final = 1 << 17


class PreloadedProcess:
    """A program that was started by a `Preloader`, with what tests use of `subprocess.Popen`."""

    def __init__(self, pid: int, args: Sequence[str], ended: socket.socket) -> None:
        self.pid = pid
        self.args = args
        self.returncode: int | None = None
        self._ended = ended

    def poll(self) -> int | None:
        """Return the exit status, None while it runs."""
        return self._look(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit status; raises `subprocess.TimeoutExpired`."""
        status = self._look(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(list(self.args), timeout or 0.0)
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal, where it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _look(self, seconds: float | None) -> int | None:
        if self.returncode is None and select.select([self._ended], [], [], seconds)[0]:
            self.returncode = int(self._ended.recv(16) or b"-9")
            self._ended.close()
        return self.returncode


class Preloader:
    """A process that has imported modules, and forks programs.

    Parameters
    ----------
    modules : sequence of str
        What it imports.
    environment : mapping
        Its environment variables.
    """

    def __init__(self, modules: Sequence[str], environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, str(_PRELOADER), str(theirs.fileno()), *modules],
                env=self._environment,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        atexit.register(self.close)

    def takes(self, environment: Mapping[str, str], prefixes: tuple[str, ...]) -> bool:
        """Return whether an environment differs from that of the preloader only in variables of some prefixes.

        Other variables may change what Python and the modules do when they are imported.
        """
        differing = environment.items() ^ self._environment.items()
        return all(name.startswith(prefixes) for name, _ in differing)

    def start(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        stdin: int,
        stdout: int,
        stderr: int,
    ) -> PreloadedProcess:
        """Start a program.

        Parameters
        ----------
        arguments : sequence of str
            The module to be run, and the arguments of the program.
        environment : mapping
            Environment variables.
        stdin, stdout, stderr : int
            Descriptors.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            message = {"arguments": list(arguments), "environment": dict(environment), "folder": str(Path.cwd())}
            descriptors = [stdin, stdout, stderr, theirs.fileno()]
            socket.send_fds(self._socket, [json.dumps(message).encode()], descriptors)
        pid = int(ours.recv(16) or b"0")
        assert pid, "the preloader ended"
        return PreloadedProcess(pid, arguments, ours)

    def close(self) -> None:
        """End the preloader; what it started goes on."""
        self._socket.close()
        self._process.wait()
