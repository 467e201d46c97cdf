"""Trust of roles: the trust policy and the caller's own policies, decided together.

    trust policy denies, or names nobody that the caller is  ─▶ no
    trust policy names the account                           ─▶ the caller's identity policies must allow it too
    trust policy names the caller                            ─▶ that is as good as an identity policy which allows it

Whatever the trust policy says, nothing may deny it explicitly, and a permissions boundary and session policies of the caller
must allow it.

Source: IAM User Guide, "Policy evaluation logic" and "How permissions work with role trust policies".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hounsfield.iam.identities.snapshot import Role
from hounsfield.iam.policies.condition_context import ContextValue
from hounsfield.iam.policies.evaluation import decide
from hounsfield.iam.policies.parser import parse_policy
from hounsfield.iam.policies.policy_set import PolicySet
from hounsfield.iam.policies.principal_element import Party, PartyKind, Trust
from hounsfield.iam.policies.trust_policy import decide_trust
from hounsfield.iam.principals import Principal
from hounsfield.iam.request_context import RequestConditionKeys, RequestContext
from hounsfield.iam.sessions.web_identity import RoleConditionKeys

_NAMED: Final = parse_policy(
    '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:*", "Resource": "*"}}'
)
"""Stands in for an identity policy where the trust policy names the caller."""


def may_assume(
    principal: Principal, role: Role, action: str, own: Mapping[str, ContextValue], condition_keys: RequestConditionKeys
) -> bool:
    """Return whether a caller may do something with a role.

    Parameters
    ----------
    principal : Principal
        Who calls.
    role : Role
        The role.
    action : str
        ``sts:AssumeRole``, ``sts:TagSession`` or ``sts:SetSourceIdentity``.
    own : Mapping of str to ContextValue
        Condition keys of the request itself, in lower case.
    condition_keys : RequestConditionKeys
        What else is known of the request.
    """
    context = RequestContext(own, principal, role.arn, RoleConditionKeys(condition_keys, role))
    decision = decide_trust(role.trust, action, party_of(principal), context)
    if not decision.allowed:
        return False
    rights = principal.rights
    if decision.trust is Trust.NAMED:
        rights = PolicySet((*rights.identity, _NAMED), rights.boundary, rights.session)
    return decide(rights, action, role.arn, context).allowed


def party_of(principal: Principal) -> Party:
    """Return what a trust policy can name a caller by."""
    names = {principal.arn, principal.id}
    if principal.session is not None:
        names = {principal.arn, principal.session.role_arn, principal.session.role_id}
    return Party(PartyKind.AWS, frozenset(names), principal.account_id)
