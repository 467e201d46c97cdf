"""Encodings of bodies: what was encoded comes out again however it arrives, and what was not is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import pytest
from hypothesis import strategies as st

from hounsfield.api.dicomweb.multipart import PartBegin, PartData, PartEnd, PartParser, encode_parts
from hounsfield.aws.protocol.errors import AwsError, InvalidSignatureException, ValidationException
from hounsfield.aws.sigv4.chunked import ChunkDecoder, ChunkSigner
from support.clients.signers import (
    NOW,
    REGION,
    SERVICE,
    crc32,
    hmac_sign,
    signed_chunks,
    signing_key,
    unsigned_chunks,
)
from support.fuzzing import damaged, fuzz, pieces

BOUNDARY = "the-boundary"
SEED = hmac_sign("the request")
SCOPE = f"{NOW:%Y%m%d}/{REGION}/{SERVICE}/aws4_request"
CHECKSUM = b"x-amz-checksum-crc32"

chunks = st.lists(st.binary(min_size=1, max_size=60), max_size=6)


class Decoder(Protocol):
    def feed(self, data: bytes, /) -> bytes: ...
    def finish(self) -> bytes: ...


def signed_decoder(*, trailer: bool) -> ChunkDecoder:
    signer = ChunkSigner(signing_key(), f"{NOW:%Y%m%dT%H%M%SZ}", SCOPE, SEED)
    return ChunkDecoder(signer, [CHECKSUM] if trailer else None)


def decoded(decoder: Decoder, arriving: Sequence[bytes]) -> bytes:
    return b"".join([*(decoder.feed(piece) for piece in arriving), decoder.finish()])


@fuzz(chunks, st.booleans(), st.data(), examples=60)
def test_signed_chunks_come_out_as_they_went_in(content: list[bytes], trailer: bool, data: Any) -> None:
    whole = b"".join(content)
    body = signed_chunks(SEED, content, [(CHECKSUM, crc32(whole))] if trailer else None)
    assert decoded(signed_decoder(trailer=trailer), data.draw(pieces(body))) == whole


@fuzz(chunks, st.data(), examples=60)
def test_unsigned_chunks_come_out_as_they_went_in(content: list[bytes], data: Any) -> None:
    whole = b"".join(content)
    body = unsigned_chunks(content, [(CHECKSUM, crc32(whole))])
    assert decoded(ChunkDecoder(None, [CHECKSUM], len(whole)), data.draw(pieces(body))) == whole


@fuzz(chunks, st.booleans(), st.data(), examples=80)
def test_signed_chunks_that_were_changed_never_give_other_content(
    content: list[bytes], trailer: bool, data: Any
) -> None:
    whole = b"".join(content)
    body = signed_chunks(SEED, content, [(CHECKSUM, crc32(whole))] if trailer else None)
    changed = data.draw(damaged(st.just(body)))
    try:
        assert decoded(signed_decoder(trailer=trailer), data.draw(pieces(changed))) == whole
    except AwsError as refused:
        assert refused.status in {400, 403}  # noqa: PT017 - both outcomes are right


@fuzz(
    damaged(st.just(unsigned_chunks([b"a" * 30, b"b" * 300], [(CHECKSUM, crc32(b"a" * 30 + b"b" * 300))]))), st.data()
)
def test_unsigned_chunks_that_were_changed_never_give_other_content(body: bytes, data: Any) -> None:
    try:
        assert decoded(ChunkDecoder(None, [CHECKSUM]), data.draw(pieces(body))) == b"a" * 30 + b"b" * 300
    except AwsError as refused:
        assert refused.status in {400, 403}  # noqa: PT017 - both outcomes are right


@fuzz(st.binary(max_size=300), st.booleans(), examples=80)
def test_noise_is_no_chunks(body: bytes, is_signed: bool) -> None:
    decoder = signed_decoder(trailer=False) if is_signed else ChunkDecoder(None, [CHECKSUM])
    with pytest.raises(AwsError):
        decoded(decoder, [body])


contents = st.lists(
    st.tuples(
        st.dictionaries(
            st.sampled_from(["Content-Type", "Content-Location", "X-Part"]),
            st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20),
            max_size=3,
        ),
        st.one_of(
            st.binary(max_size=200),
            # What looks almost like the end of a part.
            st.lists(
                st.sampled_from([b"\r\n", b"--", b"\r", b"\n", b"-", BOUNDARY[:5].encode(), b"x"]), max_size=30
            ).map(b"".join),
        ),
    ),
    min_size=1,
    max_size=5,
)


def parts_of(body: Sequence[bytes], boundary: str = BOUNDARY) -> list[tuple[dict[str, str], bytes]]:
    parser = PartParser(boundary)
    found: list[tuple[dict[str, str], bytes]] = []
    is_open = False
    for piece in body:
        for event in parser.feed(piece):
            if isinstance(event, PartBegin):
                assert not is_open
                is_open = True
                found.append((event.headers, b""))
            elif isinstance(event, PartData):
                assert is_open
                found[-1] = (found[-1][0], found[-1][1] + event.data)
            else:
                assert isinstance(event, PartEnd)
                is_open = False
    parser.finish()
    assert not is_open
    return found


@fuzz(contents, st.binary(max_size=40), st.data(), examples=80)
def test_parts_come_out_as_they_went_in(
    content: list[tuple[dict[str, str], bytes]], preamble: bytes, data: Any
) -> None:
    body = b"".join(encode_parts(BOUNDARY, [(list(headers.items()), [value]) for headers, value in content]))
    body = (preamble + b"\r\n" if preamble and BOUNDARY.encode() not in preamble else b"") + body
    expected = [({name.lower(): value for name, value in headers.items()}, value) for headers, value in content]
    assert parts_of(data.draw(pieces(body))) == expected


@fuzz(contents, st.sampled_from(["", " ", " \t  "]), st.text("abcd'()+_,-./:=?", min_size=71, max_size=200), st.data())
def test_long_boundaries_with_blanks_behind_them(
    content: list[tuple[dict[str, str], bytes]], blanks: str, boundary: str, data: Any
) -> None:
    """Two UUIDs joined by a hyphen are 73 characters: Orthanc's boundary."""
    body = b"".join(encode_parts(boundary, [(list(headers.items()), [value]) for headers, value in content]))
    line = f"--{boundary}".encode()
    body = body.replace(line + b"\r\n", line + blanks.encode() + b"\r\n")
    expected = [({name.lower(): value for name, value in headers.items()}, value) for headers, value in content]
    assert parts_of(data.draw(pieces(body)), boundary) == expected


def test_lines_that_begin_like_a_boundary_are_content() -> None:
    content = b"a\r\n--the-boundary-not\r\n--the-boundary x\r\n--the-boundary \t\r\r\n-"
    body = b"--the-boundary\r\n\r\n" + content + b"\r\n--the-boundary--"
    for cut in range(len(body)):
        assert parts_of([body[:cut], body[cut:]]) == [({}, content)]
    assert parts_of([body[at : at + 1] for at in range(len(body))]) == [({}, content)]


def test_headers_of_parts_may_be_folded() -> None:
    head = b"Content-Type: application/dicom;\r\n\t transfer-syntax=1.2\r\nX-Part:\r\n a\r\n  b"
    body = b"--the-boundary\r\n" + head + b"\r\n\r\nx\r\n--the-boundary--"
    headers = {"content-type": "application/dicom; transfer-syntax=1.2", "x-part": "a b"}
    assert parts_of([body]) == [(headers, b"x")]


@pytest.mark.parametrize("head", [b" folded: nothing", b"no colon", b": no name", b"X" * 17_000])
def test_what_is_no_header_of_a_part(head: bytes) -> None:
    with pytest.raises(ValidationException, match="headers of a part"):
        parts_of([b"--the-boundary\r\n" + head + b"\r\n\r\nx\r\n--the-boundary--"])


GOOD = b"".join(encode_parts(BOUNDARY, [([("Content-Type", "application/dicom")], [b"abc\r\n--the"]), ([], [b""])]))


@fuzz(st.one_of(damaged(st.just(GOOD)), st.binary(max_size=300)), st.data(), examples=100)
def test_what_is_not_multipart_is_refused_as_such(body: bytes, data: Any) -> None:
    try:
        for headers, _ in parts_of(data.draw(pieces(body))):
            assert all("\r" not in value and "\n" not in value for value in headers.values())
    except ValidationException as refused:
        assert "boundary" in refused.message or "headers" in refused.message  # noqa: PT017


@pytest.mark.parametrize("value", [b"a\nb", b"a\0b", b"a\n--the-boundary", b"a\x7f"])
def test_headers_of_parts_are_single_lines(value: bytes) -> None:
    """Found by fuzzing: a line feed alone did not end a header and stayed in its value."""
    with pytest.raises(ValidationException, match="control characters"):
        parts_of([b"--the-boundary\r\nContent-Type: " + value + b"\r\n\r\nx\r\n--the-boundary--\r\n"])


def test_a_chunk_cannot_be_signed_with_another_key() -> None:
    other = ChunkSigner(b"other", f"{NOW:%Y%m%dT%H%M%SZ}", SCOPE, SEED)
    with pytest.raises(InvalidSignatureException):
        decoded(ChunkDecoder(other), [signed_chunks(SEED, [b"a"])])
