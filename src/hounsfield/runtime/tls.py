"""TLS: the certificate of the server, its renewal beside requests under way, and how commands of this machine trust it.

files change ─▶ CertificateWatch (in the process that keeps the API processes): a pair that fits? ─▶ SIGHUP
─▶ a new API process, with the new certificate ─▶ the old one asks clients to connect anew, finishes what is under way, ends
"""

from __future__ import annotations

import os
import signal
import ssl
import time
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from hounsfield.runtime.supervised_threads import LastingThread

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = structlog.get_logger(__name__)
_LOOK_SECONDS = 1.0


class ClientCertificates(StrEnum):
    """What is asked of clients where there is an authority for their certificates."""

    REQUIRED = "required"
    """Nobody connects without a certificate."""
    OPTIONAL = "optional"
    """A certificate that is shown must be one of the authority."""


class TlsVersion(StrEnum):
    """The least version of TLS that is spoken."""

    TLS_1_2 = "1.2"
    TLS_1_3 = "1.3"


class TlsFilesError(ValueError):
    """The files of the certificate cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the certificate is, and what is asked of clients.

    Attributes
    ----------
    certificate : Path
        PEM file with the certificate of the server, followed by those between it and its root.
    key : Path
        PEM file with its private key, not encrypted.
    client_ca : Path or None
        PEM file with the authorities for certificates of clients.
    clients : ClientCertificates
        Whether clients must show one.
    least : TlsVersion
        The least version.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None
    clients: ClientCertificates = ClientCertificates.REQUIRED
    least: TlsVersion = TlsVersion.TLS_1_2

    @property
    def clients_must_show(self) -> bool:
        """Whether nobody connects without a certificate."""
        return self.client_ca is not None and self.clients is ClientCertificates.REQUIRED

    def check(self) -> None:
        """Make sure that the files are there and belong together; raises `TlsFilesError`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            # A key that is encrypted would otherwise be asked for at the terminal.
            context.load_cert_chain(self.certificate, self.key, password=_no_password)
            if self.client_ca is not None:
                context.load_verify_locations(self.client_ca)
        except (OSError, ValueError) as error:
            files = f"{self.certificate}, {self.key}{f', {self.client_ca}' if self.client_ca else ''}"
            raise TlsFilesError(f"the TLS files {files} cannot be used: {error}") from error

    def identity(self) -> tuple[tuple[int, int, int], ...]:
        """Give what changes when a file is another one; nothing for one that is not there."""
        found = []
        for path in (self.certificate, self.key, self.client_ca):
            if path is not None:
                try:
                    status = path.stat()
                except OSError:
                    found.append((0, 0, 0))
                    continue
                found.append((status.st_ino, status.st_mtime_ns, status.st_size))
        return tuple(found)

    def own_context(self) -> ssl.SSLContext:
        """Give the context with which a command of this machine calls the server: it trusts this one certificate, by any name.

        The server may be called by an address that its certificate does not name. Where clients must show a certificate,
        the command shows that of the server.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(self.certificate)
        if self.client_ca is not None:
            context.load_cert_chain(self.certificate, self.key, password=_no_password)
        return context


def _no_password() -> str:
    raise ValueError("the private key is encrypted, and nothing is there to open it")


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
        self._thread = LastingThread("certificate", partial(self._watch, self._files.identity()))
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


def connecting_anew(app: ASGIApp, files: TlsFiles) -> ASGIApp:
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
