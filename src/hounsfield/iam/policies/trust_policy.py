"""Evaluation of trust policies (IAM User Guide, "How permissions work with role trust policies")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hounsfield.iam.policies.condition import Effect
from hounsfield.iam.policies.condition_context import ConditionContext
from hounsfield.iam.policies.document import Policy
from hounsfield.iam.policies.evaluation import Outcome
from hounsfield.iam.policies.principal_element import Party, Trust
from hounsfield.iam.policies.statement import Statement
from hounsfield.iam.policies.statement_index import find_statements


@dataclass(frozen=True, slots=True)
class TrustDecision:
    """What a trust policy decides.

    Attributes
    ----------
    outcome : Outcome
        What was decided.
    trust : Trust
        How far the policy names who asks. With ``Trust.ACCOUNT`` it is allowed only if the asker's own policies allow it too.
    """

    outcome: Outcome
    trust: Trust = Trust.NONE

    @property
    def allowed(self) -> bool:
        """Whether the trust policy allows it."""
        return self.outcome is Outcome.ALLOWED


def decide_trust(policy: Policy, action: str, party: Party, context: ConditionContext) -> TrustDecision:
    """Decide whether somebody may get a role, as far as its trust policy goes.

    Parameters
    ----------
    policy : Policy
        Trust policy of the role.
    action : str
        ``sts:AssumeRole``, ``sts:AssumeRoleWithWebIdentity`` or another action of STS.
    party : Party
        Who asks.
    context : ConditionContext
        The request's condition keys, such as ``sts:externalid`` or ``accounts.example.org:sub``.
    """
    found = find_statements((policy,), action)
    if _trust(found.of(Effect.DENY), party, context) is not Trust.NONE:
        return TrustDecision(Outcome.EXPLICIT_DENY)
    trust = _trust(found.of(Effect.ALLOW), party, context)
    return TrustDecision(Outcome.IMPLICIT_DENY if trust is Trust.NONE else Outcome.ALLOWED, trust)


def _trust(statements: Sequence[Statement], party: Party, context: ConditionContext) -> Trust:
    found = [
        statement.parties.trust(party)
        for statement in statements
        if statement.parties is not None and statement.conditions_met(context)
    ]
    return max(found, default=Trust.NONE)
