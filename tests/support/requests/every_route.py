"""Requests to everything the server answers, made from its route table."""

from __future__ import annotations

import asyncio
import copy
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import quote, unquote, urlencode

import botocore.auth
import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from starlette.types import ASGIApp, Message

from hounsfield.api.administration.api import PATH, SIGNED_FOR
from hounsfield.gateway.route_table import Route
from support.clients.signed_http import Answer, send
from support.requests.administration_samples import sample_of
from support.requests.shape_samples import OPERATIONS, sample, sent
from support.servers import ServerProcess

OPEN = frozenset(
    {
        Route("GET", "/healthz", "Health"),
        Route("GET", "/readyz", "Ready"),
        Route("GET", "/console", "Console"),
        Route("GET", "/console/{rest}", "Console"),
    }
)
"""The routes that answer everybody. A route that is added here needs a line in the threat model. The pages of the console have
sessions; `tests/console/test_signing_in.py` walks them."""

UNSIGNED = frozenset({"AssumeRoleWithWebIdentity"})
"""Operations that are not signed, as the token they are given is what proves the caller: theirs is of nobody."""

FOR_EVERYBODY = frozenset({"GetCallerIdentity"})
"""Operations that need no permission (STS API Reference): whoever has a key may ask who they are."""

FORMS = {
    "AssumeRole": {"RoleArn": "arn:aws:iam::000000000000:role/walked", "RoleSessionName": "walking"},
    "AssumeRoleWithWebIdentity": {
        "RoleArn": "arn:aws:iam::000000000000:role/walked",
        "RoleSessionName": "walking",
        "WebIdentityToken": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJub2JvZHkifQ.",
    },
}
"""What operations of the query protocol need to be told."""

_LABEL = re.compile(r"\{(\w+)\}")


class Server(Protocol):
    """Where requests are sent to."""

    port: int


@dataclass(frozen=True)
class Trial:
    """One request to one route."""

    route: Route
    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """A route that answered a stranger as it should not."""

    route: Route
    stranger: str
    told: str

    def __str__(self) -> str:
        return f"{self.route.method} {self.route.path} ({self.route.operation}), {self.stranger}: {self.told}"


def trial_of(route: Route, values: Mapping[str, str]) -> Trial:
    """Make the request of a route, with real ids wherever it has room for one, so that it would work if it were let in."""
    if route.operation in OPERATIONS:
        request = sent(route.operation, _with(copy.deepcopy(sample(route.operation)), values))
        headers = {name.decode(): value.decode() for name, value in request.headers if name == b"content-type"}
        query = f"?{request.query_string.decode()}" if request.query_string else ""
        return Trial(route, request.method, request.raw_path.decode() + query, request.body, headers)
    if route.path == "/":
        form = urlencode({"Action": route.operation, "Version": "2011-06-15", **FORMS.get(route.operation, {})})
        if route.method == "GET":
            return Trial(route, "GET", f"/?{form}")
        return Trial(route, route.method, "/", form.encode(), {"Content-Type": "application/x-www-form-urlencoded"})
    if route.path.startswith(PATH):
        body = json.dumps(_with(sample_of(route.operation), values)).encode()
        return Trial(route, route.method, route.path, body, {"Content-Type": "application/json"})
    path = _LABEL.sub(lambda label: quote(values.get(label[1], label[1]), safe=""), route.path)
    return Trial(route, route.method, path)


def _with(parameters: Any, values: Mapping[str, str]) -> Any:
    if isinstance(parameters, dict):
        return {name: values.get(name, _with(value, values)) for name, value in parameters.items()}
    return [_with(value, values) for value in parameters] if isinstance(parameters, list) else parameters


def _service_of(route: Route) -> str:
    """Return the service that requests of a route are signed for."""
    if route.path.startswith(PATH):
        return SIGNED_FOR
    return "sts" if route.path == "/" else "medical-imaging"


Stranger = Callable[[Server, Trial], Answer]


def unsigned(server: Server, trial: Trial) -> Answer:
    return send(server, trial.method, trial.path, trial.body, trial.headers)


def bearing(server: Server, trial: Trial) -> Answer:
    """Come with a bearer token that nobody gave out."""
    token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJub2JvZHkifQ."
    return send(server, trial.method, trial.path, trial.body, {**trial.headers, "Authorization": f"Bearer {token}"})


def signed(
    credentials: Credentials, *, at: datetime | None = None, presigned: int | None = None, tamper: bool = False
) -> Stranger:
    """Make a caller that signs with a key, perhaps at another time, perhaps in the query, perhaps wrongly."""

    def call(server: Server, trial: Trial) -> Answer:
        url = f"http://127.0.0.1:{server.port}"
        service = _service_of(trial.route)
        request = AWSRequest(trial.method, f"{url}{trial.path}", headers=dict(trial.headers))
        # The body of a presigned request would go into botocore's query string.
        request.data = trial.body if presigned is None else b""
        with pytest.MonkeyPatch.context() as patch:
            if at is not None:
                patch.setattr(botocore.auth, "get_current_datetime", lambda: at.replace(tzinfo=None))
            if presigned is None:
                SigV4Auth(credentials, service, "us-east-1").add_auth(request)
            else:
                SigV4QueryAuth(credentials, service, "us-east-1", presigned).add_auth(request)
        headers = {name: str(value) for name, value in request.headers.items()}
        if tamper:
            digit = headers["Authorization"][-1]
            headers["Authorization"] = headers["Authorization"][:-1] + ("0" if digit != "0" else "1")
        path = str(request.url).removeprefix(url)
        return send(server, trial.method, path, trial.body, headers)

    return call


def unknown_callers(server: ServerProcess) -> dict[str, Stranger]:
    """Return callers that nothing may be answered to, by what is wrong with them."""
    identifier, secret = server.key()
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    key = Credentials(identifier, secret)
    return {
        "without credentials": unsigned,
        "with a wrong key": signed(Credentials("AKIANOBODY0000000000", secret)),
        "with a wrong secret": signed(Credentials(identifier, f"{secret}x")),
        "with a wrong signature": signed(key, tamper=True),
        "with a signature that is too old": signed(key, at=long_ago),
        "with a presigned URL that has run out": signed(key, at=long_ago, presigned=60),
        "with a bearer token of nobody": bearing,
        "with a session token of nobody": signed(Credentials(identifier, secret, "made up")),
    }


def _refusals(route: Route) -> set[int]:
    """Return the statuses of a refusal; what is no token is InvalidIdentityToken (400)."""
    return {400, 403} if route.operation in UNSIGNED else {403}


def walk(
    server: Server, routes: Sequence[Route], values: Mapping[str, str], callers: Mapping[str, Stranger]
) -> list[Finding]:
    """Call every route as every stranger; give those that did not answer 403 in AWS's form."""
    findings = []
    for route in routes:
        if route in OPEN:
            continue
        trial = trial_of(route, values)
        for name, call in callers.items():
            if route.operation in FOR_EVERYBODY and "lacks the permission" in name:
                continue
            answer = call(server, trial)
            if answer.status not in _refusals(route) or not (answer.code or b"<Code>" in answer.body):
                findings.append(Finding(route, name, f"{answer.status} {answer.code}"))
    return findings


@contextmanager
def served(app: ASGIApp) -> Iterator[Server]:
    """Serve an application from this process, one request at a time: enough to be turned away."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            sent: list[Message] = []
            body = self.rfile.read(int(self.headers.get("content-length", 0)))

            async def receive() -> Message:
                return {"type": "http.request", "body": body, "more_body": False}

            async def collect(message: Message) -> None:
                sent.append(message)

            path, _, query = self.path.partition("?")
            headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in self.headers.items()]
            scope = {
                "type": "http",
                "method": self.command,
                "path": unquote(path),
                "raw_path": path.encode(),
                "query_string": query.encode(),
                "headers": headers,
                "scheme": "http",
                "client": self.client_address,
            }
            asyncio.run(app(scope, receive, collect))
            self.send_response(sent[0]["status"])
            for name, value in sent[0]["headers"]:
                self.send_header(name.decode(), value.decode())
            self.end_headers()
            self.wfile.write(b"".join(message.get("body", b"") for message in sent[1:]))

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = answer  # noqa: N815 - names that http.server calls

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield _Served(server.server_port)
        server.shutdown()
        thread.join()


@dataclass(frozen=True)
class _Served:
    port: int
