"""The credential scope of a request, and all else that it says of its signature, in its header or in its query.

    Authorization: AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…  ─┐
                                                                                 ├─▶ CredentialScope
    ?X-Amz-Algorithm=…&X-Amz-Credential=…&X-Amz-Date=…&…&X-Amz-Signature=…      ─┘

Nothing is verified here but the form.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import unquote

from hounsfield.aws.protocol.errors import (
    AwsError,
    IncompleteSignatureException,
    InvalidSignatureException,
    MissingAuthenticationTokenException,
)
from hounsfield.aws.sigv4.request import HeaderValues, Request

ALGORITHM = "AWS4-HMAC-SHA256"
MAX_EXPIRES_SECONDS = 604_800
TIMESTAMP_FORMAT = "%Y%m%dT%H%M%SZ"

_CREDENTIAL = re.compile(
    r"(?P<key>[A-Za-z0-9_.+=@-]{1,128})/(?P<date>[0-9]{8})/(?P<region>[^/\s]{1,64})/(?P<service>[^/\s]{1,64})/aws4_request",
    re.ASCII,
)
_SIGNED_HEADERS = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+(;[a-z0-9!#$%&'*+.^_`|~-]+)*", re.ASCII)
_SIGNATURE = re.compile(r"[0-9a-f]{64}", re.ASCII)
_TIMESTAMP = re.compile(r"[0-9]{8}T[0-9]{6}Z", re.ASCII)
_EXPIRES = re.compile(r"[0-9]{1,6}", re.ASCII)

# Headers a proxy or browser library adds after signing; nothing here reads them.
_MAY_BE_UNSIGNED = frozenset({b"x-amz-cf-id", b"x-amz-content-sha256", b"x-amz-user-agent"})
"""What changes nothing about the request, or is bound all the same: the hash of the body is the last line of what is signed."""


@dataclass(frozen=True, slots=True)
class CredentialScope:
    """A signature as the client states it: whose it is, for which scope, and what it covers.

    Attributes
    ----------
    access_key_id : str
        Whose signature it is.
    region, service : str
        Scope of the signing key; its date is the first 8 characters of `timestamp`.
    timestamp : str
        When it was signed, as ``20230719T123456Z``.
    moment : datetime
        The same as a UTC datetime.
    expires : timedelta or None
        How long a presigned request is good for; None when signed in the header.
    signed_headers : tuple of bytes
        Names in lower case, in the client's order.
    signature : str
        64 lower-case hexadecimal digits.
    session_token : str or None
        Token of temporary credentials; covered by the signature.
    content_sha256 : str or None
        ``x-amz-content-sha256``: hash of the body or one of AWS's literals.
    """

    access_key_id: str
    region: str
    service: str
    timestamp: str
    moment: datetime
    expires: timedelta | None
    signed_headers: tuple[bytes, ...]
    signature: str
    session_token: str | None
    content_sha256: str | None

    @property
    def text(self) -> str:
        """The scope as it is signed: date, region, service and the closing literal."""
        return f"{self.timestamp[:8]}/{self.region}/{self.service}/aws4_request"


def read_credential_scope(request: Request, headers: HeaderValues) -> CredentialScope:
    """Read what the request says of its signature.

    Parameters
    ----------
    request : Request
        The request.
    headers : mapping
        Its header values by name, see `header_values`.

    Returns
    -------
    CredentialScope
        The scope, of the right form and not verified.

    Raises
    ------
    MissingAuthenticationTokenException
        The request is not signed.
    IncompleteSignatureException
        A part is missing or malformed, or headers that must be signed are not.
    InvalidSignatureException
        The dates contradict each other.
    """
    presigned = b"X-Amz-Algorithm=" in request.query_string or b"X-Amz-Signature=" in request.query_string
    if b"authorization" not in headers and not presigned:
        raise MissingAuthenticationTokenException("Missing Authentication Token")
    if b"authorization" in headers and presigned:
        raise IncompleteSignatureException("The request must be signed in the header or in the query string, not both.")
    scope = _presigned_scope(request, headers) if presigned else _header_scope(headers)
    _check_coverage(scope, headers)
    return scope


def _header_scope(headers: HeaderValues) -> CredentialScope:
    parts = _authorization_parts(_single(headers, b"authorization") or "")
    timestamp, moment = _signing_time(headers)
    return _make_scope(
        parts,
        timestamp=timestamp,
        moment=moment,
        expires=None,
        session_token=_single(headers, b"x-amz-security-token"),
        content_sha256=_single(headers, b"x-amz-content-sha256"),
    )


def _authorization_parts(authorization: str) -> dict[str, str]:
    algorithm, _, rest = authorization.partition(" ")
    if algorithm != ALGORITHM:
        raise IncompleteSignatureException(
            f"Authorization header requires the algorithm {ALGORITHM} and the parameters 'Credential', 'SignedHeaders' "
            "and 'Signature'."
        )
    parts: dict[str, str] = {}
    for part in rest.split(","):
        name, _, value = part.strip().partition("=")
        if name in parts:
            raise IncompleteSignatureException("Authorization header must give each parameter once.")
        parts[name] = value
    return parts


def _presigned_scope(request: Request, headers: HeaderValues) -> CredentialScope:
    parts: dict[str, str] = {}
    for pair in request.query_string.decode("utf-8", "replace").split("&"):
        name, _, value = pair.partition("=")
        if name.startswith("X-Amz-"):
            if name in parts:
                raise IncompleteSignatureException(f"The query string must give {name[:64]} once.")
            parts[name] = unquote(value)
    if parts.get("X-Amz-Algorithm") != ALGORITHM:
        raise IncompleteSignatureException(f"X-Amz-Algorithm must be {ALGORITHM}.")
    timestamp = parts.get("X-Amz-Date", "")
    seconds = parts.get("X-Amz-Expires", "")
    if not _EXPIRES.fullmatch(seconds) or not 1 <= int(seconds) <= MAX_EXPIRES_SECONDS:
        raise IncompleteSignatureException(
            f"X-Amz-Expires must be a number of seconds from 1 to {MAX_EXPIRES_SECONDS}."
        )
    return _make_scope(
        {name: parts.get(f"X-Amz-{name}", "") for name in ("Credential", "SignedHeaders", "Signature")},
        timestamp=timestamp,
        moment=_moment(timestamp),
        expires=timedelta(seconds=int(seconds)),
        session_token=parts.get("X-Amz-Security-Token") or _single(headers, b"x-amz-security-token"),
        content_sha256=parts.get("X-Amz-Content-Sha256") or _single(headers, b"x-amz-content-sha256"),
    )


def _make_scope(
    parts: Mapping[str, str],
    *,
    timestamp: str,
    moment: datetime,
    expires: timedelta | None,
    session_token: str | None,
    content_sha256: str | None,
) -> CredentialScope:
    credential = _CREDENTIAL.fullmatch(parts.get("Credential", ""))
    if credential is None:
        raise IncompleteSignatureException(
            "'Credential' must have the form <access key id>/<date>/<region>/<service>/aws4_request."
        )
    signed_headers = parts.get("SignedHeaders", "")
    if not _SIGNED_HEADERS.fullmatch(signed_headers):
        raise IncompleteSignatureException("'SignedHeaders' must be header names in lower case with ';' between them.")
    signature = parts.get("Signature", "")
    if not _SIGNATURE.fullmatch(signature):
        raise IncompleteSignatureException("'Signature' must be 64 lower-case hexadecimal digits.")
    if credential["date"] != timestamp[:8]:
        raise InvalidSignatureException(
            f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{credential['date']}' != '{timestamp[:8]}', from '{timestamp}'."
        )
    return CredentialScope(
        access_key_id=credential["key"],
        region=credential["region"],
        service=credential["service"],
        timestamp=timestamp,
        moment=moment,
        expires=expires,
        signed_headers=tuple(signed_headers.encode().split(b";")),
        signature=signature,
        session_token=session_token,
        content_sha256=content_sha256,
    )


def _check_coverage(scope: CredentialScope, headers: HeaderValues) -> None:
    """Check that the headers that count are signed.

    AWS wants host and every x-amz-* header. Content-Type is not asked for, although AWS's guide says so: real clients
    (the JavaScript SDK v2, grand-challenge) leave it out.
    """
    signed = frozenset(scope.signed_headers)
    if len(signed) != len(scope.signed_headers):
        raise IncompleteSignatureException("'SignedHeaders' must name each header once.")
    if b"host" not in signed:
        raise IncompleteSignatureException("'Host' must be a 'SignedHeader' in the AWS Authorization.")
    for name in headers:
        if name.startswith(b"x-amz-") and name not in signed and name not in _MAY_BE_UNSIGNED:
            raise IncompleteSignatureException("Every header whose name begins with 'x-amz-' must be a 'SignedHeader'.")


def _signing_time(headers: HeaderValues) -> tuple[str, datetime]:
    timestamp = _single(headers, b"x-amz-date")
    if timestamp is not None:
        return timestamp, _moment(timestamp)
    date = _single(headers, b"date")
    if date is None:
        raise _bad_date()
    try:
        parsed = parsedate_to_datetime(date)
        moment = parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError, TypeError, IndexError):  # the parser is known for all of them
        raise _bad_date() from None
    return moment.strftime(TIMESTAMP_FORMAT), moment


def _moment(timestamp: str) -> datetime:
    if _TIMESTAMP.fullmatch(timestamp):
        date, time = int(timestamp[:8]), int(timestamp[9:15])
        try:
            return datetime(
                date // 10_000, date // 100 % 100, date % 100, time // 10_000, time // 100 % 100, time % 100, tzinfo=UTC
            )
        except ValueError:
            pass
    raise _bad_date()


def _bad_date() -> AwsError:
    return IncompleteSignatureException("The request must have its date in 'X-Amz-Date' as YYYYMMDD'T'HHMMSS'Z'.")


def _single(headers: HeaderValues, name: bytes) -> str | None:
    values = headers.get(name)
    if values is None:
        return None
    if len(values) != 1:
        raise IncompleteSignatureException(f"The header {name.decode()} must be given once.")
    return values[0].decode("utf-8", "replace").strip()
