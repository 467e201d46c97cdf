"""Fixtures of the tests of the console: its pages in the browser and by HTTP alone, and who uses them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.browser.fixtures import (  # noqa: F401 - fixtures and a hook
    chromium,
    context,
    faults,
    new_context,
    page,
    pytest_runtest_makereport,
)
from support.browser.plain_session import PlainSession
from support.identities.users_and_roles import UsersAndRoles
from support.imaging.updates import Store
from support.servers import ServerProcess


@pytest.fixture(scope="module")
def users(server: ServerProcess) -> Iterator[UsersAndRoles]:
    """Users and roles of the server: that of the suite, or that of a file which has its own."""
    made = UsersAndRoles(server)
    yield made
    made.close()


@pytest.fixture(scope="module")
def root(server: ServerProcess) -> PlainSession:
    """A session of root for the tests of a file; another file may end it."""
    return PlainSession(server, server.key())


@pytest.fixture(scope="module")
def store(server: ServerProcess) -> Store:
    """A data store for the tests of a file."""
    return Store(server, server.client())
