"""Users and roles of the server: that of the suite, or that of a file which has its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.identities.users_and_roles import UsersAndRoles
from support.servers import ServerProcess


@pytest.fixture(scope="module")
def world(server: ServerProcess) -> Iterator[UsersAndRoles]:
    world = UsersAndRoles(server)
    yield world
    world.close()
