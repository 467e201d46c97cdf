"""AssumeRole: a session of a role for somebody who may use it.

Sessions begun from sessions (role chaining) last an hour at most, and take over source identity and transitive tags.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hounsfield.api.sts.context import Call, Context
from hounsfield.api.sts.session_request import (
    begun,
    refuse,
    session_policies,
    session_policy_arns,
    session_seconds,
    tag_context,
)
from hounsfield.api.sts.trust import may_assume
from hounsfield.aws.protocol.errors import ValidationException
from hounsfield.aws.protocol.members import optional_text, structures, text, texts
from hounsfield.aws.protocol.model import Parameters
from hounsfield.iam.authorization import AccessDeniedError
from hounsfield.iam.policies.condition_context import ContextValue
from hounsfield.iam.principals import Principal
from hounsfield.iam.sessions.sessions import NewSession

LONGEST_CHAINED_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class SessionTags:
    """The tags of a new session.

    Attributes
    ----------
    requested : Mapping of str to str
        Those of the request.
    inherited : Mapping of str to str
        Transitive ones of the session it is begun from.
    transitive : tuple of str
        Keys of those requested that are to go over to further sessions.
    """

    requested: Mapping[str, str]
    inherited: Mapping[str, str]
    transitive: tuple[str, ...]

    @property
    def every(self) -> dict[str, str]:
        """All tags."""
        return {**self.inherited, **self.requested}

    @property
    def every_transitive(self) -> tuple[str, ...]:
        """Keys of all tags that go over to further sessions."""
        return (*self.inherited, *self.transitive)


def assume_role(context: Context, call: Call) -> Mapping[str, object]:
    """API operation AssumeRole."""
    parameters, caller = call.parameters, call.caller
    refuse(parameters, ("SerialNumber", "TokenCode"), "this server knows no multi-factor devices")
    refuse(parameters, ("ProvidedContexts",), "this server knows no context providers")
    if caller.is_root:
        raise AccessDeniedError("Roles may not be assumed by root accounts.")
    arn, name = text(parameters, "RoleArn"), text(parameters, "RoleSessionName")
    policies = session_policies(parameters)
    tags = _tags(parameters, caller)
    source = _source_identity(parameters, caller)
    role = context.directory.role(arn)
    own: dict[str, ContextValue] = {"sts:rolesessionname": name, **tag_context(tags.requested, tags.transitive)}
    external_id = optional_text(parameters, "ExternalId")
    if external_id is not None:
        own["sts:externalid"] = external_id
    if source:
        own["sts:sourceidentity"] = source
    actions = ["sts:AssumeRole", *(["sts:TagSession"] if tags.every else [])]
    for action in (*actions, *(["sts:SetSourceIdentity"] if source else [])):
        if role is None or not may_assume(caller, role, action, own, call.condition_keys):
            raise AccessDeniedError(
                f"User: {caller.arn} is not authorized to perform: {action} on resource: {arn[:256]}"
            )
    assert role is not None  # noqa: S101 - there is at least one action
    seconds = session_seconds(parameters, role)
    if caller.session is not None and seconds > LONGEST_CHAINED_SECONDS:
        raise ValidationException(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
        )
    arns = session_policy_arns(parameters, context.directory)
    new = NewSession(name, seconds, policies, arns, tags.every, tags.every_transitive, source_identity=source)
    return begun(context, role, new)


def _tags(parameters: Parameters, caller: Principal) -> SessionTags:
    """Read the session tags.

    Raises
    ------
    ValidationException
        A key comes twice, is reserved, is an inherited one, or is to be transitive and is none of the tags.
    """
    inherited = caller.session.transitive_tags if caller.session is not None else {}
    requested: dict[str, str] = {}
    known: set[str] = set()
    for tag in structures(parameters.get("Tags", [])):
        key = text(tag, "Key")
        if key.lower() in known:
            raise ValidationException(f"Tags has the key {key} twice; keys differ by more than upper and lower case")
        if key.lower().startswith("aws:"):
            raise ValidationException("Tags has a key that begins with aws:, such keys are reserved")
        known.add(key.lower())
        requested[key] = text(tag, "Value")
    if known & {key.lower() for key in inherited}:
        raise ValidationException("Tags has a key that the session of the caller hands on; it cannot be set again")
    transitive = tuple(dict.fromkeys(texts(parameters.get("TransitiveTagKeys", []))))
    if not {key.lower() for key in transitive} <= known:
        raise ValidationException("TransitiveTagKeys has a key that is not among the Tags of the request")
    spelt = {key.lower(): key for key in requested}
    return SessionTags(requested, inherited, tuple(spelt[key.lower()] for key in transitive))


def _source_identity(parameters: Parameters, caller: Principal) -> str:
    """Return the source identity: that of the caller's session once it has one, else what the request says.

    Raises
    ------
    AccessDeniedError
        The request asks for another one than the caller's session has.
    """
    kept = caller.session.source_identity if caller.session is not None else ""
    asked = optional_text(parameters, "SourceIdentity") or ""
    if kept and asked and kept != asked:
        raise AccessDeniedError("The source identity of a session cannot be changed by the sessions begun from it.")
    return kept or asked
