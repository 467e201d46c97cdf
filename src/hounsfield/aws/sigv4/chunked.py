"""Decoder of the body encoding ``aws-chunked``.

    <size>;chunk-signature=<64> CRLF  <bytes> CRLF  …  0;chunk-signature=<64> CRLF  [trailer lines]  CRLF

Each chunk's signature covers the one before it, beginning with that of the request, so chunks cannot be changed, moved,
left out or added. In the unsigned form there is only the size, and a checksum in the trailer. CRC-32, SHA-1 and SHA-256
checksums are checked; CRC-32C and CRC-64/NVME, which Python's library lacks, are passed over.

Source: AWS, "Authenticating requests: signature calculations … chunked upload" and "… including trailing headers".
"""

from __future__ import annotations

import hashlib
import hmac
import re
import zlib
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from hounsfield.aws.protocol.errors import InvalidSignatureException, SerializationException, ValidationException
from hounsfield.aws.sigv4.signing_keys import sign

LONGEST_CHUNK_HEADER = 1024
MAX_TRAILER_LINES = 16

_CHUNK_HEADER = re.compile(rb"(?P<size>[0-9a-fA-F]{1,12})(?:;chunk-signature=(?P<signature>[0-9a-f]{64}))?")
_SIGNED_CHUNK_START = re.compile(rb"[0-9a-fA-F]{1,12};chunk-signature=[0-9a-f]{64}\r\n")
_TRAILER_SIGNATURE = b"x-amz-trailer-signature"
_EMPTY_HASH = hashlib.sha256().hexdigest()

SIGNED_START_BYTES = 12 + len(b";chunk-signature=") + 64 + len(b"\r\n")
"""Bytes of a body that suffice to see whether it begins with a signed chunk."""


def starts_signed_chunk(start: bytes) -> bool:
    """Return whether a body begins as a signed aws-chunked one does.

    Parameters
    ----------
    start : bytes
        The first `SIGNED_START_BYTES` bytes of the body, or all of it when shorter.
    """
    return _SIGNED_CHUNK_START.match(start) is not None


@dataclass(slots=True)
class ChunkSigner:
    """Verifies the chain of signatures of one body.

    Attributes
    ----------
    key : bytes
        Signing key.
    timestamp, scope : str
        As in the signature of the request.
    previous : str
        The signature verified last; at first that of the request.
    """

    key: bytes
    timestamp: str
    scope: str
    previous: str

    def check_chunk(self, digest: str, signature: bytes) -> None:
        """Check the signature of a chunk whose SHA-256 is `digest`."""
        self._check("AWS4-HMAC-SHA256-PAYLOAD", f"{_EMPTY_HASH}\n{digest}", signature)

    def check_trailer(self, digest: str, signature: bytes) -> None:
        """Check the signature of the trailer whose SHA-256 is `digest`."""
        self._check("AWS4-HMAC-SHA256-TRAILER", digest, signature)

    def _check(self, algorithm: str, digests: str, signature: bytes) -> None:
        text = f"{algorithm}\n{self.timestamp}\n{self.scope}\n{self.previous}\n{digests}"
        expected = sign(self.key, text.encode())
        if not hmac.compare_digest(expected.encode(), signature):
            raise InvalidSignatureException("The signature of a chunk or trailer of the body does not match.")
        self.previous = expected


class _Checksum(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


class _Crc32:
    """CRC-32 with the interface of hashlib."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


_CHECKSUMS: dict[bytes, Callable[[], _Checksum]] = {
    b"x-amz-checksum-crc32": _Crc32,
    b"x-amz-checksum-sha1": lambda: hashlib.sha1(usedforsecurity=False),
    b"x-amz-checksum-sha256": hashlib.sha256,
}


class _State(Enum):
    HEADER = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILER = auto()
    END = auto()


class ChunkDecoder:
    """Decodes one aws-chunked body.

    What `feed` returns is not to be relied upon before `finish` has returned: a chunk's signature is known to be right
    only at its end.

    Parameters
    ----------
    signer : ChunkSigner or None
        Verifies signatures; None for the unsigned form.
    trailers : sequence of bytes or None
        Names of the trailers announced in ``x-amz-trailer``, in lower case; None for the forms without trailer.
    decoded_length : int or None
        ``x-amz-decoded-content-length``, when sent.
    """

    def __init__(
        self, signer: ChunkSigner | None, trailers: Sequence[bytes] | None = None, decoded_length: int | None = None
    ) -> None:
        self._signer = signer
        self._announced = trailers
        self._decoded_length = decoded_length
        self._checksums = {name: _CHECKSUMS[name]() for name in trailers or () if name in _CHECKSUMS}
        self._buffer = b""
        self._at = 0
        self._state = _State.HEADER
        self._left = 0
        self._length = 0
        self._hash = hashlib.sha256()
        self._signature = b""
        self._trailer_lines: list[tuple[bytes, bytes]] = []

    def feed(self, data: bytes) -> bytes:
        """Take bytes of the body as they arrive.

        Parameters
        ----------
        data : bytes
            Next bytes of the encoded body.

        Returns
        -------
        bytes
            Next bytes of the decoded body; may be empty.

        Raises
        ------
        InvalidSignatureException
            A chunk or the trailer is not as it was signed.
        SerializationException
            The body is not aws-chunked, or not complete.
        ValidationException
            A checksum in the trailer is not that of the body.
        """
        self._buffer = self._buffer[self._at :] + data
        self._at = 0
        decoded: list[bytes] = []
        steps = {
            _State.HEADER: self._read_header,
            _State.DATA: lambda: self._read_data(decoded),
            _State.DATA_END: self._read_data_end,
            _State.TRAILER: self._read_trailer_line,
            _State.END: self._refuse_more,
        }
        while self._at < len(self._buffer) and steps[self._state]():
            pass
        return b"".join(decoded)

    def finish(self) -> bytes:
        """Say that the body has arrived completely; raises as `feed` does and returns no more bytes."""
        if self._state is _State.TRAILER and self._at == len(self._buffer):  # some clients leave out the last CRLF
            self._end()
        if self._state is not _State.END:
            raise _malformed("ends too early")
        return b""

    def _read_header(self) -> bool:
        line = self._take_line()
        if line is None:
            return False
        header = _CHUNK_HEADER.fullmatch(line)
        if header is None or (header["signature"] is None) is not (self._signer is None):
            form = "<size>" if self._signer is None else "<size>;chunk-signature=<64 hexadecimal digits>"
            raise _malformed(f"must have chunks that begin with {form}")
        self._left = int(header["size"], 16)
        self._signature = header["signature"] or b""
        self._hash = hashlib.sha256()
        self._state = _State.DATA
        if self._left == 0:
            self._check_chunk()
            self._state = _State.TRAILER
        return True

    def _read_data(self, decoded: list[bytes]) -> bool:
        data = self._buffer[self._at : self._at + self._left]
        self._at += len(data)
        self._left -= len(data)
        self._length += len(data)
        if self._signer is not None:
            self._hash.update(data)
        for checksum in self._checksums.values():
            checksum.update(data)
        decoded.append(data)
        if self._left == 0:
            self._check_chunk()
            self._state = _State.DATA_END
        return True

    def _check_chunk(self) -> None:
        if self._signer is not None:
            self._signer.check_chunk(self._hash.hexdigest(), self._signature)

    def _read_data_end(self) -> bool:
        line_end = self._buffer[self._at : self._at + 2]
        if len(line_end) < 2:
            return False
        if line_end != b"\r\n":
            raise _malformed("must have CRLF after each chunk")
        self._at += 2
        self._state = _State.HEADER
        return True

    def _read_trailer_line(self) -> bool:
        line = self._take_line()
        if line is None:
            return False
        if not line:
            self._end()
            return True
        if self._announced is None:
            raise _malformed("has a trailer although none was announced")
        if len(self._trailer_lines) == MAX_TRAILER_LINES:
            raise _malformed(f"must have at most {MAX_TRAILER_LINES} trailers")
        name, _, value = line.partition(b":")
        self._trailer_lines.append((name.strip().lower(), value.strip()))
        return True

    def _refuse_more(self) -> bool:
        raise _malformed("has bytes after its end")

    def _end(self) -> None:
        self._state = _State.END
        if self._decoded_length is not None and self._length != self._decoded_length:
            raise _malformed(
                f"has {self._length} bytes, not the {self._decoded_length} of x-amz-decoded-content-length"
            )
        if self._announced is not None:
            self._check_trailers(self._announced)

    def _check_trailers(self, announced: Sequence[bytes]) -> None:
        trailers = dict(self._trailer_lines)
        signature = trailers.pop(_TRAILER_SIGNATURE, b"")
        if self._signer is not None:
            signed = b"".join(name + b":" + value + b"\n" for name, value in trailers.items())
            self._signer.check_trailer(hashlib.sha256(signed).hexdigest(), signature)
        for name in announced:
            if name not in trailers:
                raise _malformed("lacks a trailer announced in x-amz-trailer")
            checksum = self._checksums.get(name)
            if checksum is not None and b64encode(checksum.digest()) != trailers[name]:
                raise ValidationException(f"The trailer {name.decode()} is not the checksum of the body.")

    def _take_line(self) -> bytes | None:
        end = self._buffer.find(b"\r\n", self._at, self._at + LONGEST_CHUNK_HEADER)
        if end < 0:
            if len(self._buffer) - self._at >= LONGEST_CHUNK_HEADER:
                raise _malformed(f"must have lines of less than {LONGEST_CHUNK_HEADER} bytes between its chunks")
            return None
        line = self._buffer[self._at : end]
        self._at = end + 2
        return line


def _malformed(what: str) -> SerializationException:
    return SerializationException(f"The aws-chunked body {what}.")
