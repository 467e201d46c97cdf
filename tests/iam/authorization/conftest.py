"""A server on each database for all tests of what users may do, with a role for import jobs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.identities.users_and_roles import UsersAndRoles, allow, trust
from support.servers import ServerProcess
from support.services.postgresql import PostgresqlServer


def _world(data: Path, database_url: str = "") -> Iterator[UsersAndRoles]:
    settings = {
        "HOUNSFIELD_CLASSIC_SEARCH_ACTIONS": "true",
        "HOUNSFIELD_DATABASE_URL": database_url,
        "HOUNSFIELD_DICOMWEB_DELETE": "true",
        "HOUNSFIELD_QUOTA_DATASTORES": "0",
    }
    server = ServerProcess(data, settings).start()
    made = UsersAndRoles(server)
    made.role("importing", trust({"Service": "medical-imaging.amazonaws.com"}), allow("s3:*"))
    yield made
    made.close()
    server.stop()


@pytest.fixture(scope="session")
def embedded_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UsersAndRoles]:
    yield from _world(tmp_path_factory.mktemp("authorization") / "data")


@pytest.fixture(scope="session")
def postgresql_world(
    tmp_path_factory: pytest.TempPathFactory, postgresql_server: PostgresqlServer
) -> Iterator[UsersAndRoles]:
    yield from _world(tmp_path_factory.mktemp("authorization") / "data", postgresql_server.new_database())


@pytest.fixture(scope="module", params=["embedded", "postgresql"])
def world(request: pytest.FixtureRequest) -> UsersAndRoles:
    """The users and roles of the server on each database."""
    made: UsersAndRoles = request.getfixturevalue(f"{request.param}_world")
    return made


@pytest.fixture(scope="module")
def server(world: UsersAndRoles) -> ServerProcess:
    return world.server
