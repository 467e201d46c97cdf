"""The context of the operations, and their calls."""

from __future__ import annotations

from dataclasses import dataclass

from hounsfield.aws.protocol.model import Parameters
from hounsfield.iam.identities.directory import Directory
from hounsfield.iam.principals import Principal
from hounsfield.iam.request_context import RequestConditionKeys
from hounsfield.iam.sessions.sessions import Sessions
from hounsfield.oidc.issuer import Issuer


@dataclass(frozen=True, slots=True)
class Context:
    """What every operation works on.

    Attributes
    ----------
    directory : Directory
        Roles and policies.
    sessions : Sessions
        Gives out temporary credentials.
    issuer : Issuer or None
        Whose web identity tokens are taken.
    partition, account_id : str
        Of this installation.
    """

    directory: Directory
    sessions: Sessions
    issuer: Issuer | None
    partition: str
    account_id: str


@dataclass(frozen=True, slots=True)
class Call:
    """A call of an operation.

    Attributes
    ----------
    parameters : Parameters
        Its parameters, validated against the model.
    principal : Principal or None
        Who calls; None where the operation is called without a signature.
    condition_keys : RequestConditionKeys
        What else is known of the request.
    """

    parameters: Parameters
    principal: Principal | None
    condition_keys: RequestConditionKeys

    @property
    def caller(self) -> Principal:
        """Who calls an operation that is signed."""
        if self.principal is None:
            raise TypeError("the operation is called without a signature")
        return self.principal
