"""The world of the suite, on the server of all tests."""

from __future__ import annotations

from typing import Any

import pytest

from support.conformance.world import World, settled_world
from support.servers import ServerProcess


@pytest.fixture(scope="session")
def world(server: ServerProcess, client: Any) -> World:
    return settled_world(server, client, "conformance")


@pytest.fixture(scope="session")
def unchecked(server: ServerProcess) -> Any:
    """A client that sends what it is given without validating it first."""
    return server.client(parameter_validation=False)
