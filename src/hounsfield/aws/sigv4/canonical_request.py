r"""Canonical forms of a request, over which Signature Version 4 is calculated.

    METHOD \n path \n query \n header:value \n … \n \n signed;headers \n payload hash

One request has one canonical form in AWS's rules, but clients differ: the path is encoded a second time for every
service but S3, and curl (7.88) signs path and query as they were typed. So there are several candidates, AWS's own first.
AWS's rules fold double slashes into one, so SDKs sign a path with an empty label in that form. Inside a path, where a label can
be empty, that is followed: it is routed as it was sent, to an operation that refuses the empty label. At its beginning it is
not, and dot segments are not resolved: no path of ours has them, and a path that is signed in one form and routed in another
helps nobody but an attacker.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from urllib.parse import quote, unquote_to_bytes

from hounsfield.aws.sigv4.request import HeaderValues, Request

SIGNATURE_PARAMETER = b"X-Amz-Signature"
_REPEATED_SLASHES = re.compile(rb"(?<=[^/])/{2,}")


def canonical_requests(
    request: Request, headers: HeaderValues, signed_headers: Sequence[bytes], payload_hash: str
) -> Iterator[bytes]:
    """Yield the canonical requests a client may have signed, the likeliest first, none twice.

    Parameters
    ----------
    request : Request
        The request.
    headers : mapping of bytes to sequence of bytes
        Its header values by name in lower case.
    signed_headers : sequence of bytes
        Names of the signed headers in lower case, in the order the client gave.
    payload_hash : str
        Hash of the body in hexadecimal, or the literal the client sent in its place.

    Yields
    ------
    bytes
        A canonical request.
    """
    head = request.method.encode()
    tail = _header_block(headers, signed_headers) + b"\n" + b";".join(signed_headers) + b"\n" + payload_hash.encode()
    folded = _REPEATED_SLASHES.sub(b"/", request.raw_path)
    for path in _distinct(*(_encoded(path, safe="/-_.~") for path in (folded, request.raw_path)), request.raw_path):
        for query in canonical_queries(request.query_string):
            yield b"\n".join((head, path, query, tail))


def canonical_queries(query_string: bytes) -> list[bytes]:
    """Return the canonical forms of a query string: AWS's, sorted as sent, and as sent; none twice.

    Parameters
    ----------
    query_string : bytes
        As sent, without the question mark. The parameter ``X-Amz-Signature`` is left out of all forms.

    Returns
    -------
    list of bytes
        One to three forms. "+" stands for itself, not for a blank.
    """
    if not query_string:
        return [b""]
    pairs = [pair for pair in query_string.split(b"&") if pair and pair.partition(b"=")[0] != SIGNATURE_PARAMETER]
    split = [pair.partition(b"=") for pair in pairs]
    canonical = sorted((_reencoded(name), _reencoded(value)) for name, _, value in split)
    as_sent = sorted((name, value) for name, _, value in split)
    return _distinct(
        b"&".join(name + b"=" + value for name, value in canonical),
        b"&".join(name + b"=" + value for name, value in as_sent),
        b"&".join(pairs),
    )


def _header_block(headers: HeaderValues, signed_headers: Sequence[bytes]) -> bytes:
    # A header that is signed but was not sent (a proxy took it) counts as empty, and the signature will not match.
    lines = [
        name + b":" + b",".join([b" ".join(value.split()) for value in headers.get(name, ())]) + b"\n"
        for name in signed_headers
    ]
    return b"".join(lines)


def _encoded(text: bytes, safe: str) -> bytes:
    return quote(text, safe=safe).encode()


def _reencoded(text: bytes) -> bytes:
    return _encoded(unquote_to_bytes(text), safe="-_.~")


def _distinct(*candidates: bytes) -> list[bytes]:
    return list(dict.fromkeys(candidates))
