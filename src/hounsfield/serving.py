"""Running the processes of an installation on one machine.

    hounsfield serve ─┬─▶ API processes (Granian)
                      └─▶ one runner process ─▶ transcoding processes

Every child watches its parent and ends with it, so that killing the first process leaves nothing behind.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import structlog
from granian import Granian
from granian.constants import Interfaces, Loops

from hounsfield.access.credentials import root_key
from hounsfield.app import PARENT, credentials_file, open_archive
from hounsfield.settings import PREFIX, Settings
from hounsfield.storage.durable import write_file_durably

_log = structlog.get_logger(__name__)
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_RESTART_SECONDS = 1.0


class ServingError(Exception):
    """The server cannot be started as asked."""


def serve(settings: Settings, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT.

    Parameters
    ----------
    settings : Settings
        The installation.
    host : str
        Address to listen on.
    port : int
        Port to listen on; 0 for a free one, which ``server.json`` in the data folder then tells.

    Raises
    ------
    ServingError
        Serving without authentication was asked for on an address that is not loopback.
    """
    if settings.insecure_no_auth and host not in _LOOPBACK:
        raise ServingError(f"Without authentication only loopback is served, not {host}.")
    archive, _ = open_archive(settings)
    archive.database.close()
    root_key(credentials_file(settings))
    port = port or _free_port(host)
    os.environ[f"{PREFIX}DATA"] = str(settings.data.absolute())
    os.environ[PARENT] = str(os.getpid())
    stop = threading.Event()
    keeper = threading.Thread(target=_keep_runner, args=(stop,), name="runner-keeper")
    keeper.start()
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    write_file_durably(server_file(settings.data), json.dumps({"url": url, "pid": os.getpid()}).encode())
    _log.info("serving", url=url, credentials=str(credentials_file(settings)))
    try:
        Granian(
            "hounsfield.app:create_app",
            address=host,
            port=port,
            interface=Interfaces.ASGI,
            factory=True,
            loop=Loops.asyncio,
            workers=settings.api_workers,
            backlog=2048,
            log_enabled=False,
            respawn_failed_workers=True,
            websockets=False,
        ).serve()
    finally:
        stop.set()
        keeper.join()
        server_file(settings.data).unlink(missing_ok=True)


def _free_port(host: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _keep_runner(stop: threading.Event) -> None:
    """Keep one runner process going."""
    while not stop.is_set():
        runner = subprocess.Popen([sys.executable, "-m", "hounsfield", "runner"])
        while runner.poll() is None and not stop.wait(0.2):
            pass
        if stop.is_set():
            runner.terminate()
            runner.wait()
            return
        _log.error("runner ended, starting another", exit_code=runner.returncode)
        stop.wait(_RESTART_SECONDS)


def server_file(data: Path) -> Path:
    """Give the path of the file that tells the URL of the running server."""
    return data / "server.json"


def running_url(data: Path) -> str | None:
    """Give the URL of the server of a data folder if one answers."""
    with suppress(OSError, ValueError, KeyError):
        url = str(json.loads(server_file(data).read_text())["url"])
        if is_ready(url):
            return url
    return None


def is_ready(url: str) -> bool:
    """Tell whether a server answers on its health route."""
    with suppress(URLError, OSError), urlopen(f"{url}/healthz", timeout=2) as answer:  # noqa: S310 - http, of our own making
        return bool(answer.status == 200)
    return False


@contextmanager
def server_of(data: Path, *, host: str = "127.0.0.1", wait_seconds: float = 60.0) -> Iterator[str]:
    """Give the URL of the server of a data folder; where none runs, one is started for as long as the block lasts.

    Raises
    ------
    ServingError
        The server did not become ready.
    """
    url = running_url(data)
    if url is not None:
        yield url
        return
    port = _free_port(host)
    url = f"http://{host}:{port}"
    command = [sys.executable, "-m", "hounsfield", "serve", "--data", str(data), "--host", host, "--port", str(port)]
    server = subprocess.Popen(
        command, env={**os.environ, f"{PREFIX}LOG_LEVEL": os.environ.get(f"{PREFIX}LOG_LEVEL", "warning")}
    )
    try:
        deadline = time.monotonic() + wait_seconds
        while not is_ready(url):
            if server.poll() is not None or time.monotonic() > deadline:
                raise ServingError("The server did not start; its messages above say why.")
            time.sleep(0.1)
        yield url
    finally:
        server.terminate()
        server.wait()
