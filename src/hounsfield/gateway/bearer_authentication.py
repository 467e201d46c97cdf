"""Authentication by bearer token: which data stores take tokens, and whose session a token is.

bearer token ─▶ authorizer of the data store, or issuer of the settings ─▶ ARN of a role
ARN ─▶ Directory ─▶ the role, if it trusts the service ─▶ AuthenticatedCaller: a session of that role
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from cachetools import LRUCache
from starlette.concurrency import run_in_threadpool
from starlette.types import Scope

from hounsfield.aws.protocol.errors import IncompleteSignatureException
from hounsfield.aws.sigv4.payload_hash import PlainPayload
from hounsfield.gateway.authentication import AuthenticatedCaller
from hounsfield.iam.identities.directory import Directory
from hounsfield.iam.identities.snapshot import Role
from hounsfield.iam.policies.aws_managed import SERVICE
from hounsfield.iam.policies.principal_element import Party, PartyKind
from hounsfield.iam.policies.trust_policy import decide_trust
from hounsfield.iam.principals import Principal, Session
from hounsfield.iam.sessions.sessions import session_principal
from hounsfield.imaging.datastores import get_datastore
from hounsfield.imaging.errors import NotFoundError
from hounsfield.imaging.image_store import ImageStore
from hounsfield.oidc.authorizer import TokenAuthorizer
from hounsfield.oidc.errors import AuthorizerMisconfiguredError, DeniedTokenError
from hounsfield.oidc.grant_cache import Grant
from hounsfield.oidc.http_authorizer import AuthorizerRequest

_SCHEME: Final = b"bearer"
_SIGNATURE: Final = b"AWS4-"
_ASSUME: Final = "sts:AssumeRole"
_MOST_KNOWN: Final = 10_000


def bearer_token(scope: Scope) -> str | None:
    """Return the bearer token of a request (RFC 6750, section 2.1); None where it has none.

    Raises
    ------
    IncompleteSignatureException
        It has a token and another Authorization header, or a signature in its query.
    """
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(given) == 1 and given[0].startswith(_SIGNATURE):
        return None
    parts = [value.strip().partition(b" ") for value in given]
    tokens = [token.strip() for scheme, _, token in parts if scheme.lower() == _SCHEME]
    if not tokens:
        return None
    if len(given) > 1 or b"X-Amz-Signature=" in scope["query_string"]:
        raise IncompleteSignatureException("The request must have a bearer token or a signature, not both.")
    return str(tokens[0], "latin-1")


@dataclass(frozen=True, slots=True)
class BearerAuthenticator:
    """Authenticates callers by their bearer tokens.

    Attributes
    ----------
    token_authorizer : TokenAuthorizer
        Finds what tokens stand for.
    directory : Directory
        The roles.
    image_store : ImageStore
        The data stores.
    """

    token_authorizer: TokenAuthorizer
    directory: Directory = field(repr=False)
    image_store: ImageStore = field(repr=False)
    _authorizers: LRUCache[str, str | None] = field(
        default_factory=lambda: LRUCache(_MOST_KNOWN), init=False, repr=False
    )

    async def authenticate(self, token: str, datastore_id: str, operation: str) -> AuthenticatedCaller:
        """Find out whose session a token is.

        Parameters
        ----------
        token : str
            What stands after ``Bearer``.
        datastore_id : str
            The data store that the request is for.
        operation : str
            Name of its API operation.

        Raises
        ------
        BearerError
            Of the kind that says what is wrong.
        DirectoryUnavailableError
            Nothing certain is known of roles at the moment.
        """
        arn = await self._authorizer_of(datastore_id)
        if arn is not None:
            grant = await self.token_authorizer.grant_by_authorizer(
                arn, AuthorizerRequest(datastore_id, operation, token)
            )
        elif self.token_authorizer.has_issuer:
            grant = await self.token_authorizer.grant_by_issuer(token)
        else:
            raise DeniedTokenError("the data store has no authorizer, and no issuer is set")
        return AuthenticatedCaller(self._principal(grant, datastore_id), proven=True, reader=PlainPayload)

    async def _authorizer_of(self, datastore_id: str) -> str | None:
        """Return the ARN of the authorizer of a data store, which never changes; None where it has none or is not there."""
        if datastore_id in self._authorizers:
            return self._authorizers[datastore_id]
        try:
            datastore = await run_in_threadpool(get_datastore, self.image_store, datastore_id)
        except NotFoundError:
            return None
        self._authorizers[datastore_id] = datastore.lambda_authorizer_arn
        return datastore.lambda_authorizer_arn

    def _principal(self, grant: Grant, datastore_id: str) -> Principal:
        role = self.directory.role(grant.role_arn)
        if role is None:
            raise AuthorizerMisconfiguredError("the role is not there")
        source = {
            "aws:sourcearn": self.image_store.datastore_arn(datastore_id),
            "aws:sourceaccount": self.image_store.account_id,
        }
        if not _trusts(role, source):
            raise AuthorizerMisconfiguredError(f"the role does not trust {SERVICE}")
        return session_principal(role, Session(role.arn, role.id, time.time(), grant.provider, grant.session_name))


def _trusts(role: Role, source: Mapping[str, str]) -> bool:
    """Return whether the service may assume a role; conditions may name the data store (``aws:SourceArn``)."""
    return decide_trust(role.trust, _ASSUME, Party(PartyKind.SERVICE, frozenset({SERVICE})), source).allowed
