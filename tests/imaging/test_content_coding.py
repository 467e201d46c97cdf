"""What is sent compressed comes out as it was."""

from __future__ import annotations

import zlib

import imagecodecs
from hypothesis import given
from hypothesis import strategies as st

from hounsfield.imaging.content_coding import ContentCoding, compress


@given(st.lists(st.binary(max_size=300), max_size=20), st.sampled_from(list(ContentCoding)))
def test_what_is_compressed_comes_out_as_it_was(chunks: list[bytes], coding: ContentCoding) -> None:
    whole = b"".join(chunks)
    sent = b"".join(compress(chunks, coding))
    assert sent == b"".join(compress(chunks, coding)), "the same document always comes out the same"
    if coding is ContentCoding.GZIP:
        assert zlib.decompress(sent, 31) == whole
    elif coding is ContentCoding.ZSTD:
        assert not whole or bytes(imagecodecs.zstd_decode(sent)) == whole
    else:
        assert sent == whole


def test_large_documents_are_frames_one_after_another() -> None:
    piece = bytes(range(256)) * 4096
    frames = list(compress((piece for _ in range(20)), ContentCoding.ZSTD))
    assert b"".join(bytes(imagecodecs.zstd_decode(frame)) for frame in frames) == piece * 20
    assert len(frames) == 3
