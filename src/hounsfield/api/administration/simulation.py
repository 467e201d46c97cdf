"""SimulatePrincipalPolicy: whether a user or role may do something, and which statements decide.

Condition keys that a request would bring are given as ContextEntries. Known without them are those of the principal, tags of
resources, and the time.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from hounsfield.api.administration.context import Call, Context
from hounsfield.api.administration.members import Form, Member
from hounsfield.api.administration.operation import Answer, Operation, Source
from hounsfield.api.administration.resources import permission_on_named
from hounsfield.audit.events import Json
from hounsfield.aws.protocol.errors import ValidationException
from hounsfield.aws.protocol.members import structures, text, texts
from hounsfield.iam.authorization import ContextValue, Permission
from hounsfield.iam.identities.errors import NoSuchEntityError
from hounsfield.iam.identities.identities import get_identity
from hounsfield.iam.identities.managed_policies import list_policies
from hounsfield.iam.identities.records import IdentityKind
from hounsfield.iam.policies.evaluation import Outcome
from hounsfield.iam.simulation import Evaluation, SimulatedPrincipal
from hounsfield.imaging.tags import tags_of

MOST_EVALUATIONS: Final = 1000
_ARN: Final = re.compile(r"arn:[a-z-]+:iam::\d{12}:(user|role)/([^/]+)")
_ACTION: Final = re.compile(r"[A-Za-z0-9-]+:[A-Za-z0-9]+")
_DECISIONS: Final = {
    Outcome.ALLOWED: "allowed",
    Outcome.EXPLICIT_DENY: "explicitDeny",
    Outcome.IMPLICIT_DENY: "implicitDeny",
}


@dataclass(frozen=True, slots=True)
class SimulatedConditionKeys:
    """The condition keys of a request that nobody makes.

    Attributes
    ----------
    context : Context
        Where users, roles and data stores have their tags.
    unknown : ContextValue or None
        What stands for a key that only a request would bring; None where it is absent.
    """

    context: Context
    unknown: ContextValue | None = None
    _at: float = field(default_factory=time.time)

    def value(self, key: str) -> ContextValue | None:
        """Return a global condition key, in lower case."""
        match key:
            case "aws:currenttime":
                return datetime.fromtimestamp(self._at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            case "aws:epochtime":
                return str(int(self._at))
            case "aws:requestedregion":
                return self.context.image_store.region
            case "aws:viaawsservice":
                return "false"
        return self.unknown

    def resource_tags(self, resource: str) -> Mapping[str, str]:
        """Return the tags of a resource by its ARN; empty when it has none, or there is none."""
        named = _ARN.fullmatch(resource)
        if named is None:
            return tags_of(self.context.image_store, resource)
        try:
            return get_identity(self.context.repository, IdentityKind(named[1]), named[2]).tags
        except NoSuchEntityError:
            return {}


def _source(context: Context, call: Call) -> tuple[IdentityKind, str]:
    """Return kind and name of the user or role that is asked about."""
    arn = text(call.parameters, "PolicySourceArn")
    named = _ARN.fullmatch(arn)
    if named is None or arn != context.repository.arn(named[1], named[2]):
        example = context.repository.arn(IdentityKind.USER, "ann")
        raise ValidationException(
            f"PolicySourceArn must be the ARN of a user or role of this account, such as {example}."
        )
    return IdentityKind(named[1]), named[2]


def _may_simulate(context: Context, call: Call, action: str) -> Sequence[Permission]:
    return (permission_on_named(context, action, *_source(context, call)),)


def _simulate(context: Context, call: Call) -> Answer:
    actions, resources = texts(call.parameters["ActionNames"]), texts(call.parameters.get("ResourceArns", ["*"]))
    for action in actions:
        if not _ACTION.fullmatch(action):
            raise ValidationException(
                f"ActionNames has {action}; it must be a service and an action, such as medical-imaging:GetImageFrame."
            )
    if len(actions) * len(resources) > MOST_EVALUATIONS:
        raise ValidationException(f"Actions times resources must be {MOST_EVALUATIONS} at most.")
    managed = {record.arn: record for record in list_policies(context.repository)}
    subject = SimulatedPrincipal.of(get_identity(context.repository, *_source(context, call)), managed)
    own, keys = _given(call), SimulatedConditionKeys(context)
    return {
        "EvaluationResults": [
            _result(subject.simulate(action, resource, own, keys)) for action in actions for resource in resources
        ]
    }


def _given(call: Call) -> dict[str, ContextValue]:
    given: dict[str, ContextValue] = {}
    for entry in structures(call.parameters.get("ContextEntries", [])):
        values = texts(entry["ContextKeyValues"])
        given[text(entry, "ContextKeyName").lower()] = values[0] if len(values) == 1 else tuple(values)
    return given


def _result(evaluation: Evaluation) -> Json:
    return {
        "EvalActionName": evaluation.action,
        "EvalResourceName": evaluation.resource,
        "EvalDecision": _DECISIONS[evaluation.decision.outcome],
        "EvalDecisionReason": evaluation.reason,
        "MatchedStatements": [
            {
                "SourcePolicyId": statement.policy,
                "SourcePolicyType": statement.source.value,
                "StatementNumber": statement.number,
                "Sid": statement.sid or None,
            }
            for statement in evaluation.statements
        ],
        "MissingContextValues": list(evaluation.missing),
    }


OPERATIONS: Final = (
    Operation(
        "SimulatePrincipalPolicy",
        Source.IAM,
        "iam:SimulatePrincipalPolicy",
        _may_simulate,
        (
            Member("PolicySourceArn", required=True, least=20, most=2048),
            Member("ActionNames", Form.TEXTS, required=True, most=128),
            Member("ResourceArns", Form.TEXTS, most=2048),
            Member("ContextEntries", Form.ENTRIES),
        ),
        _simulate,
    ),
)
