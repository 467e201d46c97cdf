"""Programs of Python that start at once: each is forked from a process that has imported what they need.

    test ─arguments, environment, folder, descriptors─▶ preloader ─fork─▶ the program
         ◀──────── process id, exit status ────────────┘

Importing is nine tenths of the start of a server, and all but all of the start of a command.
A program that is started so is the same program in a process of its own, with more modules imported than it asks for.
What a test says about the start itself, about memory or about imports needs a process that Python started.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

_PRELOADER: Final = Path(__file__).with_name("preloader.py")


_COMMAND: Final = """#!{python} -IS
import json, os, socket, sys
if os.environ.get("HOME") != {home!r}:
    os.execv({installed!r}, [{installed!r}, *sys.argv[1:]])
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
    connection.connect({address!r})
    program = {{"arguments": [{module!r}, *sys.argv[1:]], "environment": dict(os.environ), "folder": os.getcwd()}}
    socket.send_fds(connection, [json.dumps(program).encode()], [0, 1, 2])
    connection.recv(16)
    status = int(connection.recv(16))
sys.exit(status if status >= 0 else 128 - status)
"""
"""What a shell starts: it asks for a program with its own descriptors, waits for the end and ends with the same status.

Modules look for the home folder when they are imported; with another one the program is the installed one.
"""


class PreloadedProcess:
    """A program that was started by a `Preloader`, with what tests use of `subprocess.Popen`."""

    def __init__(self, arguments: Sequence[str], connection: socket.socket) -> None:
        self.args = arguments
        self.returncode: int | None = None
        self._connection = connection
        try:
            self.pid = int(connection.recv(16))
        except (OSError, ValueError) as error:
            raise AssertionError("the preloader ended; what it said is on standard error") from error

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
        if self.returncode is None and select.select([self._connection], [], [], seconds)[0]:
            self.returncode = int(self._connection.recv(16) or -signal.SIGKILL)
            self._connection.close()
        return self.returncode


class Preloader:
    """A process that has imported modules, and forks programs.

    Parameters
    ----------
    modules : sequence of str
        What it imports.
    environment : mapping
        Its environment variables.

    Attributes
    ----------
    folder : Path
        A folder for ``PATH``: programs in it, made by `command`, are forked too.
    """

    def __init__(self, modules: Sequence[str], environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self.folder = Path(tempfile.mkdtemp(prefix="preloaded-", dir="/tmp"))
        self._address = str(self.folder / "socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(self._address)
            listener.listen(64)
            self._process = subprocess.Popen(
                [sys.executable, str(_PRELOADER), str(listener.fileno()), *modules],
                env=self._environment,
                pass_fds=[listener.fileno()],
                stdin=subprocess.PIPE,
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
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.connect(self._address)
        message = {"arguments": list(arguments), "environment": dict(environment), "folder": str(Path.cwd())}
        socket.send_fds(connection, [json.dumps(message).encode()], [stdin, stdout, stderr])
        return PreloadedProcess(arguments, connection)

    def run(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        given: str = "",
        stdout: int | None = None,
        timeout: float = 240.0,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, as `subprocess.run` that captures what it prints.

        Parameters
        ----------
        given : str
            What it finds on standard input.
        stdout : int or None
            Descriptor that it prints to; None to capture that.
        timeout : float
            Seconds that it may take.
        """
        with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            stdin.write(given.encode())
            stdin.seek(0)
            printing = output.fileno() if stdout is None else stdout
            process = self.start(arguments, environment, stdin.fileno(), printing, errors.fileno())
            try:
                code = process.wait(timeout)
            finally:
                process.kill()
            printed = []
            for file in (output, errors):
                file.seek(0)
                printed.append(file.read().decode())
        return subprocess.CompletedProcess(list(arguments), code, *printed)

    def command(self, name: str, module: str) -> None:
        """Put a command into `folder` that runs a module."""
        path = self.folder / name
        installed, home = str(Path(sys.executable).with_name(name)), self._environment.get("HOME")
        path.write_text(
            _COMMAND.format(python=sys.executable, address=self._address, module=module, installed=installed, home=home)
        )
        path.chmod(0o755)

    def close(self) -> None:
        """End the preloader; what it started goes on."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        shutil.rmtree(self.folder)
