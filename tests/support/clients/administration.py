"""Calls of the administration API: signed for ``hounsfield``, JSON in and out."""

from __future__ import annotations

import json
from typing import Any

from support.clients.signed_http import Answer, send_signed
from support.servers import ServerProcess

Key = tuple[str, ...]


def call(server: ServerProcess, operation: str, key: Key | None = None, **members: Any) -> Answer:
    """Call an operation as the holder of a key, root unless another is given."""
    return post(server, operation, json.dumps(members).encode(), key)


def post(server: ServerProcess, operation: str, body: bytes, key: Key | None = None) -> Answer:
    """Call an operation with a body as it is."""
    how = {"key": key, "service": "hounsfield"}
    return send_signed(
        server, "POST", f"/administration/{operation}", body, {"Content-Type": "application/json"}, **how
    )


def administer(server: ServerProcess, operation: str, key: Key | None = None, **members: Any) -> dict[str, Any]:
    """Call an operation that must succeed, and return its answer."""
    answer = call(server, operation, key, **members)
    assert answer.status == 200, (operation, answer.status, answer.body)
    return dict(json.loads(answer.body))


def refused(server: ServerProcess, operation: str, key: Key | None = None, **members: Any) -> tuple[int, str, str]:
    """Call an operation that must fail, and return status, code and message."""
    answer = call(server, operation, key, **members)
    return answer.status, answer.code, answer.message
