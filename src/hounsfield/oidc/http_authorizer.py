"""Authorizers of data stores, called over HTTP as AWS HealthImaging calls them (developer guide, "OIDC").

    {"datastoreId", "operation", "bearerToken"} ─▶ function or HTTP endpoint ─▶ {"isTokenValid", "roleArn"}

Calls wait for the answer, so they are made in threads; `authorizer` bounds how many and for how long.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Protocol

import orjson

from hounsfield.oidc.errors import (
    AuthorizerFailedError,
    AuthorizerMisconfiguredError,
    AuthorizerTimeoutError,
    DeniedTokenError,
    InvalidTokenError,
)
from hounsfield.oidc.fetch import Fetcher, TooSlowError, UnreachableError

SECONDS: Final = 1.0
"""How long an authorizer may take."""
MOST_BYTES: Final = 64 * 1024
"""Largest answer of an authorizer."""


@dataclass(frozen=True, slots=True)
class AuthorizerRequest:
    """What an authorizer is asked.

    Attributes
    ----------
    datastore_id : str
        The data store that the request is for.
    operation : str
        Name of the API operation, such as ``GetDICOMInstance``.
    token : str
        The token in its compact form.
    """

    datastore_id: str
    operation: str
    token: str = field(repr=False)

    def event(self) -> bytes:
        """Return the event that authorizers are sent."""
        return orjson.dumps({"datastoreId": self.datastore_id, "operation": self.operation, "bearerToken": self.token})


class Authorizer(Protocol):
    """Something that vouches for tokens."""

    def ask(self, event: bytes) -> bytes:
        """Send the event, and give what is answered.

        Raises
        ------
        AuthorizerMisconfiguredError
            There is no such authorizer.
        AuthorizerFailedError
            It crashed or cannot be reached.
        AuthorizerTimeoutError
            It took longer than `SECONDS`.
        """
        ...


@dataclass(frozen=True, slots=True)
class HttpAuthorizer:
    """An authorizer that gets the event by POST.

    Attributes
    ----------
    url : str
        Where it listens.
    fetcher : Fetcher
        Sends requests, none longer than `SECONDS`.
    """

    url: str
    fetcher: Fetcher = field(repr=False)

    def ask(self, event: bytes) -> bytes:
        """Post the event; raises as `Authorizer` says."""
        try:
            response = self.fetcher.post(self.url, event)
        except TooSlowError as error:
            raise AuthorizerTimeoutError(str(error)) from None
        except UnreachableError as error:
            raise AuthorizerFailedError(str(error)) from error
        if response.status in {404, 405, 410}:
            raise AuthorizerMisconfiguredError(f"its URL answers with status {response.status}")
        if response.status != 200:
            raise AuthorizerFailedError(f"its URL answers with status {response.status}")
        return response.body


def parse_answer(answer: bytes) -> str:
    """Return the ARN of the role that an authorizer answers, not yet looked at.

    Raises
    ------
    AuthorizerMisconfiguredError
        The answer is malformed.
    InvalidTokenError
        It says that the token is not valid.
    DeniedTokenError
        It names no role.
    """
    try:
        content = orjson.loads(answer)
    except orjson.JSONDecodeError:
        raise AuthorizerMisconfiguredError("its answer is not JSON") from None
    if not isinstance(content, dict) or not isinstance(content.get("isTokenValid"), bool):
        raise AuthorizerMisconfiguredError("its answer has no isTokenValid that is true or false")
    if not content["isTokenValid"]:
        raise InvalidTokenError("the authorizer says that it is not valid")
    role_arn = content.get("roleArn")
    if not isinstance(role_arn, str):
        raise AuthorizerMisconfiguredError("its answer has no roleArn that is text")
    if not role_arn:
        raise DeniedTokenError("the authorizer names no role")
    return role_arn
