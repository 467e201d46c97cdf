"""Fixtures of the tests in the browser."""

from __future__ import annotations

from support.browser.fixtures import (  # noqa: F401 - fixtures and a hook
    chromium,
    context,
    faults,
    new_context,
    page,
    pytest_runtest_makereport,
)
