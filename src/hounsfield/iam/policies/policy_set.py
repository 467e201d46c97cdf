"""Policy set: all policies that decide for one principal."""

from __future__ import annotations

from dataclasses import dataclass

from hounsfield.iam.policies.document import Policy


@dataclass(frozen=True, slots=True)
class PolicySet:
    """The policies of a principal.

    Attributes
    ----------
    identity : tuple of Policy
        Policies attached to the user or role; one of them must allow.
    boundary : Policy or None
        Permissions boundary: must allow too where there is one.
    session : tuple of Policy
        Policies of the session (AssumeRole with Policy or PolicyArns): one must allow too where there are any.
    """

    identity: tuple[Policy, ...] = ()
    boundary: Policy | None = None
    session: tuple[Policy, ...] = ()

    @property
    def ask_for_resource_tags(self) -> bool:
        """Whether a policy may ask for the tags of a resource, which have to be looked up."""
        boundary = () if self.boundary is None else (self.boundary,)
        return any(policy.asks_for_resource_tags for policy in (*self.identity, *boundary, *self.session))


NO_RIGHTS = PolicySet()
"""Those of a principal without policies, who may do nothing."""
