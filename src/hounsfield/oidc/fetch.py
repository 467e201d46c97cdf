"""HTTP requests to issuers and authorizers: bounded in time and size, no redirects, TLS unless on this machine."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.exceptions import TimeoutError as PeerTimeoutError

_CHUNK: Final = 16 * 1024


class UnreachableError(Exception):
    """There was no answer that could be read; the message says why, for logs."""


class TooSlowError(UnreachableError):
    """The answer did not come in time."""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer: its HTTP status and its body."""

    status: int
    body: bytes


class Fetcher:
    """Sends requests, with connections that are kept.

    Parameters
    ----------
    seconds : float
        How long a request may take.
    most_bytes : int
        Largest body of an answer.
    connections : int
        Connections kept per host.
    """

    def __init__(self, seconds: float, most_bytes: int, connections: int = 2) -> None:
        self._seconds = seconds
        self._most = most_bytes
        self._pool = urllib3.PoolManager(maxsize=connections, retries=False)

    def get(self, url: str) -> Response:
        """Get a document; raises `UnreachableError`."""
        return self._request("GET", url, None, {})

    def post(self, url: str, body: bytes) -> Response:
        """Post JSON; raises `UnreachableError`."""
        return self._request("POST", url, body, {"Content-Type": "application/json"})

    def post_form(self, url: str, fields: Mapping[str, str], authorization: str = "") -> Response:
        """Post a form, with an Authorization header where one is given; raises `UnreachableError`."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if authorization:
            headers["Authorization"] = authorization
        return self._request("POST", url, urlencode(fields).encode(), headers)

    def _request(self, method: str, url: str, body: bytes | None, own: Mapping[str, str]) -> Response:
        deadline = time.monotonic() + self._seconds
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", **own}
        try:
            response = self._pool.request(
                method,
                url,
                body=body,
                headers=headers,
                timeout=urllib3.Timeout(total=self._seconds),
                redirect=False,
                preload_content=False,
            )
            try:
                content = self._content(response, deadline)
            except BaseException:
                response.close()
                raise
            response.release_conn()
        except NewConnectionError as error:
            # To urllib3 a refused connection is one that took too long.
            raise UnreachableError("no connection") from error
        except PeerTimeoutError:
            raise TooSlowError(f"no answer within {self._seconds:g} s") from None
        except (HTTPError, OSError) as error:
            raise UnreachableError(type(error).__name__) from error
        return Response(response.status, content)

    def _content(self, response: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
        content = bytearray()
        while chunk := response.read1(_CHUNK, decode_content=False):
            content += chunk
            if len(content) > self._most:
                raise UnreachableError(f"the answer is longer than {self._most} bytes")
            if time.monotonic() > deadline:
                raise TooSlowError(f"no answer within {self._seconds:g} s")
        return bytes(content)
