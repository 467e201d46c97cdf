"""An issuer of tokens for tests: an HTTP server with a discovery document and a key set, whose keys are real ones."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

AUDIENCE = "hounsfield"


@cache
def key_for(algorithm: str, identifier: str = "key-1") -> Key:
    """Make a key that signs with an algorithm."""
    parameters: Any = {"kid": identifier, "alg": algorithm, "use": "sig"}
    if algorithm.startswith(("RS", "PS")):
        return RSAKey.generate_key(2048, parameters)
    if algorithm.startswith("ES"):
        return ECKey.generate_key({"256": "P-256", "384": "P-384", "512": "P-521"}[algorithm[2:]], parameters)
    return OKPKey.generate_key("Ed25519", parameters)


class QuietServer(ThreadingHTTPServer):
    """An HTTP server on a free loopback port, in a thread."""

    daemon_threads = True

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that left."""

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join(10)


class JsonHandler(BaseHTTPRequestHandler):
    """Answers JSON, and writes no log."""

    protocol_version = "HTTP/1.1"

    def answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        pass


class TokenIssuer:
    """An issuer: its keys, its server, and the tokens it gives.

    ``documents`` holds what is served by path; ``asked`` the paths that were asked for; ``down`` makes every answer a 503.
    """

    def __init__(self, *keys: Key) -> None:
        self.keys = list(keys or (key_for("ES256"),))
        self.documents: dict[str, Any] = {}
        self.asked: list[str] = []
        self.down = False
        issuer = self

        class Handler(JsonHandler):
            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                if issuer.down:
                    self.answer(503, b"{}")
                elif self.path in issuer.documents:
                    self.answer(200, json.dumps(issuer.documents[self.path]).encode())
                else:
                    self.answer(404, b"{}")

        self.server = QuietServer(Handler)
        self.url = f"{self.server.url}/realms/main"
        self.documents["/realms/main/.well-known/openid-configuration"] = {
            "issuer": self.url,
            "jwks_uri": f"{self.server.url}/keys",
        }
        self.publish()

    def publish(self, *keys: Key) -> None:
        """Publish keys, those it has unless others are given."""
        self.keys = list(keys or self.keys)
        self.documents["/keys"] = {"keys": [key.as_dict(private=False) for key in self.keys]}

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Return the claims of a good token; a change to None leaves a claim out."""
        now = time.time()
        claims = {"iss": self.url, "aud": AUDIENCE, "sub": "jane", "iat": now - 10, "exp": now + 600, **changes}
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, key: Key | None = None, header: Mapping[str, Any] | None = None, **changes: Any) -> str:
        """Return a signed token, by the first key unless another is given."""
        key = key or self.keys[0]
        algorithm = str(key.get("alg"))
        return jwt.encode(
            {"alg": algorithm, "kid": key.kid, **(header or {})},
            self.claims(**changes),
            key,
            algorithms=[algorithm, str((header or {}).get("alg", algorithm))],
        )

    def stop(self) -> None:
        self.server.stop()
