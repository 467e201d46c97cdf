"""Supervisor: forks the API processes and the runner of one machine, and restarts them.

    hounsfield serve ─┬─▶ hounsfield api ─▶ API processes (Granian)
     (keeps both      └─▶ hounsfield runner ─▶ transcoding processes
      going)

The first process imports what the two others need, and then only keeps them going: whichever ends is started again. Every child
watches its parent and ends with it, so that killing the first process leaves nothing behind.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from hounsfield.bootstrap.server_file import read_server_url, server_file, write_server_url
from hounsfield.bootstrap.start_reports import StartReports, has_worked, is_received
from hounsfield.iam.root_credentials import credentials_file, root_key
from hounsfield.runtime.gc_freeze import defer_collection
from hounsfield.runtime.service_manager import READY, STOPPING, notify_service_manager
from hounsfield.runtime.tls import CertificateWatch, reconnect_after_renewal
from hounsfield.runtime.worker_pool import PARENT, REFUSAL, end_with_parent, notify_ready, start_fork_server
from hounsfield.server.child_process import ChildProcess, RefusedError
from hounsfield.settings import PREFIX, InstallationError, Settings, SettingsError, load_settings
from hounsfield.settings.tls import TlsFilesError
from hounsfield.storage.durable_files import make_folder_durably

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from hounsfield.bootstrap.folder_claim import FolderClaim

_log = structlog.get_logger(__name__)
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_WATCH_SECONDS = 0.2
_PORT_SECONDS = 3.0
"""How long whoever listens on the port may take to end."""
_TRY_AGAIN_SECONDS = 2.0
_OTHER_FILES = 1024


class ServingError(Exception):
    """The server cannot be started as asked."""


class ServerEndedError(ServingError):
    """A server that was started did not run, and has said why on standard error."""


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
        Serving without authentication was asked for on an address that is not loopback, or a process refuses its settings.
    """
    if settings.insecure_no_auth and not is_loopback(host):
        raise ServingError(f"Without authentication only loopback is served, not {host}.")
    check_address(host, port)
    port = port or free_port(host)
    url = url_of(settings, host, port)
    if settings.tls is not None:
        try:
            settings.tls.check()
        except TlsFilesError as error:
            raise ServingError(str(error)) from error
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run_runner = _import_once()
    claim = _claim(settings, url)
    _log.info("serving", url=url, credentials=str(credentials_file(settings.data)))
    reports = StartReports()
    reports.receive()
    variables = {f"{PREFIX}DATA": str(settings.data.absolute()), PARENT: str(os.getpid())}
    kept: list[ChildProcess] = []
    try:
        kept.append(ChildProcess("runner", lambda: run_runner(load_settings()), variables, reports))
        kept.append(ChildProcess("api", lambda: serve_api(load_settings(), host, port), variables, reports))
        _keep_going(kept, reports, claim, stop)
    except RefusedError as error:
        raise ServingError(str(error)) from error
    finally:
        notify_service_manager(STOPPING)
        for process in kept:
            process.ask_to_end()
        for process in kept:
            process.end()
        server_file(settings.data).unlink(missing_ok=True)
        claim.release()


def _claim(settings: Settings, url: str) -> FolderClaim:
    """Claim the data folder for this server, and leave its URL there; raises `InstallationError` where that cannot be."""
    from hounsfield.bootstrap.folder_claim import API, RUNNER, claim_folder
    from hounsfield.bootstrap.start_faults import explain_start_faults

    claim = claim_folder(settings, (API, RUNNER))
    with explain_start_faults(settings):
        if credentials_file(settings.data).exists():
            # Before the runner begins to work, for which API processes that are refused would end it.
            root_key(credentials_file(settings.data))
        make_folder_durably(settings.data)
        write_server_url(settings.data, url)
    return claim


def _keep_going(kept: Sequence[ChildProcess], reports: StartReports, claim: FolderClaim, stop: threading.Event) -> None:
    """Start again what ends, until ``stop`` is set; raises `RefusedError`."""
    ready = False
    while not stop.wait(_WATCH_SECONDS):
        for process in kept:
            process.restart_if_ended()
        claim.touch()
        if not ready and reports.ready >= {"api", "runner"}:
            ready = True
            notify_service_manager(READY)
        # What was not taken is tried again; a thread of its own is nothing to have before a fork.
        sys.stderr.flush()


def _import_once() -> Callable[[Settings], None]:
    """Import all that API processes and the runner need, so that those who are forked have it; give what runs the runner."""
    with defer_collection():
        import hounsfield.bootstrap.api
        import hounsfield.server.granian_server  # noqa: F401
        from hounsfield.server.runner import run_runner

    return run_runner


def serve_api(settings: Settings, host: str, port: int) -> None:
    """Run the API processes only, until SIGTERM or SIGINT; raises `SettingsError` when they cannot work as they are set up."""
    if settings.insecure_no_auth and not is_loopback(host):
        raise SettingsError(f"without authentication only loopback is served, not {host}")
    # Commands that only ask for a server have no need of the server software, and API processes are forked from this one.
    with defer_collection():
        import hounsfield.bootstrap.api  # noqa: F401
        from hounsfield.bootstrap.folder_claim import API, claim_folder
        from hounsfield.server.granian_server import ApiServer, ConnectionLimits
        from hounsfield.storage.blobs.spool import remove_spooled_files

    end_with_parent()
    tls = settings.tls
    if tls is not None:
        try:
            tls.check()
        except TlsFilesError as error:
            raise InstallationError(str(error)) from error
    elif not is_loopback(host):
        _log.warning("plain HTTP: everybody on the network can read along; set HOUNSFIELD_TLS_CERTIFICATE", host=host)
    if not is_received():
        # Where another process keeps this one, it has looked before it began.
        check_address(host, port)
        claim_folder(settings, (API,)).keep_touching()
    os.environ[PARENT] = str(os.getpid())
    os.environ[f"{PREFIX}DATA"] = str(settings.data.absolute())
    remove_spooled_files(settings.data / "spool")
    allow_files(settings.max_connections + _OTHER_FILES)
    reports = StartReports()
    if not is_received():
        reports.receive()
    refused = threading.Event()

    def end(*_: object) -> None:
        refused.set()
        signal.raise_signal(signal.SIGTERM)

    # Granian would start a process that refuses its settings again and again.
    signal.signal(REFUSAL, end)
    if tls is not None:
        CertificateWatch(tls).start()
    limits = ConnectionLimits(
        max(1, settings.max_connections // settings.api_workers),
        settings.max_header_bytes,
        settings.header_timeout_seconds,
    )
    ApiServer(host, port, settings.api_workers, tls, limits).serve()
    if refused.is_set():
        reports.look()
        raise InstallationError(
            (reports.refusals or ["the API cannot be served as it is set up, see the log above"])[0]
        )


def check_address(host: str, port: int) -> None:
    """Make sure that an address can be listened on, and by nobody else; raises `InstallationError`.

    The server software would share the port with whoever listens there already.
    """
    until = time.monotonic() + _PORT_SECONDS
    while True:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
                probe.listen(1)
        except OSError as error:
            # Processes of a server that was killed may just be ending.
            if error.errno == errno.EADDRINUSE and time.monotonic() < until:
                time.sleep(_WATCH_SECONDS)
                continue
            why = (
                "another process listens there; stop it, or choose another port with --port"
                if error.errno == errno.EADDRINUSE
                else f"{error.strerror}; choose another address with --host and --port"
            )
            raise InstallationError(f"{host} port {port} cannot be listened on: {why}") from error
        return


def allow_files(number: int) -> None:
    """Let this process and its children have that many files and sockets open, if the system lets them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < number:
        wanted = number if hard == resource.RLIM_INFINITY else min(number, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address to listen on."""
    return host in _LOOPBACK


def create_app() -> ASGIApp:
    """Make the application of one API process, in the process that Granian has just forked for it."""
    # Until its event loop runs, the process would only note a signal in its copy of Granian, and serve on when all others end.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    with defer_collection():
        from hounsfield.bootstrap import api
        from hounsfield.imaging.ingest.worker import warm_up
    # Before there are threads; where the machine has no room for it now, whoever needs it tries again.
    with suppress(OSError):
        start_fork_server(warm_up.__module__)

    # The application begins a chain of the audit trail, which only an orderly end ends.
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _frame: asked.append(number))
    made = api.create_app(lambda: _waited(asked))
    tls = load_settings().tls
    return notify_when_ready(made if tls is None else reconnect_after_renewal(made, tls), asked)


def _waited(asked: Sequence[int]) -> bool:
    """Wait before another try to open what API processes had open before; False where none ever had."""
    if not has_worked("api"):
        return False
    until = time.monotonic() + _TRY_AGAIN_SECONDS
    while time.monotonic() < until:
        if asked:
            sys.exit(0)
        time.sleep(_WATCH_SECONDS)
    return True


def notify_when_ready(app: ASGIApp, asked: Sequence[int]) -> ASGIApp:
    """Notify the supervisor of API processes once this one serves; end then where a signal asked for that before."""

    def telling(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "lifespan":
            return app(scope, receive, send)

        async def listening(message: Message) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                notify_ready()
                # The event loop has taken the signals over by now, and ends the process as it does at any other time.
                for number in asked:
                    signal.raise_signal(number)

        return app(scope, receive, listening)

    return telling


def free_port(host: str) -> int:
    """Return a port of an address that nobody listens on."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def running_url(data: Path) -> str | None:
    """Return the URL of the server of a data folder if one answers."""
    url = read_server_url(data)
    with suppress(OSError, ValueError):
        if url is not None and is_ready(url):
            return url
    return None


def url_of(settings: Settings, host: str, port: int) -> str:
    """Return the URL of a server that listens on an address."""
    return f"{'http' if settings.tls is None else 'https'}://{f'[{host}]' if ':' in host else host}:{port}"


def is_ready(url: str) -> bool:
    """Return whether a server of this machine answers on its health route."""
    from urllib.request import urlopen

    tls = load_settings().tls
    with suppress(OSError):
        context = None if tls is None else tls.own_context()
        with urlopen(f"{url}/healthz", timeout=2, context=context) as answer:  # noqa: S310 - of our own making
            return bool(answer.status == 200)
    return False


@contextmanager
def server_of(data: Path, *, host: str = "127.0.0.1", wait_seconds: float = 60.0) -> Iterator[str]:
    """Yield the URL of the server of a data folder; where none runs, one is started for as long as the block lasts.

    Raises
    ------
    ServingError
        The server did not become ready.
    """
    url = running_url(data)
    if url is not None:
        yield url
        return
    port = free_port(host)
    url = url_of(load_settings(), host, port)
    command = [sys.executable, "-m", "hounsfield", "serve", "--data", str(data), "--host", host, "--port", str(port)]
    server = subprocess.Popen(
        command, env={**os.environ, f"{PREFIX}LOG_LEVEL": os.environ.get(f"{PREFIX}LOG_LEVEL", "warning")}
    )
    try:
        deadline = time.monotonic() + wait_seconds
        while not is_ready(url):
            if server.poll() is not None:
                raise ServerEndedError
            if time.monotonic() > deadline:
                raise ServingError(f"The server did not answer on {url} within {wait_seconds:.0f} s; its log says why.")
            time.sleep(0.1)
        yield url
    finally:
        server.terminate()
        server.wait()
