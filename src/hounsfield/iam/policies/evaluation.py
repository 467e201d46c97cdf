"""Policy evaluation (IAM User Guide, "Policy evaluation logic").

any policy denies      ─▶ explicit deny, by that kind
no identity policy     ─▶ implicit deny   ┐
boundary does not      ─▶ implicit deny   ├─ allow it
no session policy      ─▶ implicit deny   ┘
else                   ─▶ allowed
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from hounsfield.iam.policies.condition_context import ConditionContext
from hounsfield.iam.policies.condition_index import ConditionIndex
from hounsfield.iam.policies.document import Policy, PolicyKind
from hounsfield.iam.policies.policy_set import PolicySet
from hounsfield.iam.policies.statement_index import MatchingStatements, find_statements


class Outcome(Enum):
    """What was decided."""

    ALLOWED = auto()
    EXPLICIT_DENY = auto()
    """A statement denies it."""
    IMPLICIT_DENY = auto()
    """No statement allows it."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided, and by which kind of policy.

    Attributes
    ----------
    outcome : Outcome
        What was decided.
    kind : PolicyKind
        The kind that denies, or that lacks what would allow it; identity-based policies where it is allowed.
    """

    outcome: Outcome
    kind: PolicyKind

    @property
    def allowed(self) -> bool:
        """Whether it is allowed."""
        return self.outcome is Outcome.ALLOWED

    def reason(self, action: str) -> str:
        """Say why it is denied, in AWS's words (IAM User Guide, "Troubleshoot access denied error messages")."""
        article = "an" if self.kind is PolicyKind.IDENTITY else "a"
        if self.outcome is Outcome.EXPLICIT_DENY:
            return f"with an explicit deny in {article} {self.kind}"
        return f"because no {self.kind} allows the {action} action"


ALLOWED: Final = Decision(Outcome.ALLOWED, PolicyKind.IDENTITY)


def decide(rights: PolicySet, action: str, resource: str, context: ConditionContext) -> Decision:
    """Decide whether somebody may do something.

    Parameters
    ----------
    rights : PolicySet
        Their policies.
    action : str
        Such as ``medical-imaging:GetImageFrame``.
    resource : str
        ARN of the resource, ``*`` where the action names none.
    context : ConditionContext
        The request's condition keys.
    """
    return next(decide_each(rights, action, [(resource, context)]))


def decide_each(rights: PolicySet, action: str, asked: Iterable[tuple[str, ConditionContext]]) -> Iterator[Decision]:
    """Decide for each of the resources of one request.

    Parameters
    ----------
    rights, action
        As for `decide`.
    asked : iterable of (str, ConditionContext)
        Each resource and the request's condition keys on it, which differ in the tags of the resource only.
    """
    layers = [(kind, find_statements(policies, action)) for kind, policies in layers_of(rights)]
    known: dict[tuple[MatchingStatements, ...], Decision] = {}
    for resource, context in asked:
        concerned = tuple(found.on(resource) for _, found in layers)
        decision = known.get(concerned)
        if decision is None:
            kinds = [kind for kind, _ in layers]
            decision = _decided(list(zip(kinds, concerned, strict=True)), resource, context)
            if all(found.same_everywhere for found in concerned):
                known[concerned] = decision
        yield decision


def denies_below(rights: PolicySet, action: str, prefix: str) -> bool:
    """Return whether a policy may deny an action on resources whose ARNs begin in some way, and not on every one alike.

    It is found once for all policies of somebody, and kept.
    """
    return any(find_statements(policies, action).denies_below(prefix) for _, policies in layers_of(rights))


def _decided(
    layers: Sequence[tuple[PolicyKind, MatchingStatements]], resource: str, context: ConditionContext
) -> Decision:
    for kind, found in layers:
        if _one(found.denying, resource, context):
            return Decision(Outcome.EXPLICIT_DENY, kind)
    for kind, found in layers:
        if not _one(found.allowing, resource, context):
            return Decision(Outcome.IMPLICIT_DENY, kind)
    return ALLOWED


def layers_of(rights: PolicySet) -> Iterator[tuple[PolicyKind, tuple[Policy, ...]]]:
    """Yield the policies of each kind that has a say."""
    yield PolicyKind.IDENTITY, rights.identity
    if rights.boundary is not None:
        yield PolicyKind.BOUNDARY, (rights.boundary,)
    if rights.session:
        yield PolicyKind.SESSION, rights.session


def _one(statements: ConditionIndex, resource: str, context: ConditionContext) -> bool:
    for statement in statements.candidates(context):  # noqa: SIM110 - a plain loop: this is asked for every request
        if statement.applies(resource, context):
            return True
    return False
