"""Tokens before anybody vouches for them: their form, their times, their claims, and the rules from claims to roles."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield.oidc.claims import Claims
from hounsfield.oidc.errors import EarlyTokenError, ExpiredTokenError, InvalidTokenError
from hounsfield.oidc.lifetimes import LONGEST_AGE, check_lifetime
from hounsfield.oidc.role_mapping import map_role
from hounsfield.oidc.token import LONGEST_TOKEN, read_token
from hounsfield.settings import SettingsError, load_settings
from hounsfield.settings.claim_roles import parse_claim_roles

NOW = 1_800_000_000.0
READER = "arn:aws:iam::000000000000:role/reader"
WRITER = "arn:aws:iam::000000000000:role/department/writer"


def segment(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def compact(payload: Any, header: Any = None) -> str:
    return ".".join(
        [
            segment(json.dumps({"alg": "ES256", "kid": "k"} if header is None else header).encode()),
            segment(payload if isinstance(payload, bytes) else json.dumps(payload).encode()),
            segment(b"signature"),
        ]
    )


def test_a_token_is_read_without_a_look_at_its_signature() -> None:
    token = read_token(compact({"sub": "jane", "aud": ["a", 7, "b"]}))
    assert (token.algorithm, token.key_id, token.claims.text("sub")) == ("ES256", "k", "jane")
    assert token.claims.audiences == ("a", "b")
    assert token.text not in repr(token)
    assert "jane" not in repr(token)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "secret",
        "a.b",
        "a.b.c.d.e",
        "..",
        "é.é.é",
        compact({}) + "=",
        compact({})[1:],
        compact([]),
        compact(b"{"),
        compact(b'{"exp": NaN}'),
        compact(b"\xff"),
        compact(b"[" * 9000),
        compact({}, []),
        compact({}, "alg"),
        compact({}, ["alg"]),
        compact({}, {"kid": "k"}),
        compact({}, {"alg": 1}),
        compact({}, {"alg": ""}),
        compact({}, {"alg": "none\n"}),
        compact({}, {"alg": "ES256", "typ": ["JWT"]}),
        compact({}, {"alg": "ES256", "kid": 7}),
        compact({}, {"alg": "ES256", "kid": "k" * 257}),
        compact({}, {"alg": "ES256", "crit": ["b64"], "b64": False}),
        compact({}, {"alg": "ES256", "x": "y" * 3000}),
        compact({"x": "y" * LONGEST_TOKEN}),
    ],
)
def test_what_is_no_token_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(InvalidTokenError) as refusal:
        read_token(text)
    assert str(refusal.value) == "Invalid or Expired Token"
    assert len(text) < 8 or text not in refusal.value.reason


@given(st.text(max_size=200) | st.lists(st.binary(max_size=60), min_size=3, max_size=3))
def test_any_text_is_a_token_or_invalid(content: str | list[bytes]) -> None:
    text = content if isinstance(content, str) else ".".join(segment(part) for part in content)
    with suppress(InvalidTokenError):
        assert read_token(text).algorithm


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({"iat": -10, "exp": 600}, None),
        ({"iat": 0, "exp": 1}, None),
        ({"iat": -LONGEST_AGE, "exp": 60}, None),
        ({"iat": 4, "exp": 60}, None),
        ({"iat": -10, "exp": -4}, None),
        ({"iat": -10, "exp": 600, "nbf": 4}, None),
        ({"iat": -10}, InvalidTokenError),
        ({"exp": 600}, InvalidTokenError),
        ({"iat": 6, "exp": 600}, EarlyTokenError),
        ({"iat": -10, "exp": 600, "nbf": 6}, EarlyTokenError),
        ({"iat": -10, "exp": -6}, ExpiredTokenError),
        ({"iat": -LONGEST_AGE - 6, "exp": 600}, ExpiredTokenError),
    ],
)
def test_times_are_checked(times: dict[str, float], expected: type[InvalidTokenError] | None) -> None:
    claims = Claims({name: NOW + seconds for name, seconds in times.items()})
    if expected is None:
        assert check_lifetime(claims, NOW, 5) == NOW + min(times["exp"], times["iat"] + LONGEST_AGE)
    else:
        with pytest.raises(InvalidTokenError) as refusal:
            check_lifetime(claims, NOW, 5)
        assert type(refusal.value) is expected


@pytest.mark.parametrize("value", ["1800000600", True, [], {}])
@pytest.mark.parametrize("name", ["iat", "exp", "nbf"])
def test_times_are_numbers(name: str, value: object) -> None:
    with pytest.raises(InvalidTokenError, match="Invalid or Expired Token"):
        check_lifetime(Claims({"iat": NOW - 1, "exp": NOW + 1, name: value}), NOW, 5)


@given(iat=st.floats(-1e5, 1e5), exp=st.floats(-1e5, 1e5), later=st.floats(0, 1e5))
def test_a_token_that_is_over_stays_over(iat: float, exp: float, later: float) -> None:
    claims = Claims({"iat": NOW + iat, "exp": NOW + exp})
    try:
        check_lifetime(claims, NOW, 5)
    except ExpiredTokenError:
        with pytest.raises(ExpiredTokenError):
            check_lifetime(claims, NOW + later, 5)
    except InvalidTokenError:
        pass


RULES = json.dumps(
    [
        {"claim": ["realm_access", "roles"], "value": "writer", "role": WRITER},
        {"claim": "groups", "value": "readers", "role": READER},
        {"claim": "scope", "value": "dicom.read", "role": READER},
        {"claim": "https://example.org/role", "value": "writer", "role": WRITER},
    ]
)


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({"groups": ["nurses", "readers"]}, READER),
        ({"groups": "readers"}, READER),
        ({"groups": ["readers"], "realm_access": {"roles": ["writer"]}}, WRITER),
        ({"scope": "openid dicom.read"}, READER),
        ({"https://example.org/role": "writer"}, WRITER),
        ({"groups": "nurses readers"}, None),
        ({"groups": ["READERS"]}, None),
        ({"groups": {"readers": True}}, None),
        ({"groups": [["readers"]]}, None),
        ({"realm_access": ["roles"]}, None),
        ({"realm_access.roles": ["writer"]}, None),
        ({}, None),
    ],
)
def test_the_first_rule_that_fits_gives_the_role(claims: dict[str, Any], role: str | None) -> None:
    assert map_role(Claims(claims), parse_claim_roles(RULES)) == role


def test_without_rules_no_token_stands_for_a_role() -> None:
    assert map_role(Claims({"groups": "readers"}), parse_claim_roles("  ")) is None


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ("{", "JSON"),
        ("{}", "list"),
        ("[1]", "claim, value and role"),
        ('[{"claim": "a", "value": "b"}]', "claim, value and role"),
        ('[{"claim": "", "value": "b", "role": "r"}]', "claim"),
        ('[{"claim": [], "value": "b", "role": "r"}]', "claim"),
        ('[{"claim": "a", "value": 1, "role": "r"}]', "value"),
        ('[{"claim": "a", "value": "b", "role": "reader"}]', "ARN of a role"),
        ('[{"claim": "a", "value": "b", "role": "arn:aws:iam::000000000000:user/jane"}]', "ARN of a role"),
    ],
)
def test_wrong_rules_are_named_when_the_server_starts(rules: str, words: str) -> None:
    settings = {"HOUNSFIELD_OIDC_ISSUER": "https://id.example.org", "HOUNSFIELD_OIDC_AUDIENCE": "a"}
    with pytest.raises(SettingsError, match=f"HOUNSFIELD_OIDC_ROLES: .*{words}"):
        load_settings({**settings, "HOUNSFIELD_OIDC_ROLES": rules})


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("OIDC_ISSUER", "http://id.example.org", "https://"),
        ("OIDC_ISSUER", "id.example.org", "https://"),
        ("OIDC_ISSUER", "https://user:word@id.example.org", "neither a user"),
        ("OIDC_JWKS_URL", "http://10.0.0.1/keys", "https://"),
        ("OIDC_AUDIENCE", " , ", "whom tokens are for"),
        ("OIDC_ALGORITHMS", "RS256,none", "none"),
        ("OIDC_ALGORITHMS", "HS256", "HS256"),
        ("OIDC_ALGORITHMS", "", "at least one"),
        ("OIDC_LEEWAY_SECONDS", "61", "from 0 to 60"),
        ("OIDC_LEEWAY_SECONDS", "nan", "from 0 to 60"),
        ("OIDC_KEYS_SECONDS", "4000", "no longer used"),
    ],
)
def test_wrong_settings_of_an_issuer_are_named(name: str, value: str, words: str) -> None:
    settings = {"HOUNSFIELD_OIDC_ISSUER": "https://id.example.org", "HOUNSFIELD_OIDC_AUDIENCE": "a"}
    with pytest.raises(SettingsError, match=f"HOUNSFIELD_{name}: .*{words}"):
        load_settings({**settings, f"HOUNSFIELD_{name}": value})
