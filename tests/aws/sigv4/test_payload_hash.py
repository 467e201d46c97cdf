import hashlib
from base64 import b64encode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hounsfield.aws.protocol.errors import (
    AwsError,
    InvalidSignatureException,
    SerializationException,
    ValidationException,
)
from hounsfield.aws.sigv4.verifier import Verifier
from support.clients.signers import (
    NOW,
    SECRETS,
    changed,
    crc32,
    proven,
    read_whole,
    seed_signature,
    signed,
    signed_chunks,
    unsigned_chunks,
    with_header,
)
from support.examples import examples

SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
# Lengths whose hexadecimal digits have no letters: the case of a letter means nothing.
CHUNKS = [b"the first chunk.", b"0\r\n\r\n", b"x" * 0x120]
WHOLE = b"".join(CHUNKS)
VERIFIER = Verifier("us-east-1", "medical-imaging", lambda scope: SECRETS.get(scope.access_key_id), clock=lambda: NOW)


@pytest.fixture
def announce(monkeypatch):
    """A request that announces a streamed body."""

    def request(literal, **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return signed(monkeypatch, "POST", "/datastore/x/studies", b"", {"X-Amz-Content-SHA256": literal, **named})

    return request


def in_pieces(request, body, size):
    reader = VERIFIER.authenticate(request).reader()
    pieces = [reader.feed(body[start : start + size]) for start in range(0, len(body), size)]
    return b"".join(pieces) + reader.finish()


@pytest.mark.parametrize(
    "headers", [{}, {"Content_Encoding": "aws-chunked"}, {"X_Amz_Decoded_Content_Length": str(len(WHOLE))}]
)
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_signed_chunks(announce, headers, size):
    request = announce(SIGNED, **headers)
    body = signed_chunks(seed_signature(request), CHUNKS)
    assert VERIFIER.authenticate(request).signature_verified
    assert proven(VERIFIER, request, body).body == WHOLE
    assert in_pieces(request, body, size) == WHOLE
    assert proven(VERIFIER, request, body[:-2]).body == WHOLE  # without the last line end
    pending = VERIFIER.authenticate(request)
    assert read_whole(pending, body) == read_whole(pending, body) == WHOLE


def test_signed_chunks_of_an_empty_body(announce):
    request = announce(SIGNED, Content_Encoding="aws-chunked")
    assert proven(VERIFIER, request, signed_chunks(seed_signature(request), [])).body == b""


@settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_byte_of_signed_chunks_can_change(announce, data):
    request = announce(SIGNED, Content_Encoding="aws-chunked")
    body = signed_chunks(seed_signature(request), CHUNKS)
    place = data.draw(st.integers(0, len(body) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != body[place]))
    with pytest.raises((InvalidSignatureException, SerializationException)):
        proven(VERIFIER, request, body[:place] + bytes([other]) + body[place + 1 :])


def test_chunks_cannot_be_moved_left_out_added_or_borrowed(announce):
    request = announce(SIGNED, Content_Encoding="aws-chunked")
    seed = seed_signature(request)
    lines = signed_chunks(seed, [b"a" * 10, b"b" * 10])
    length = len(b"a;chunk-signature=") + 64 + 2 + 10 + 2
    first, second, rest = lines[:length], lines[length : 2 * length], lines[2 * length :]
    for body in [second + first + rest, first + rest, second + rest, first + first + second + rest, rest]:
        with pytest.raises(InvalidSignatureException):
            proven(VERIFIER, request, body)
    with pytest.raises(InvalidSignatureException):
        proven(VERIFIER, request, signed_chunks("0" * 64, CHUNKS))
    for body in [first + second, first, b"", first + second + rest + b"x", lines[: length - 5]]:
        with pytest.raises(SerializationException):
            proven(VERIFIER, request, body)


@pytest.mark.parametrize("size", [1, 50, 1000])
def test_a_plain_body_under_the_streaming_literal_is_taken_as_it_is(announce, size):
    """As curl sends it, following AWS's recipe for STOW-RS."""
    for body in [b"", b"--boundary\r\nContent-Type: application/dicom\r\n\r\nDICM" * 20, b"a;chunk-signature=no"]:
        assert in_pieces(announce(SIGNED), body, size) == body


@pytest.mark.parametrize("length", ["0", "4", "1200", "1201"])
def test_a_plain_body_under_the_streaming_literal_may_state_a_length(announce, length):
    """AWS's recipe does; where the body is multipart, the length that it tells one to state is that of a file in it."""
    body = b"DICM" * 300
    request = announce(SIGNED, X_Amz_Decoded_Content_Length=length)
    assert in_pieces(request, body, 50) == body
    assert in_pieces(changed(request, headers=[*request.headers, (b"content-length", b"1200")]), body, 50) == body


def test_a_plain_body_is_refused_where_chunks_were_announced(announce):
    for headers in [{}, {"X_Amz_Decoded_Content_Length": "4"}, {"X_Amz_Decoded_Content_Length": "1200"}]:
        request = announce(SIGNED, Content_Encoding="aws-chunked", **headers)
        request = changed(request, headers=[*request.headers, (b"content-length", b"1200")])
        with pytest.raises(SerializationException, match="aws-chunked body must have"):
            proven(VERIFIER, request, b"DICM" * 300)


def test_the_decoded_length_is_checked(announce):
    request = announce(SIGNED, X_Amz_Decoded_Content_Length=str(len(WHOLE) + 1))
    with pytest.raises(SerializationException, match=f"has {len(WHOLE)} bytes, not the {len(WHOLE) + 1}"):
        proven(VERIFIER, request, signed_chunks(seed_signature(request), CHUNKS))
    for length in ["-1", "x", "1,2", "9" * 20]:
        with pytest.raises(SerializationException, match="one number of bytes"):
            VERIFIER.authenticate(announce(SIGNED, X_Amz_Decoded_Content_Length=length))


CHECKSUMS = {
    b"x-amz-checksum-crc32": crc32(WHOLE),
    b"x-amz-checksum-sha1": b64encode(hashlib.sha1(WHOLE).digest()),
    b"x-amz-checksum-sha256": b64encode(hashlib.sha256(WHOLE).digest()),
}


@pytest.mark.parametrize("name", CHECKSUMS)
@pytest.mark.parametrize("size", [1, 100_000])
def test_unsigned_chunks_are_proven_by_their_checksum(announce, name, size):
    request = announce(UNSIGNED_TRAILER, X_Amz_Trailer=name.decode(), Content_Encoding="aws-chunked")
    good = [(name, CHECKSUMS[name])]
    assert in_pieces(request, unsigned_chunks(CHUNKS, good), size) == WHOLE
    with pytest.raises(ValidationException, match="not the checksum"):
        proven(VERIFIER, request, unsigned_chunks([*CHUNKS, b"!"], good))
    with pytest.raises(SerializationException, match="lacks a trailer announced"):
        proven(VERIFIER, request, unsigned_chunks(CHUNKS, []))


def test_unsigned_chunks_with_a_checksum_not_known_here(announce):
    request = announce(UNSIGNED_TRAILER, X_Amz_Trailer="x-amz-checksum-crc64nvme")
    assert (
        proven(VERIFIER, request, unsigned_chunks(CHUNKS, [(b"x-amz-checksum-crc64nvme", b"AAAAAAAAAAA=")])).body
        == WHOLE
    )


def test_signed_chunks_with_signed_trailer(announce):
    request = announce(SIGNED_TRAILER, X_Amz_Trailer="x-amz-checksum-crc32")
    trailers = [(b"x-amz-checksum-crc32", crc32(WHOLE))]
    body = signed_chunks(seed_signature(request), CHUNKS, trailers)
    assert proven(VERIFIER, request, body).body == WHOLE
    assert in_pieces(request, body, 1) == WHOLE
    assert proven(VERIFIER, request, body[:-2]).body == WHOLE
    for wrong in [body.replace(crc32(WHOLE), crc32(b"")), signed_chunks(seed_signature(request), CHUNKS)]:
        with pytest.raises(InvalidSignatureException):
            proven(VERIFIER, request, wrong)
    forged = body[: body.index(b"x-amz-trailer-signature")] + "x-amz-trailer-signature:é\r\n\r\n".encode()
    with pytest.raises(InvalidSignatureException):
        proven(VERIFIER, request, forged)


def test_signed_trailers_with_a_wrong_checksum(announce):
    request = announce(SIGNED_TRAILER, X_Amz_Trailer="x-amz-checksum-crc32")
    body = signed_chunks(seed_signature(request), CHUNKS, [(b"x-amz-checksum-crc32", crc32(b"other"))])
    with pytest.raises(ValidationException, match="not the checksum"):
        proven(VERIFIER, request, body)


def test_limits_of_lines_and_trailers(announce):
    request = announce(UNSIGNED_TRAILER)
    with pytest.raises(SerializationException, match="less than 1024 bytes"):
        proven(VERIFIER, request, b"0" * 2000)
    with pytest.raises(SerializationException, match="at most 16 trailers"):
        proven(VERIFIER, request, unsigned_chunks(CHUNKS, [(b"x", b"y")] * 20))
    with pytest.raises(SerializationException, match="CRLF after each chunk"):
        proven(VERIFIER, request, b"3\r\nabcde0\r\n\r\n")
    request = announce(SIGNED, Content_Encoding="aws-chunked")
    with pytest.raises(SerializationException, match="has a trailer although none"):
        proven(VERIFIER, request, signed_chunks(seed_signature(request), [])[:-2] + b"a:b\r\n\r\n")


@settings(max_examples=examples(200), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER]),
    st.binary(max_size=40) | st.text("0123af;chunk-signature=\r\n:", max_size=120).map(str.encode),
    st.integers(1, 40),
)
def test_whatever_body_comes_the_answer_is_bytes_or_an_aws_error(announce, literal, body, size):
    request = with_header(announce(literal), b"content-encoding", b"aws-chunked")
    try:
        decoded = in_pieces(request, body, size)
    except AwsError:
        with pytest.raises(AwsError):
            proven(VERIFIER, request, body)
    else:
        assert decoded == proven(VERIFIER, request, body).body
        assert len(decoded) < len(body)
