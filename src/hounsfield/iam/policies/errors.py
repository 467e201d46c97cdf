"""Errors of policy documents."""

from __future__ import annotations


class PolicyError(ValueError):
    """The document is no valid policy; the message says what is wrong and what would be right."""
