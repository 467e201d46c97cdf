"""The Granian server with graceful renewal: an API process ends only once the new one serves.

SIGHUP ─▶ a new process for each old one ─▶ it tells that it serves (`READY`) ─▶ both serve for a while ─▶ the old one ends
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import structlog
from granian.constants import Interfaces, Loops, SSLProtocols
from granian.http import HTTP1Settings, HTTP2Settings
from granian.server.mp import MPServer

from hounsfield.bootstrap.start_reports import report_ready
from hounsfield.runtime.forking import ForkedPopen
from hounsfield.runtime.service_manager import READY as SERVICE_READY
from hounsfield.runtime.service_manager import notify_service_manager
from hounsfield.runtime.worker_pool import READY
from hounsfield.settings.tls import TlsFiles, TlsVersion

OVERLAP_SECONDS: Final = 5.0
"""How long an old process serves beside the new one, for its clients to connect anew."""
LONGEST_START_SECONDS: Final = 120.0
LONGEST_REQUEST_SECONDS: Final = 3600
"""How long an old process may take to finish what is under way."""
_LOOK_SECONDS = 0.05
_TRY_AGAIN_SECONDS = 1.0
_SOON_SECONDS = 4.0
_LONGEST_URI: Final = 65_534
_HEADER_FRAMING_BYTES: Final = 4096
_MOST_STREAMS: Final = 128
_log = structlog.get_logger(__name__)
_LEAST: Final = {TlsVersion.TLS_1_2: SSLProtocols.tls12, TlsVersion.TLS_1_3: SSLProtocols.tls13}


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What the server software grants a client before the application sees anything of it.

    Attributes
    ----------
    connections : int
        Connections of one API process at the same time; further ones wait to be accepted.
    header_bytes : int
        Largest number of bytes of the headers of a request.
    header_seconds : float
        How long the headers of a request, or of the next one, may take.
    """

    connections: int
    header_bytes: int
    header_seconds: float

    @property
    def http1(self) -> HTTP1Settings:
        """Settings for HTTP/1.1."""
        return HTTP1Settings(
            header_read_timeout=max(1, round(self.header_seconds * 1000)),
            max_buffer_size=_LONGEST_URI + self.header_bytes + _HEADER_FRAMING_BYTES,
        )

    @property
    def http2(self) -> HTTP2Settings:
        """Settings for HTTP/2."""
        return HTTP2Settings(max_concurrent_streams=_MOST_STREAMS, max_headers_size=_LONGEST_URI + self.header_bytes)


class ApiServer(MPServer):
    """Granian for the application of `hounsfield.server.supervisor.create_app`.

    Parameters
    ----------
    host : str
        Address to listen on.
    port : int
        Port to listen on.
    processes : int
        API processes.
    tls : TlsFiles or None
        The certificate; None for plain HTTP.
    limits : ConnectionLimits
        What a client is granted.
    """

    def __init__(self, host: str, port: int, processes: int, tls: TlsFiles | None, limits: ConnectionLimits) -> None:
        super().__init__(
            "hounsfield.server.supervisor:create_app",
            address=host,
            port=port,
            interface=Interfaces.ASGI,
            process_name=f"hounsfield api {host}:{port}",
            factory=True,
            loop=Loops.asyncio,
            workers=processes,
            backlog=2048,
            backpressure=limits.connections,
            http1_settings=limits.http1,
            http2_settings=limits.http2,
            log_enabled=False,
            respawn_failed_workers=True,
            websockets=False,
            respawn_interval=OVERLAP_SECONDS,
            workers_kill_timeout=LONGEST_REQUEST_SECONDS,
            ssl_cert=None if tls is None else tls.certificate,
            ssl_key=None if tls is None else tls.key,
            ssl_protocol_min=SSLProtocols.tls12 if tls is None else _LEAST[tls.least],
            ssl_ca=None if tls is None else tls.client_ca,
            ssl_client_verify=tls is not None and tls.clients_must_show,
        )
        self._serving = 0
        self._begun_at: dict[int, float] = {}
        self._renewing = False
        signal.signal(READY, self._count)
        self.on_reload(self._begin_to_renew)

    def _count(self, *_: object) -> None:
        self._serving += 1
        report_ready("api")
        if self._serving == 1:
            notify_service_manager(SERVICE_READY)

    def _begin_to_renew(self) -> None:
        self._renewing = True

    def _spawn_worker(self, *args: Any, **kwargs: Any) -> Any:
        spawn: Any = super()._spawn_worker
        worker = spawn(*args, **kwargs)
        worker.inner._Popen = ForkedPopen  # noqa: SLF001 - the seam that the standard library has for it
        start = worker.start

        def start_and_wait() -> None:
            # What is replaced once refers to itself no longer: descriptors of a process go with the last mention of it.
            del worker.start
            before = self._serving
            self._pause_after_soon_end(worker.idx)
            self._start_when_possible(start)
            deadline = time.monotonic() + LONGEST_START_SECONDS
            while self._renewing and self._serving == before and worker.is_alive() and time.monotonic() < deadline:
                time.sleep(_LOOK_SECONDS)

        worker.start = start_and_wait
        return worker

    def _respawn_workers(self, *args: Any, **kwargs: Any) -> None:
        respawn: Any = super()._respawn_workers
        respawn(*args, **kwargs)
        if self._serving:
            # The server software would end all of them when one ends again soon; what served before goes on with the others.
            self.respawned_wrks.clear()

    def _pause_after_soon_end(self, number: int) -> None:
        """Wait before a process is started whose predecessor has hardly begun; renewals have their own pace."""
        begun = self._begun_at.get(number, float("-inf"))
        if not self._renewing and time.monotonic() - begun < _SOON_SECONDS:
            self._pause()
        self._begun_at[number] = time.monotonic()

    def _pause(self) -> None:
        """Wait a while; end all where that is asked for meanwhile."""
        until = time.monotonic() + _TRY_AGAIN_SECONDS
        while time.monotonic() < until:
            if self.interrupt_signal:
                self._stop_workers()  # type: ignore[no-untyped-call]
                sys.exit(0)
            time.sleep(_LOOK_SECONDS)

    def _start_when_possible(self, start: Callable[[], None]) -> None:
        """Start a process as soon as the machine has room for it; those that are there serve on meanwhile."""
        while True:
            try:
                start()
            except OSError as error:
                _log.error("process cannot be started now", process="api", reason=error.strerror)
            else:
                return
            self._pause()
