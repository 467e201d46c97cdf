"""TLS of the server: renewal of the certificate while requests go on.

files change ─▶ CertificateWatch (in the process that keeps the API processes): a pair that fits? ─▶ SIGHUP
─▶ a new API process, with the new certificate ─▶ the old one asks clients to connect anew, finishes what is under way, ends
"""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from typing import TYPE_CHECKING

import structlog

from hounsfield.runtime.supervised_threads import SupervisedThread
from hounsfield.settings.tls import TlsFiles, TlsFilesError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = structlog.get_logger(__name__)
_LOOK_SECONDS = 1.0


class CertificateWatch:
    """Has the API processes renewed when the certificate was; a pair of files that does not fit is waited over.

    Parameters
    ----------
    files : TlsFiles
        What to watch.
    """

    def __init__(self, files: TlsFiles) -> None:
        self._files = files

    def start(self) -> None:
        """Watch, from a thread that ends with the process."""
        self._thread = SupervisedThread("certificate", partial(self._watch, self._files.identity()))
        self._thread.start()

    def _watch(self, served: tuple[tuple[int, int, int], ...]) -> None:
        told = seen = served
        while True:
            time.sleep(_LOOK_SECONDS)
            before, seen = seen, self._files.identity()
            # Twice the same: nobody is in the middle of writing them.
            if seen == served or seen != before:
                continue
            try:
                self._files.check()
            except TlsFilesError as error:
                if told != seen:
                    _log.error("the renewed certificate cannot be used, the old one is served on", reason=str(error))
                told = seen
                continue
            served = seen
            _log.info("the certificate was renewed")
            os.kill(os.getpid(), signal.SIGHUP)


def reconnect_after_renewal(app: ASGIApp, files: TlsFiles) -> ASGIApp:
    """Have clients connect anew once the certificate of this process is not the newest, so that none is cut off at its end."""
    begun = files.identity()
    looked = time.monotonic()
    outdated = False

    async def with_header(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal looked, outdated
        now = time.monotonic()
        if not outdated and now > looked + _LOOK_SECONDS:
            looked, outdated = now, files.identity() != begun
        # HTTP/2 has its own way, which the server software goes when it ends.
        if not outdated or scope["type"] != "http" or not scope["http_version"].startswith("1"):
            await app(scope, receive, send)
            return

        async def closing(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        await app(scope, receive, closing)

    return with_header
