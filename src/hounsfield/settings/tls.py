"""TLS files of the server: certificate, key, and the authority for certificates of clients."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


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
        """Return what changes when a file is another one; nothing for one that is not there."""
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
        """Return the context for calls of the server from this machine: it trusts this one certificate, by any name.

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
