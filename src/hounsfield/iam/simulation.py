"""Simulation: what a user or role may do, decided as for its requests, and the statements that decided.

    record of a user or role ─▶ SimulatedPrincipal.of ─▶ simulate(action, resource, condition keys) ─▶ Evaluation

Nothing is done, and nobody has to be signed in. A role is looked at as one of its sessions is, without session policies.

Source: IAM API Reference, SimulatePrincipalPolicy; IAM User Guide, "Policy evaluation logic".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from hounsfield.iam.identities.errors import InvalidInputError
from hounsfield.iam.identities.policy_documents import identity_policy
from hounsfield.iam.identities.records import IdentityKind, IdentityRecord, PolicyRecord
from hounsfield.iam.policies.condition import Effect
from hounsfield.iam.policies.condition_context import ContextValue
from hounsfield.iam.policies.document import Policy
from hounsfield.iam.policies.evaluation import Decision, Outcome, decide
from hounsfield.iam.policies.policy_set import NO_RIGHTS, PolicySet
from hounsfield.iam.policies.statement import Statement
from hounsfield.iam.policies.statement_index import find_statements
from hounsfield.iam.principals import Principal, PrincipalKind, Session
from hounsfield.iam.request_context import RequestConditionKeys, RequestContext

SESSION_NAME: Final = "simulation"


class PolicySource(StrEnum):
    """Where a policy is."""

    MANAGED = "managed"
    INLINE = "inline"
    BOUNDARY = "permissions-boundary"


@dataclass(frozen=True, slots=True)
class HeldPolicy:
    """A policy of a user or role.

    Attributes
    ----------
    name : str
        ARN of a managed policy, name of an inline one.
    source : PolicySource
        Where it is.
    policy : Policy
        What it says.
    """

    name: str
    source: PolicySource
    policy: Policy = field(repr=False)


@dataclass(frozen=True, slots=True)
class MatchedStatement:
    """A statement that decided.

    Attributes
    ----------
    policy : str
        ARN of its managed policy, or name of its inline one.
    source : PolicySource
        Where the policy is.
    number : int
        Which statement of it, from 1 on.
    sid : str
        Its identifier; empty without one.
    """

    policy: str
    source: PolicySource
    number: int
    sid: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was decided for an action on a resource.

    Attributes
    ----------
    action, resource : str
        What was asked.
    decision : Decision
        What was decided, as for a request.
    statements : tuple of MatchedStatement
        The statements that make it so: those that deny where it is denied, else those that allow. Of an action that is not
        allowed for lack of one kind of policy, those of the kinds that do allow it.
    missing : tuple of str
        Condition keys that a statement asks for and that have no value, in lower case.
    """

    action: str
    resource: str
    decision: Decision
    statements: tuple[MatchedStatement, ...]
    missing: tuple[str, ...]

    @property
    def reason(self) -> str:
        """Why it is so, in AWS's words for denials."""
        if self.decision.allowed:
            return "allowed"
        return self.decision.reason(self.action)


@dataclass(frozen=True, slots=True)
class SimulatedPrincipal:
    """A user or role to ask what it may do.

    Attributes
    ----------
    principal : Principal
        As requests are decided by it.
    policies : tuple of HeldPolicy
        Its policies with their names; none where one of them cannot be read, as then it may do nothing.
    """

    principal: Principal
    policies: tuple[HeldPolicy, ...]

    @classmethod
    def of(cls, record: IdentityRecord, managed: Mapping[str, PolicyRecord]) -> SimulatedPrincipal:
        """Return the principal of a user or role.

        Parameters
        ----------
        record : IdentityRecord
            The user or role.
        managed : Mapping of str to PolicyRecord
            All managed policies by ARN.
        """
        try:
            policies = tuple(_held(record, managed))
        except InvalidInputError:
            policies = ()
        identity = tuple(held.policy for held in policies if held.source is not PolicySource.BOUNDARY)
        boundary = next((held.policy for held in policies if held.source is PolicySource.BOUNDARY), None)
        rights = PolicySet(identity, boundary) if policies else NO_RIGHTS
        return cls(_principal(record, rights), policies)

    def simulate(
        self, action: str, resource: str, own: Mapping[str, ContextValue], condition_keys: RequestConditionKeys
    ) -> Evaluation:
        """Decide whether it may do something.

        Parameters
        ----------
        action : str
            IAM action, such as ``medical-imaging:GetImageFrame``.
        resource : str
            ARN of the resource, ``*`` where the action names none.
        own : Mapping of str to ContextValue
            Condition keys of the request, in lower case; they go before all others.
        condition_keys : RequestConditionKeys
            What else is known.
        """
        context = _Context(own, RequestContext({}, self.principal, resource, condition_keys))
        decision = decide(self.principal.rights, action, resource, context)
        about = [
            (held, number, statement)
            for held in self.policies
            for number, statement in enumerate(held.policy.statements, 1)
            if statement.actions.include(action.lower()) and statement.may_concern(resource)
        ]
        denied = decision.outcome is Outcome.EXPLICIT_DENY
        matched = tuple(
            MatchedStatement(held.name, held.source, number, statement.sid)
            for held, number, statement in about
            if (statement.effect is Effect.DENY) == denied and statement.applies(resource, context)
        )
        asked = sorted({key for _, _, statement in about for key in statement.keys})
        missing = tuple(key for key in asked if context.get(key) is None)
        return Evaluation(action, resource, decision, matched, missing)

    def names_below(self, action: str, prefix: str) -> bool:
        """Return whether a statement about an action names single resources whose ARNs begin in some way."""
        statements = find_statements(tuple(held.policy for held in self.policies), action).statements
        return any(_names_below(statement, prefix) for statement in statements)


def allows_some_below(principal: Principal, action: str, prefix: str) -> bool:
    """Return whether a policy allows an action on single resources whose ARNs begin in some way, such as ``…:user/ward-*``."""
    statements = find_statements(principal.rights.identity, action).of(Effect.ALLOW)
    return any(_names_below(statement, prefix) for statement in statements)


def _names_below(statement: Statement, prefix: str) -> bool:
    resources = statement.resources
    if resources is None:
        return False
    named = (*resources.names, *(pattern.prefix for pattern in resources.patterns))
    return any(len(name) > len(prefix) and name.startswith(prefix) for name in named)


@dataclass(frozen=True, slots=True)
class _Context:
    """The keys that are given, before those of the principal and of the request."""

    given: Mapping[str, ContextValue]
    request: RequestContext

    def get(self, key: str, /) -> ContextValue | None:
        """Return the value of a condition key by its name in lower case."""
        value = self.given.get(key)
        return self.request.get(key) if value is None else value


def _held(record: IdentityRecord, managed: Mapping[str, PolicyRecord]) -> Iterator[HeldPolicy]:
    for arn in record.attached:
        yield HeldPolicy(arn, PolicySource.MANAGED, _read(managed[arn].document))
    for name, document in record.inline.items():
        yield HeldPolicy(name, PolicySource.INLINE, _read(document))
    if record.boundary is not None:
        yield HeldPolicy(record.boundary, PolicySource.BOUNDARY, _read(managed[record.boundary].document))


def _read(document: str) -> Policy:
    # As the directory reads it: what is stored was short enough when it was stored.
    return identity_policy(document, len(document))


def _principal(record: IdentityRecord, rights: PolicySet) -> Principal:
    if record.kind is IdentityKind.USER:
        return Principal(record.arn, PrincipalKind.USER, record.id, record.name, rights, record.tags)
    _, partition, _, _, account_id, _ = record.arn.split(":", 5)
    return Principal(
        f"arn:{partition}:sts::{account_id}:assumed-role/{record.name}/{SESSION_NAME}",
        PrincipalKind.ROLE,
        f"{record.id}:{SESSION_NAME}",
        record.name,
        rights,
        record.tags,
        session=Session(record.arn, record.id, 0.0, name=SESSION_NAME),
    )
