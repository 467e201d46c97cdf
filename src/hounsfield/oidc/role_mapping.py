"""Role mapping: the role of a token of the configured issuer, by the first claim rule that it meets."""

from __future__ import annotations

from hounsfield.oidc.claims import Claims
from hounsfield.settings.claim_roles import ClaimRole


def map_role(claims: Claims, rules: tuple[ClaimRole, ...]) -> str | None:
    """Return the ARN of the role of the first rule whose claim has its value; None when no rule is met."""
    return next((rule.role_arn for rule in rules if rule.value in claims.texts(rule.claim)), None)
