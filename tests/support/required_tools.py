"""Tools that a test needs and a machine may lack."""

from __future__ import annotations

import os

import pytest


def required_tool(found: bool, reason: str) -> None:
    """Skip a test whose tool is missing; in CI that is a failure."""
    if not found:
        assert not os.environ.get("CI"), f"in CI every tool is needed: {reason}"
        pytest.skip(reason)
