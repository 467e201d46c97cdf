"""Payload readers: the ways in which a signature covers a body.

    x-amz-content-sha256                        reader             what proves the body
    <64 hexadecimal digits>                     HashedPayload      its hash, which the request's signature covers
    absent                                      UndeclaredPayload  its hash, without which that signature cannot be checked
    UNSIGNED-PAYLOAD                            PlainPayload       nothing
    STREAMING-AWS4-HMAC-SHA256-PAYLOAD
      with Content-Encoding: aws-chunked        ChunkDecoder       a signature for each chunk
      as long as its x-amz-decoded-…-length     PlainPayload       nothing: curl sends it so
      anything else                             SniffedPayload     as one of the two above, by how it begins
    STREAMING-…-TRAILER                         ChunkDecoder       chunk signatures or the checksum in the trailer

Bytes returned by `feed` are proven only when `finish` has returned.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Protocol

from hounsfield.aws.protocol.errors import InvalidSignatureException
from hounsfield.aws.sigv4.chunked import SIGNED_START_BYTES, ChunkDecoder, starts_signed_chunk


class PayloadReader(Protocol):
    """Takes a body piece by piece, decodes it where it is encoded, and verifies it."""

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes as they came; give decoded bytes, perhaps none."""
        ...

    def finish(self) -> bytes:
        """Take note that the body is complete; give the last decoded bytes, or raise an AwsError."""
        ...


class PlainPayload:
    """A body the signature does not cover."""

    def feed(self, data: bytes) -> bytes:
        """Return the bytes back."""
        return data

    def finish(self) -> bytes:
        """Return nothing more."""
        return b""


class HashedPayload:
    """A body whose hash the request stated.

    Parameters
    ----------
    expected : str
        SHA-256 in 64 lower-case hexadecimal digits.
    """

    def __init__(self, expected: str) -> None:
        self._expected = expected
        self._hash = hashlib.sha256()

    def feed(self, data: bytes) -> bytes:
        """Hash the bytes and give them back."""
        self._hash.update(data)
        return data

    def finish(self) -> bytes:
        """Compare the hash; raise InvalidSignatureException where it differs."""
        if not hmac.compare_digest(self._hash.hexdigest(), self._expected):
            raise InvalidSignatureException(
                "The provided 'x-amz-content-sha256' header does not match what was computed."
            )
        return b""


class UndeclaredPayload:
    """A body whose hash is in the signature of the request but nowhere else.

    Parameters
    ----------
    check : callable
        Takes the SHA-256 in hexadecimal and checks the signature of the request with it; raises AwsError.
    """

    def __init__(self, check: Callable[[str], None]) -> None:
        self._check = check
        self._hash = hashlib.sha256()

    def feed(self, data: bytes) -> bytes:
        """Hash the bytes and give them back."""
        self._hash.update(data)
        return data

    def finish(self) -> bytes:
        """Check the signature of the request."""
        self._check(self._hash.hexdigest())
        return b""


class SniffedPayload:
    """A body announced as signed chunks that may be plain: curl states the literal and sends the body as it is.

    Parameters
    ----------
    decoder : ChunkDecoder
        What reads it when it does begin with a signed chunk.
    """

    def __init__(self, decoder: ChunkDecoder) -> None:
        self._decoder = decoder
        self._start = b""
        self._reader: PayloadReader | None = None

    def feed(self, data: bytes) -> bytes:
        """Hold bytes back until it is clear which form they have, then pass them on."""
        if self._reader is not None:
            return self._reader.feed(data)
        self._start += data
        return self._decide() if len(self._start) >= SIGNED_START_BYTES else b""

    def finish(self) -> bytes:
        """Return what was held back; raises as the decoder does."""
        held_back = self._decide() if self._reader is None else b""
        return held_back + (self._reader.finish() if self._reader is not None else b"")

    def _decide(self) -> bytes:
        self._reader = self._decoder if starts_signed_chunk(self._start) else PlainPayload()
        return self._reader.feed(self._start)
