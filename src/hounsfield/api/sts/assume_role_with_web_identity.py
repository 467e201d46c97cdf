"""AssumeRoleWithWebIdentity: a session of a role for somebody whom an OpenID Connect issuer vouches for.

    token ─▶ the configured issuer: signature, audience, times ─▶ sub, aud ─▶ trust policy of the role ─▶ session

The request is not signed: the token is what proves who calls.
"""

from __future__ import annotations

from collections.abc import Mapping

from hounsfield.api.sts.context import Call, Context
from hounsfield.api.sts.session_request import begun, refuse, session_policies, session_policy_arns, session_seconds
from hounsfield.aws.protocol.errors import (
    ExpiredIdentityTokenException,
    IDPCommunicationErrorException,
    InvalidIdentityTokenException,
)
from hounsfield.aws.protocol.members import text
from hounsfield.iam.authorization import AccessDeniedError
from hounsfield.iam.sessions.sessions import NewSession
from hounsfield.iam.sessions.web_identity import IdentityProvider, may_assume_by_web
from hounsfield.oidc.errors import ExpiredTokenError, InvalidTokenError, IssuerUnavailableError
from hounsfield.oidc.issuer import WebIdentity

_OPERATION = "AssumeRoleWithWebIdentity"


def assume_role_with_web_identity(context: Context, call: Call) -> Mapping[str, object]:
    """API operation AssumeRoleWithWebIdentity."""
    parameters = call.parameters
    refuse(parameters, ("ProviderId",), "only tokens of OpenID Connect are taken, which name their issuer")
    arn, name = text(parameters, "RoleArn"), text(parameters, "RoleSessionName")
    policies = session_policies(parameters)
    identity = _identity(context, text(parameters, "WebIdentityToken"))
    role = context.directory.role(arn)
    provider = IdentityProvider.of(identity.issuer, context.partition, context.account_id)
    if role is None or not may_assume_by_web(provider, identity, role, name, call.condition_keys):
        raise AccessDeniedError(f"Not authorized to perform sts:{_OPERATION}")
    new = NewSession(
        name,
        session_seconds(parameters, role),
        policies,
        session_policy_arns(parameters, context.directory),
        provider=provider.arn,
    )
    return {
        **begun(context, role, new),
        "SubjectFromWebIdentityToken": identity.subject,
        "Provider": provider.arn,
        "Audience": identity.audience,
    }


def _identity(context: Context, token: str) -> WebIdentity:
    """Check a token.

    Raises
    ------
    InvalidIdentityTokenException
        It is not one of the configured issuer.
    ExpiredIdentityTokenException
        Its time is over.
    IDPCommunicationErrorException
        The keys of the issuer cannot be had.
    """
    if context.issuer is None:
        raise InvalidIdentityTokenException("No OpenIDConnect provider found: HOUNSFIELD_OIDC_ISSUER is not set.")
    try:
        return context.issuer.validate(token)
    except ExpiredTokenError:
        raise ExpiredIdentityTokenException("Token expired: its time is over, or longer than may be.") from None
    except InvalidTokenError as error:
        raise InvalidIdentityTokenException(f"The token is not one that can be taken: {error.reason}.") from None
    except IssuerUnavailableError as error:
        raise IDPCommunicationErrorException(str(error)) from error
