"""Managed policies by their ARNs: which are built in, and where their pages are."""

from __future__ import annotations

from typing import Final

from hounsfield.console.calls import label

POLICIES: Final = "/console/policies"
BUILT_IN: Final = "aws"
"""Owner of the policies that are built in, in their ARNs and in the addresses of their pages."""


def is_built_in(arn: str) -> bool:
    """Return whether a managed policy is built in, and not of this installation."""
    return arn.split(":")[4] == BUILT_IN


def policy_path(arn: str) -> str:
    """Return the address of the page of a managed policy."""
    return f"{POLICIES}/{BUILT_IN if is_built_in(arn) else 'own'}/{label(arn.rpartition('/')[2])}"
