"""Compression of documents that a client accepts compressed (RFC 9110 section 12.5.3).

Accept-Encoding: gzip, zstd;q=0.9  ─▶ coding_of ─▶ coded ─▶ Content-Encoding, a tag of its own, Vary

Nothing secret of the server's is in these documents, and nothing in them echoes a request, so their length gives nothing away.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import Final

from hounsfield.api.dicomweb.conditional_requests import entity_tag, tag_headers, unchanged
from hounsfield.api.dicomweb.request import Call
from hounsfield.aws.protocol.response import WireResponse
from hounsfield.gateway.responses import StreamedResponse
from hounsfield.imaging.content_coding import ContentCoding, compress

VARY: Final = "Accept, Accept-Encoding"
LEAST_BYTES: Final = 1024
"""What is shorter is sent as it is."""

_ENTRY: Final = re.compile(r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*(?:;\s*[qQ]\s*=\s*([01](?:\.[0-9]{0,3})?)\s*)?")
_LONGEST: Final = 1024
_PREFERRED: Final = (ContentCoding.ZSTD, ContentCoding.GZIP)
"""zstd is smaller and takes less time on both sides."""
_NAMES: Final = {ContentCoding.ZSTD: ("zstd",), ContentCoding.GZIP: ("gzip", "x-gzip")}


def coding_of(call: Call) -> ContentCoding:
    """Choose how a client is sent a document: as it is, where it does not ask for a coding that there is."""
    given = call.headers.get("accept-encoding")
    return _chosen(given[:_LONGEST]) if given else ContentCoding.IDENTITY


@lru_cache(maxsize=64)
def _chosen(text: str) -> ContentCoding:
    """Read Accept-Encoding; an element that is not of its form is passed over."""
    weights: dict[str, float] = {}
    for element in text.split(","):
        found = _ENTRY.fullmatch(element)
        if found is not None:
            weights[found[1].lower()] = float(found[2] or 1)
    anything = weights.get("*", 0.0)
    best, chosen = weights.get("identity", 0.0), ContentCoding.IDENTITY
    for coding in _PREFERRED:
        weight = max((weights[name] for name in _NAMES[coding] if name in weights), default=anything)
        if weight > 0 and (weight > best or (weight == best and chosen is ContentCoding.IDENTITY)):
            best, chosen = weight, coding
    return chosen


def coding_headers(coding: ContentCoding) -> list[tuple[str, str]]:
    """Return the header that names a coding; none for a document as it is."""
    return [] if coding is ContentCoding.IDENTITY else [("Content-Encoding", coding)]


def coded(call: Call, answer: WireResponse | StreamedResponse) -> WireResponse | StreamedResponse:
    """Compress an answer as its client accepts it.

    Parameters
    ----------
    call : Call
        The request.
    answer : WireResponse or StreamedResponse
        A document without an entity tag. What is there whole gets one of its content when it is compressed.
    """
    coding = coding_of(call)
    if isinstance(answer, WireResponse) and len(answer.body) < LEAST_BYTES:
        coding = ContentCoding.IDENTITY
    if coding is ContentCoding.IDENTITY:
        answer.headers.append(("Vary", VARY))
        return answer
    headers = [*answer.headers, *coding_headers(coding)]
    if isinstance(answer, StreamedResponse):
        chunks = compress(map(bytes, answer.chunks), coding)
        return StreamedResponse([*headers, ("Vary", VARY)], None, chunks, answer.status)
    body = b"".join(compress((bytes(answer.body),), coding))
    # As long as the content is the same, so is the tag: whatever it came from.
    tag = entity_tag(coding, hashlib.blake2b(body, digest_size=16).hexdigest())
    known = unchanged(call.headers, tag, VARY)
    return known or WireResponse(answer.status, [*headers, *tag_headers(tag, VARY)], body)
