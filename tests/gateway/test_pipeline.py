"""The pipeline: what its list tells, the order of its checks, and that it keeps nothing of a request."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.types import Message

from hounsfield.bootstrap.api import make_app
from hounsfield.gateway.dispatch import Gateway
from hounsfield.gateway.exchange import Exchange
from hounsfield.gateway.pipeline import REQUEST_HANDLERS, handler_summaries
from hounsfield.settings import Settings

STORE = "0" * 32


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    data: Path = tmp_path_factory.mktemp("pipeline") / "data"
    made = make_app(Settings(data=data, insecure_no_auth=True, max_header_bytes=4096))
    made.start()
    yield made
    made.stop()


def ask(gateway: Gateway, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def collect(message: Message) -> None:
        sent.append(message)

    given = {"host": "127.0.0.1", "content-length": str(len(body)), **headers}
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in given.items()],
        "scheme": "http",
        "client": ("127.0.0.1", 1),
    }
    asyncio.run(gateway(scope, receive, collect))
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


def test_every_handler_is_told_in_a_sentence() -> None:
    summaries = handler_summaries()
    assert list(summaries)[: len(REQUEST_HANDLERS)] == [handler.__name__ for handler in REQUEST_HANDLERS]
    assert list(summaries)[-1] == "send"
    for name, summary in summaries.items():
        assert summary.endswith("."), name
        assert summary.count(".") == 1, name


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/datastore", 200),
        ("GET", f"/datastore/{STORE}", 404),
        ("GET", "/nothing", 404),
        ("PUT", "/datastore", 405),
        ("POST", "/datastore", 400),
        ("GET", f"/datastore/{STORE}/studies", 404),
        ("GET", "/", 400),
    ],
)
def test_nothing_of_a_request_is_kept_when_it_was_answered(
    gateway: Gateway, method: str, path: str, status: int
) -> None:
    """Bodies and responses are given back at once, not when the garbage collector comes."""
    gc.collect()
    gc.disable()
    try:
        assert ask(gateway, method, path)[0] == status
        assert [one for one in gc.get_objects() if isinstance(one, Exchange)] == []
    finally:
        gc.enable()


@pytest.mark.parametrize("path", ["/nothing", "/datastore", f"/datastore/{STORE}/studies", "/"])
def test_what_is_wrong_with_the_headers_comes_before_what_is_wrong_with_the_path(gateway: Gateway, path: str) -> None:
    assert ask(gateway, "PUT", path, host="attacker.example")[0] == 403
    assert ask(gateway, "PUT", path, x_large="x" * 4096)[0] == 431
