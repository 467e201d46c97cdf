"""Session tokens, bearer tokens and forms of STS: what was not made here is refused, and what was comes out as it went in."""

from __future__ import annotations

import base64
import json
from urllib.parse import urlencode

import pytest
from hypothesis import strategies as st

from hounsfield.aws.protocol.errors import AwsError
from hounsfield.aws.protocol.model import load_service
from hounsfield.aws.protocol.query_parser import operation_of, parse_form, read_form
from hounsfield.iam.sessions.session_tokens import InvalidSessionError, SessionContent
from hounsfield.oidc.errors import InvalidTokenError
from hounsfield.oidc.token import read_token
from support.fuzzing import damaged, fuzz
from support.identities.session_tokens import KEY_ID, SEALER, STRANGER, TOKEN, contents, texts


@fuzz(contents, texts, examples=60)
def test_a_session_comes_out_as_it_went_in_for_its_own_key_only(content: SessionContent, other: str) -> None:
    token = SEALER.seal(KEY_ID, content)
    assert SEALER.open(KEY_ID, token) == content
    for key in (f"{KEY_ID}0", KEY_ID[:-1], other):
        with pytest.raises(InvalidSessionError):
            SEALER.open(key, token)
    with pytest.raises(InvalidSessionError):
        STRANGER.open(KEY_ID, token)


@fuzz(
    st.one_of(
        damaged(st.just(TOKEN.encode())).map(lambda token: token.decode("latin-1")),
        damaged(st.just(base64.b64decode(TOKEN))).map(lambda sealed: base64.b64encode(sealed).decode()),
        texts,
    ),
    examples=200,
)
def test_no_other_token_opens(token: str) -> None:
    if token == TOKEN:
        return
    with pytest.raises(InvalidSessionError):
        SEALER.open(KEY_ID, token)


def encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)
members = st.dictionaries(
    st.sampled_from(["alg", "kid", "typ", "crit", "b64", "zip", "iss", "sub", "aud", "exp", "nbf"]),
    json_values,
    max_size=5,
)
tokens = st.one_of(
    texts,
    st.tuples(st.one_of(members, json_values), st.one_of(members, json_values), texts).map(
        lambda parts: (
            f"{encoded(parts[0])}.{encoded(parts[1])}.{base64.urlsafe_b64encode(parts[2].encode()).rstrip(b'=').decode()}"
        )
    ),
    damaged(st.just(f"{encoded({'alg': 'RS256', 'kid': 'a'})}.{encoded({'iss': 'i', 'exp': 5})}.c2ln".encode())).map(
        lambda token: token.decode("latin-1")
    ),
    st.just("." * 5_000),
    st.just(f"{encoded({'alg': 'RS256'})}.{base64.urlsafe_b64encode(b'[' * 5_000).decode().rstrip('=')}.c2ln"),
)


@fuzz(tokens, examples=300)
def test_bearer_tokens_are_read_or_refused(text: str) -> None:
    try:
        token = read_token(text)
    except InvalidTokenError as refused:
        assert text not in str(refused) or len(text) < 4  # noqa: PT017 - both outcomes are right
        return
    assert token.algorithm
    assert text not in repr(token)


STS = load_service("sts")
names = st.sampled_from(
    ["Action", "Version", "RoleArn", "RoleSessionName", "DurationSeconds", "Policy", "Tags.member.1.Key", "Tags.member.1.Value",
     "Tags.member.99999999999999999.Key", "PolicyArns.member.1.arn", "Tags.1", "a.b.c.d.e.f.g.h.i", "WebIdentityToken", ""]
)  # fmt: skip
fields = st.lists(
    st.tuples(
        st.one_of(names, texts),
        st.one_of(
            texts,
            st.sampled_from(
                ["AssumeRole", "AssumeRoleWithWebIdentity", "GetCallerIdentity", "2011-06-15", "900", "9" * 5_000]
            ),
        ),
    ),
    max_size=8,
)


@fuzz(fields, st.binary(max_size=40), examples=300)
def test_forms_are_read_or_refused(form: list[tuple[str, str]], noise: bytes) -> None:
    for sent in (form, [("Action", "AssumeRole"), *form]):
        try:
            read = read_form(noise, urlencode(sent).encode())
            parse_form(operation_of(STS, read), read)
        except AwsError as refused:
            assert 400 <= refused.status < 500  # noqa: PT017 - both outcomes are right
            assert len(refused.message) < 2_000  # noqa: PT017
