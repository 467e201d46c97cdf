"""Authorizers that are Lambda functions, called by the Invoke API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol, TypedDict, cast

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, ReadTimeoutError

from hounsfield.oidc.errors import (
    AuthorizerFailedError,
    AuthorizerMisconfiguredError,
    AuthorizerTimeoutError,
)
from hounsfield.oidc.http_authorizer import MOST_BYTES, SECONDS

_NO_FUNCTION: Final = frozenset(
    {
        "ResourceNotFoundException",
        "InvalidParameterValueException",
        "InvalidRequestContentException",
        "ValidationException",
    }
)


class _Body(Protocol):
    def read(self, size: int) -> bytes: ...


class _Invocation(TypedDict, total=False):
    """Members of the answer of Invoke that matter here."""

    FunctionError: str
    Payload: _Body


class LambdaClient(Protocol):
    """The part of botocore's Lambda client that is used."""

    def invoke(self, *, FunctionName: str, InvocationType: str, Payload: bytes) -> _Invocation:  # noqa: N803
        """Call a function."""
        ...


@dataclass(frozen=True, slots=True)
class LambdaAuthorizer:
    """One function.

    Attributes
    ----------
    arn : str
        ARN of the function, with a version or alias or without.
    client : LambdaClient
        Calls it; see `lambda_client`.
    """

    arn: str
    client: LambdaClient = field(repr=False)

    def ask(self, event: bytes) -> bytes:
        """Invoke the function with the event; raises as `Authorizer` says."""
        try:
            answer = self.client.invoke(FunctionName=self.arn, InvocationType="RequestResponse", Payload=event)
            content = answer["Payload"].read(MOST_BYTES + 1)
        except (ConnectTimeoutError, ReadTimeoutError):
            raise AuthorizerTimeoutError(f"no answer of the function within {SECONDS:g} s") from None
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            kind = AuthorizerMisconfiguredError if code in _NO_FUNCTION else AuthorizerFailedError
            raise kind(f"Invoke answers {code}") from error
        except BotoCoreError as error:
            raise AuthorizerFailedError(f"the function cannot be called: {type(error).__name__}") from error
        if answer.get("FunctionError"):
            raise AuthorizerFailedError("the function crashed")
        if len(content) > MOST_BYTES:
            raise AuthorizerMisconfiguredError(f"its answer is longer than {MOST_BYTES} bytes")
        return content


def lambda_client(region: str, endpoint_url: str, connections: int, key: tuple[str, str] | None = None) -> LambdaClient:
    """Make the client of the Lambda API.

    Parameters
    ----------
    region : str
        Region of the functions.
    endpoint_url : str
        Endpoint; empty for the one of the environment (``AWS_ENDPOINT_URL_LAMBDA``), or AWS itself.
    connections : int
        Calls at the same time.
    key : tuple of (str, str) or None
        Access key id and secret; None for the credentials of the environment.
    """
    make: Callable[..., object] = botocore.session.get_session().create_client
    client = make(
        "lambda",
        region_name=region,
        endpoint_url=endpoint_url or None,
        aws_access_key_id=key[0] if key else None,
        aws_secret_access_key=key[1] if key else None,
        config=Config(
            connect_timeout=SECONDS,
            read_timeout=SECONDS,
            max_pool_connections=connections,
            retries={"total_max_attempts": 1},
        ),
    )
    return cast("LambdaClient", client)
