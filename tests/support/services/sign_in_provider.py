"""An identity provider for tests: an issuer at which people sign in, by authorization code with PKCE.

It consents at once, checks all that a strict provider checks, and writes down what it was asked.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from support.services.token_issuer import JsonHandler, QuietServer, TokenIssuer

CLIENT = "hounsfield-console"


@dataclass
class Code:
    """A code that was given out."""

    asked: Mapping[str, str]
    is_used: bool = False


@dataclass
class Provider:
    """The provider.

    ``claims`` changes what ID tokens say; ``refuses`` is an error to send browsers back with; ``secret`` makes the client a
    confidential one; ``is_down`` makes it fail to give tokens.
    ``asked`` has the parameters of each request for a code, ``paid`` those of each request for a token.
    """

    issuer: TokenIssuer = field(default_factory=TokenIssuer)
    redirect_uris: list[str] = field(default_factory=list)
    claims: dict[str, Any] = field(default_factory=dict)
    refuses: str = ""
    secret: str = ""
    is_down: bool = False
    asked: list[dict[str, str]] = field(default_factory=list)
    paid: list[dict[str, str]] = field(default_factory=list)
    codes: dict[str, Code] = field(default_factory=dict)

    def __post_init__(self) -> None:
        provider = self

        class Handler(JsonHandler):
            def do_GET(self) -> None:  # noqa: N802
                parts = urlsplit(self.path)
                asked = dict(parse_qsl(parts.query))
                provider.asked.append(asked)
                fault = provider.fault_of(asked)
                if fault:
                    # Nobody is sent to an address that is not registered.
                    self.answer(400, fault.encode(), {"Content-Type": "text/plain"})
                    return
                answer = {"state": asked["state"], "iss": provider.issuer.url}
                answer |= {"error": provider.refuses} if provider.refuses else {"code": provider.new_code(asked)}
                location = f"{asked['redirect_uri']}?{urlencode(answer)}"
                self.answer(302, b"", {"Location": location})

            def do_POST(self) -> None:  # noqa: N802
                body = self.rfile.read(int(self.headers["Content-Length"]))
                paid = dict(parse_qsl(body.decode()))
                authorization = self.headers.get("Authorization", "")
                if authorization:
                    pair = base64.b64decode(authorization.removeprefix("Basic ")).decode()
                    paid["client_id"], paid["client_secret"] = map(unquote, pair.split(":"))
                provider.paid.append(paid)
                status, answer = (502, ["no token"]) if provider.is_down else provider.token_for(paid)
                self.answer(status, json.dumps(answer).encode(), {"Cache-Control": "no-store"})

        self.server = QuietServer(Handler)
        name = "/realms/main/.well-known/openid-configuration"
        self.issuer.documents[name] |= {
            "authorization_endpoint": f"{self.server.url}/authorize",
            "token_endpoint": f"{self.server.url}/token",
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
        }

    def fault_of(self, asked: Mapping[str, str]) -> str:
        """Return what is wrong with a request for a code."""
        if asked.get("client_id") != CLIENT or asked.get("redirect_uri") not in self.redirect_uris:
            return "the client or its redirect_uri is not registered"
        strict = ("response_type", "code"), ("code_challenge_method", "S256")
        if any(asked.get(name) != value for name, value in strict) or "openid" not in asked["scope"].split():
            return "response_type, code_challenge_method or scope is not what it must be"
        return (
            "" if all(len(asked.get(name, "")) >= 43 for name in ("state", "nonce", "code_challenge")) else "too short"
        )

    def new_code(self, asked: Mapping[str, str]) -> str:
        """Give a code out."""
        code = f"code-{len(self.codes)}"
        self.codes[code] = Code(asked)
        return code

    def token_for(self, paid: Mapping[str, str]) -> tuple[int, Any]:
        """Return a token for a code, once and to whom it was given."""
        if paid.get("client_id") != CLIENT or paid.get("client_secret", "") != self.secret:
            return 401, {"error": "invalid_client"}
        code = self.codes.get(paid.get("code", ""))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(paid.get("code_verifier", "").encode()).digest())
        if (
            code is None
            or code.is_used
            or paid.get("redirect_uri") != code.asked["redirect_uri"]
            or challenge.rstrip(b"=").decode() != code.asked["code_challenge"]
        ):
            return 400, {"error": "invalid_grant"}
        code.is_used = True
        claims = {"aud": CLIENT, "nonce": code.asked["nonce"], **self.claims}
        return 200, {"access_token": "opaque", "token_type": "Bearer", "id_token": self.issuer.token(**claims)}

    def stop(self) -> None:
        self.server.stop()
        self.issuer.stop()
