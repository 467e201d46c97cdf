"""Authorizers for tests: an HTTP endpoint and an endpoint of the Lambda API, whose paths and functions say how they behave.

The Lambda endpoint speaks the wire of Invoke (its answers are those of the API reference); functions whose names begin with
``moto-`` it passes on to moto's server.
"""

from __future__ import annotations

import http.client
import json
import threading
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from support.services.token_issuer import JsonHandler, QuietServer

Answer = tuple[int, dict[str, str], bytes]


def verdict(role_arn: object, *, valid: object = True) -> bytes:
    return json.dumps({"isTokenValid": valid, "roleArn": role_arn}).encode()


@dataclass
class Asked:
    """What authorizers were asked, and the roles they answer."""

    roles: dict[str, str]
    events: list[dict[str, Any]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    """Set it to let go of those that are slow."""

    def events_of(self, token: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["bearerToken"] == token]

    def behave(self, name: str, event: dict[str, Any]) -> Answer:
        """Behave as a path says."""
        self.events.append(event)
        if name == "slow":
            self.released.wait(20)
        behaviours: dict[str, Answer] = {
            "no-role": (200, {}, verdict("")),
            "invalid": (200, {}, verdict(self.roles["reader"], valid=False)),
            "malformed": (200, {}, b'{"isTokenValid": "yes"}'),
            "not-json": (200, {}, b"yes"),
            "no-arn": (200, {}, verdict("reader")),
            "huge": (200, {}, verdict("x" * 100_000)),
            "unknown-role": (200, {}, verdict(self.roles["reader"] + "-of-old")),
            "foreign-role": (200, {}, verdict("arn:aws:iam::999999999999:role/reader")),
            "missing": (404, {}, b"{}"),
            "crash": (500, {}, b"{}"),
            "elsewhere": (302, {"Location": "/reader"}, b""),
        }
        if name in behaviours:
            return behaviours[name]
        return 200, {}, verdict(self.roles[name if name in self.roles else "reader"])


def http_endpoint(asked: Asked) -> QuietServer:
    """Return an HTTP authorizer that behaves as its path says; a role's name answers the role."""

    class Handler(JsonHandler):
        def do_POST(self) -> None:  # noqa: N802
            event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, headers, body = asked.behave(self.path.strip("/"), event)
            self.answer(status, body, headers)

    return QuietServer(Handler)


def lambda_endpoint(asked: Asked, moto_url: str) -> QuietServer:
    """Return an endpoint of the Lambda API (operation Invoke)."""
    errors = {
        "lambda-missing": (404, "ResourceNotFoundException"),
        "lambda-denied": (403, "AccessDeniedException"),
        "lambda-throttled": (429, "TooManyRequestsException"),
        "lambda-broken": (500, "ServiceException"),
    }

    class Handler(JsonHandler):
        def do_POST(self) -> None:  # noqa: N802
            body = self.rfile.read(int(self.headers["Content-Length"]))
            name = unquote(self.path).split("/")[3].rpartition(":function:")[2]
            assert self.headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=lambda-key/")
            if name.startswith("moto-"):
                self.pass_on(body)
            elif name in errors:
                status, code = errors[name]
                self.answer(status, json.dumps({"Message": code}).encode(), {"x-amzn-ErrorType": code})
            elif name == "lambda-crash":
                failure = json.dumps({"errorMessage": "boom", "errorType": "RuntimeError"}).encode()
                self.answer(200, failure, {"X-Amz-Function-Error": "Unhandled"})
            else:
                status, headers, answer = asked.behave(name.removeprefix("lambda-"), json.loads(body))
                self.answer(status, answer, headers)

        def pass_on(self, body: bytes) -> None:
            connection = http.client.HTTPConnection(urlsplit(moto_url).netloc, timeout=20)
            try:
                headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                connection.request("POST", self.path, body, headers)
                response = connection.getresponse()
                kept = ("x-amz-function-error", "x-amzn-errortype")
                more = {name: value for name, value in response.getheaders() if name.lower() in kept}
                self.answer(response.status, response.read(), more)
            finally:
                connection.close()

    return QuietServer(Handler)
