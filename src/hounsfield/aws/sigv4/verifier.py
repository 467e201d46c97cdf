"""Verification of Signature Version 4: the request is from whom it says, as they sent it.

    Request ─▶ CredentialScope, time ─▶ secret ─▶ signing key ─▶ canonical request ─▶ compare ─▶ PendingPayload
                                                                                                     │ body
                                                                                            proven ◀─┘

Headers and body are two steps, so that a large upload can be turned away before it is sent. Where the request does not
state the hash of its body (boto3 does not, for this service), the signature can only be checked with the body at hand.

Source: AWS IAM User Guide, "Create a signed AWS API request".
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets as random_source
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from hounsfield.aws.protocol.errors import (
    InvalidSignatureException,
    SerializationException,
    UnrecognizedClientException,
)
from hounsfield.aws.sigv4.canonical_request import canonical_requests
from hounsfield.aws.sigv4.chunked import ChunkDecoder, ChunkSigner
from hounsfield.aws.sigv4.credential_scope import ALGORITHM, TIMESTAMP_FORMAT, CredentialScope, read_credential_scope
from hounsfield.aws.sigv4.payload_hash import (
    HashedPayload,
    PayloadReader,
    PlainPayload,
    SniffedPayload,
    UndeclaredPayload,
)
from hounsfield.aws.sigv4.request import HeaderValues, Request
from hounsfield.aws.sigv4.signing_keys import SigningKeys, sign

__all__ = ["PendingPayload", "Request", "SecretLookup", "Verifier"]

SecretLookup: TypeAlias = Callable[[CredentialScope], str | None]
"""Gives the secret access key for the access key id of a scope, and its session token where there is one, or None when they are
not known. May raise an AwsError."""

UNSIGNED = "UNSIGNED-PAYLOAD"
SIGNED_CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_CHUNKS_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_CHUNKS_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"

_LITERALS = frozenset({UNSIGNED, SIGNED_CHUNKS, SIGNED_CHUNKS_TRAILER, UNSIGNED_CHUNKS_TRAILER})
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_LENGTH = re.compile(rb"[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class PendingPayload:
    """A request whose headers are accepted and whose body is still to come.

    Attributes
    ----------
    access_key_id : str
        Whose request it is, proven only when `signature_verified`.
    session_token : str or None
        Token of temporary credentials, likewise.
    signature_verified : bool
        Whether the signature of the request is verified already. False where it needs the body.
    reader : callable
        Makes a reader for the body as it arrives; one reader reads one body.
    """

    access_key_id: str
    session_token: str | None
    signature_verified: bool
    reader: Callable[[], PayloadReader]


def utc_now() -> datetime:
    """Return the present time, with time zone UTC."""
    return datetime.now(UTC)


class Verifier:
    """Verifies signed requests.

    Parameters
    ----------
    region, service : str
        The scope that signatures must have.
    secrets : callable
        See `SecretLookup`.
    clock : callable
        Gives the present time with its time zone.
    max_skew : timedelta
        How far the client's clock may be off, and for how long a header signature is good.
    cached_keys : int
        Most signing keys to keep.
    """

    def __init__(
        self,
        region: str,
        service: str,
        secrets: SecretLookup,
        *,
        clock: Callable[[], datetime] = utc_now,
        max_skew: timedelta = timedelta(minutes=15),
        cached_keys: int = 4096,
    ) -> None:
        self._region = region
        self._service = service
        self._secrets = secrets
        self._clock = clock
        self._max_skew = max_skew
        self._keys = SigningKeys(cached_keys)
        # An unknown access key id is verified with this secret, so that it costs the time a wrong signature costs.
        self._nobodys_secret = random_source.token_hex(20)

    def authenticate(self, request: Request) -> PendingPayload:
        """Verify a request as far as that is possible without its body.

        Parameters
        ----------
        request : Request
            The request.

        Returns
        -------
        PendingPayload
            What is left to be done with the body.

        Raises
        ------
        MissingAuthenticationTokenException
            The request is not signed.
        IncompleteSignatureException
            The signature lacks a part or has one that is malformed.
        InvalidSignatureException
            It is for another region, service or time, or does not match the request.
        UnrecognizedClientException
            The access key id, or its session token, is not known.
        """
        headers = request.header_values()
        scope = read_credential_scope(request, headers)
        self._check_scope(scope)
        self._check_time(scope)
        secret = self._secrets(scope)
        key = self._signing_key(scope, secret)

        def check_signature(payload_hash: str) -> None:
            matches = _matches(request, headers, scope, key, payload_hash)
            if secret is None:
                raise UnrecognizedClientException("The security token included in the request is invalid.")
            if not matches:
                raise InvalidSignatureException(
                    "The request signature we calculated does not match the signature you provided. Check your AWS "
                    "Secret Access Key and signing method. Consult the service documentation for details."
                )

        declared = scope.content_sha256
        if declared is None:
            return _pending(scope, lambda: UndeclaredPayload(check_signature), verified=False)
        make_reader = _reader_maker(declared, headers, lambda: _chunk_signer(scope, key))
        check_signature(declared)
        return _pending(scope, make_reader, verified=True)

    def _signing_key(self, scope: CredentialScope, secret: str | None) -> bytes:
        if secret is None:
            return self._keys.get("", self._nobodys_secret, scope.text)
        return self._keys.get(scope.access_key_id, secret, scope.text)

    def _check_scope(self, scope: CredentialScope) -> None:
        if scope.region != self._region:
            raise InvalidSignatureException(
                f"Credential should be scoped to a valid region, which is '{self._region}'."
            )
        if scope.service != self._service:
            raise InvalidSignatureException(f"Credential should be scoped to correct service: '{self._service}'.")

    def _check_time(self, scope: CredentialScope) -> None:
        now = self._clock()
        earliest = now - (self._max_skew if scope.expires is None else scope.expires)
        latest = now + self._max_skew
        if scope.moment < earliest:
            raise InvalidSignatureException(
                f"Signature expired: {scope.timestamp} is now earlier than {_stamp(earliest)} ({_stamp(now)} - "
                f"{_minutes(now - earliest)})"
            )
        if scope.moment > latest:
            raise InvalidSignatureException(
                f"Signature not yet current: {scope.timestamp} is still later than {_stamp(latest)} ({_stamp(now)} + "
                f"{_minutes(latest - now)})"
            )


def _pending(scope: CredentialScope, make_reader: Callable[[], PayloadReader], *, verified: bool) -> PendingPayload:
    return PendingPayload(scope.access_key_id, scope.session_token, verified, make_reader)


def _matches(request: Request, headers: HeaderValues, scope: CredentialScope, key: bytes, payload_hash: str) -> bool:
    candidates = canonical_requests(request, headers, scope.signed_headers, payload_hash)
    head = f"{ALGORITHM}\n{scope.timestamp}\n{scope.text}\n"
    for candidate in candidates:
        string_to_sign = head + hashlib.sha256(candidate).hexdigest()
        if hmac.compare_digest(sign(key, string_to_sign.encode()), scope.signature):
            return True
    return False


def _reader_maker(
    declared: str, headers: HeaderValues, make_signer: Callable[[], ChunkSigner]
) -> Callable[[], PayloadReader]:
    """Choose the reader for the body by what x-amz-content-sha256 says."""
    if _HASH.fullmatch(declared):
        return lambda: HashedPayload(declared)
    if declared == UNSIGNED:
        return PlainPayload
    if declared not in _LITERALS:
        raise InvalidSignatureException(
            f"x-amz-content-sha256 must be a SHA-256 in 64 lower-case hexadecimal digits or one of "
            f"{', '.join(sorted(_LITERALS))}."
        )
    decoded_length = _decoded_length(headers)
    if declared == UNSIGNED_CHUNKS_TRAILER:
        return lambda: ChunkDecoder(None, _announced_trailers(headers), decoded_length)
    if declared == SIGNED_CHUNKS_TRAILER:
        return lambda: ChunkDecoder(make_signer(), _announced_trailers(headers), decoded_length)
    return _signed_chunks_or_plain(headers, lambda: ChunkDecoder(make_signer(), None, decoded_length), decoded_length)


def _signed_chunks_or_plain(
    headers: HeaderValues, make_decoder: Callable[[], ChunkDecoder], decoded_length: int | None
) -> Callable[[], PayloadReader]:
    """Choose the reader for a body under the name of signed chunks, which curl gives to plain bodies too."""
    if any(b"aws-chunked" in value for value in headers.get(b"content-encoding", ())):
        return make_decoder
    if decoded_length is not None and headers.get(b"content-length", ()) == [b"%d" % decoded_length]:
        # Chunks are longer than what is in them.
        return PlainPayload
    return lambda: SniffedPayload(make_decoder())


def _chunk_signer(scope: CredentialScope, key: bytes) -> ChunkSigner:
    return ChunkSigner(key, scope.timestamp, scope.text, scope.signature)


def _decoded_length(headers: HeaderValues) -> int | None:
    values = headers.get(b"x-amz-decoded-content-length", ())
    if not values:
        return None
    if len(values) != 1 or not _LENGTH.fullmatch(values[0]):
        raise SerializationException("x-amz-decoded-content-length must be one number of bytes.")
    return int(values[0])


def _announced_trailers(headers: HeaderValues) -> list[bytes]:
    names = b",".join(headers.get(b"x-amz-trailer", ())).split(b",")
    return [name.strip().lower() for name in names if name.strip()]


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime(TIMESTAMP_FORMAT)


def _minutes(duration: timedelta) -> str:
    return f"{duration.total_seconds() / 60:g} min."
