"""Authorizers: what they answer, how many are asked, and for how long; over a real HTTP server."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield.oidc.authorizer import Authorizers, ServiceAccount, TokenAuthorizer
from hounsfield.oidc.claims import Claims
from hounsfield.oidc.errors import (
    AuthorizerMisconfiguredError,
    AuthorizerTimeoutError,
    BearerError,
    DeniedTokenError,
    InvalidTokenError,
    TooManyAuthorizationsError,
)
from hounsfield.oidc.grant_cache import Grant, GrantCache
from hounsfield.oidc.http_authorizer import AuthorizerRequest, parse_answer
from hounsfield.oidc.session_names import make_session_name
from hounsfield.oidc.token import Token
from hounsfield.settings import SettingsError, load_settings
from hounsfield.settings.authorizer_urls import parse_authorizer_urls
from support.services.token_issuer import JsonHandler, QuietServer, TokenIssuer

HOME = ServiceAccount("aws", "us-east-1", "000000000000")
FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:authorizer"
ROLE = "arn:aws:iam::000000000000:role/reader"


class Endpoint:
    """An authorizer behind HTTP that answers once it is let go."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.go_on = threading.Event()
        self.go_on.set()
        endpoint = self

        class Handler(JsonHandler):
            def do_POST(self) -> None:  # noqa: N802
                event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                endpoint.events.append(event)
                endpoint.go_on.wait(20)
                self.answer(200, json.dumps({"isTokenValid": True, "roleArn": ROLE}).encode())

        handler: type[BaseHTTPRequestHandler] = Handler
        self.server = QuietServer(handler)

    def authorizing(self, calls: int = 4, seconds: float = 60) -> TokenAuthorizer:
        authorizers = Authorizers(HOME, {FUNCTION: self.server.url}, None)
        return TokenAuthorizer(authorizers, None, (), GrantCache(seconds), calls, 5)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    made = Endpoint()
    yield made
    made.go_on.set()
    made.server.stop()


@pytest.fixture(scope="module")
def issuer() -> Iterator[TokenIssuer]:
    made = TokenIssuer()
    yield made
    made.stop()


def question(issuer: TokenIssuer, operation: str = "GetDICOMInstance", **claims: Any) -> AuthorizerRequest:
    return AuthorizerRequest("a" * 32, operation, issuer.token(**claims))


def test_requests_with_the_same_token_ask_once(endpoint: Endpoint, issuer: TokenIssuer) -> None:
    authorizing, asked = endpoint.authorizing(), question(issuer)
    endpoint.go_on.clear()

    async def together() -> list[Grant]:
        waiting = [asyncio.ensure_future(authorizing.grant_by_authorizer(FUNCTION, asked)) for _ in range(50)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        endpoint.go_on.set()
        grants = await asyncio.gather(*waiting[1:])
        return [*grants, await authorizing.grant_by_authorizer(FUNCTION, asked)]

    assert set(asyncio.run(together())) == {Grant(ROLE, "jane", FUNCTION)}
    assert endpoint.events == [{"datastoreId": "a" * 32, "operation": "GetDICOMInstance", "bearerToken": asked.token}]
    assert asked.token not in repr(asked)


def test_grants_are_of_one_token_operation_and_data_store(endpoint: Endpoint, issuer: TokenIssuer) -> None:
    authorizing = endpoint.authorizing()
    first = question(issuer)
    others = [
        question(issuer, sub="joan"),
        AuthorizerRequest("b" * 32, first.operation, first.token),
        AuthorizerRequest(first.datastore_id, "StoreDICOM", first.token),
    ]

    async def one_after_the_other() -> list[Grant]:
        return [await authorizing.grant_by_authorizer(FUNCTION, asked) for asked in (first, *others, first)]

    names = [grant.session_name for grant in asyncio.run(one_after_the_other())]
    assert names == ["jane", "joan", "jane", "jane", "jane"]
    assert len(endpoint.events) == 4


def test_nothing_is_kept_where_nothing_may_be(endpoint: Endpoint, issuer: TokenIssuer) -> None:
    authorizing, asked = endpoint.authorizing(seconds=0), question(issuer)

    async def twice() -> None:
        for _ in range(2):
            await authorizing.grant_by_authorizer(FUNCTION, asked)

    asyncio.run(twice())
    assert len(endpoint.events) == 2


def test_an_authorizer_that_is_slow_is_not_waited_for_and_holds_only_its_thread(
    endpoint: Endpoint, issuer: TokenIssuer
) -> None:
    authorizing = endpoint.authorizing(calls=2)
    endpoint.go_on.clear()

    async def asked(subject: str) -> type[BaseException]:
        try:
            await authorizing.grant_by_authorizer(FUNCTION, question(issuer, sub=subject))
        except BearerError as error:
            return type(error)
        raise AssertionError("it was granted")

    async def all_of_them() -> list[type[BaseException]]:
        return await asyncio.gather(*(asked(str(number)) for number in range(20)))

    kinds = asyncio.run(all_of_them())
    assert kinds.count(AuthorizerTimeoutError) >= 2
    assert set(kinds) <= {AuthorizerTimeoutError, TooManyAuthorizationsError}
    assert kinds.count(TooManyAuthorizationsError) >= 14
    assert len(endpoint.events) <= 4


def test_grants_are_forgotten_in_time_and_are_never_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hounsfield.oidc.grant_cache.MOST_KEPT", 3)
    now = 0.0
    recent = GrantCache(5, lambda: now)
    sought: list[int] = []

    async def find(number: int) -> Grant:
        async def seek() -> Grant:
            sought.append(number)
            return Grant(ROLE, str(number), FUNCTION)

        return await recent.find(number, seek)

    async def steps() -> None:
        nonlocal now
        for number in (1, 2, 3, 1, 4, 2, 3, 1):
            await find(number)
        now = 5.0
        await find(3)

    asyncio.run(steps())
    assert sought == [1, 2, 3, 4, 2, 3, 1, 3]


def test_what_went_wrong_is_not_kept() -> None:
    recent, answers = GrantCache(5), iter([None, Grant(ROLE, "jane", FUNCTION)])

    async def seek() -> Grant:
        grant = next(answers)
        if grant is None:
            raise DeniedTokenError("not yet")
        return grant

    async def twice() -> str:
        with pytest.raises(DeniedTokenError):
            await recent.find("key", seek)
        return (await recent.find("key", seek)).session_name

    assert asyncio.run(twice()) == "jane"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ('{"isTokenValid": true, "roleArn": ""}', DeniedTokenError),
        ('{"isTokenValid": false, "roleArn": ""}', InvalidTokenError),
        ('{"isTokenValid": false}', InvalidTokenError),
        ('{"isTokenValid": true}', AuthorizerMisconfiguredError),
        ('{"isTokenValid": true, "roleArn": null}', AuthorizerMisconfiguredError),
        ('{"isTokenValid": "true", "roleArn": "r"}', AuthorizerMisconfiguredError),
        ('{"isTokenValid": 1, "roleArn": "r"}', AuthorizerMisconfiguredError),
        ('{"roleArn": "r"}', AuthorizerMisconfiguredError),
        ('"{}"', AuthorizerMisconfiguredError),
        ("null", AuthorizerMisconfiguredError),
        ("", AuthorizerMisconfiguredError),
    ],
)
def test_answers_are_read_strictly(answer: str, error: type[BearerError]) -> None:
    with pytest.raises(BearerError) as refusal:
        parse_answer(answer.encode())
    assert type(refusal.value) is error


@given(st.text() | st.from_regex(r"[a-z.@]{1,80}", fullmatch=True), st.text(min_size=1))
def test_session_names_are_names_and_tell_subjects_apart(first: str, second: str) -> None:
    names = []
    for subject in (first, second):
        token = Token("a.b.c", Claims({"sub": subject}), "ES256", None)
        names.append(make_session_name(token))
        assert 2 <= len(names[-1]) <= 64
        assert all(character.isascii() and (character.isalnum() or character in "_+=,.@-") for character in names[-1])
    assert (names[0] == names[1]) == (first == second)


@pytest.mark.parametrize("subject", [None, "", 7])
def test_a_token_without_subject_has_a_session_name_too(subject: object) -> None:
    assert make_session_name(Token("a.b.c", Claims({"sub": subject}), "ES256", None)).startswith("token-")


def test_urls_of_authorizers() -> None:
    assert parse_authorizer_urls("  ") == {}
    text = f"{FUNCTION}=https://a.example.org/x?y=z, {FUNCTION}:live=http://127.0.0.1:8000"
    assert parse_authorizer_urls(text) == {
        FUNCTION: "https://a.example.org/x?y=z",
        f"{FUNCTION}:live": "http://127.0.0.1:8000",
    }


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("AUTHORIZERS", "https://a.example.org", "not the ARN of a function"),
        ("AUTHORIZERS", FUNCTION, "https://"),
        ("AUTHORIZERS", f"{FUNCTION}=http://a.example.org", "https://"),
        ("LAMBDA_API", "gcp", "aws or empty"),
        ("AUTHORIZER_CALLS", "0", "1 or more"),
        ("AUTHORIZER_CACHE_SECONDS", "3600", "0 to 60"),
    ],
)
def test_wrong_settings_of_authorizers_are_named(name: str, value: str, words: str) -> None:
    with pytest.raises(SettingsError, match=f"HOUNSFIELD_{name}.*{words}"):
        load_settings({f"HOUNSFIELD_{name}": value})
