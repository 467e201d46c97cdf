"""Session tokens: what was sealed comes out, of everything else nothing does."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hounsfield.iam.sessions.session_tokens import (
    MOST_TOKEN_CHARACTERS,
    InvalidSessionError,
    SessionContent,
    SessionTooLargeError,
)
from support.examples import examples
from support.identities.session_tokens import CONTENT, KEY_ID, SEALER, STRANGER, TOKEN, contents, texts


@given(contents)
@settings(max_examples=examples(50), deadline=None)
def test_what_is_sealed_comes_out(content):
    token = SEALER.seal(KEY_ID, content)
    assert len(token) <= MOST_TOKEN_CHARACTERS
    assert SEALER.open(KEY_ID, token) == content


@pytest.mark.parametrize("bit", range(8))
def test_any_flipped_bit_is_refused(bit):
    for position in range(len(TOKEN)):
        changed = bytearray(TOKEN.encode())
        changed[position] ^= 1 << bit
        with pytest.raises(InvalidSessionError):
            SEALER.open(KEY_ID, changed.decode("latin-1"))


@given(texts)
def test_any_other_text_is_refused(text):
    with pytest.raises(InvalidSessionError):
        SEALER.open(KEY_ID, text)


@given(st.integers(0, len(TOKEN) - 1), texts)
def test_a_token_that_is_cut_or_continued_is_refused(length, text):
    for changed in (TOKEN[:length], TOKEN + (text or "=")):
        with pytest.raises(InvalidSessionError):
            SEALER.open(KEY_ID, changed)


def test_it_opens_for_its_key_and_installation_only():
    with pytest.raises(InvalidSessionError):
        SEALER.open(KEY_ID[:-1] + "K", TOKEN)
    with pytest.raises(InvalidSessionError):
        STRANGER.open(KEY_ID, TOKEN)


def test_no_two_tokens_are_alike_and_none_tells_anything():
    assert SEALER.seal(KEY_ID, CONTENT) != TOKEN
    assert b"reader" not in TOKEN.encode()


def test_too_much_is_refused_before_it_is_sealed():
    content = SessionContent("s", "r", "a", "n", 0, 1, tags={str(n): chr(0x4E00 + n) for n in range(4000)})
    with pytest.raises(SessionTooLargeError, match="at most 3043 are possible"):
        SEALER.seal(KEY_ID, content)
