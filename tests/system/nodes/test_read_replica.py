"""Searches on a standby of PostgreSQL: never older than the bound, and on the database itself where the standby is no good."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from support.clients.dicomweb import get, part10, store
from support.files.synthetic import slice_of, uid
from support.imaging.imports import image_sets
from support.imaging.stored_series import deleted
from support.programs import hounsfield
from support.servers import ServerProcess, active_datastore, wait_for
from support.services.postgresql import PostgresqlServer

pytestmark = pytest.mark.slow
BOUND = 2.0


@dataclass
class Replicated:
    """A server, its database, and the standby."""

    server: ServerProcess
    client: Any
    datastore: str
    standby: PostgresqlServer
    standby_url: str


@pytest.fixture
def replicated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicated]:
    with ExitStack() as ended:
        primary = PostgresqlServer()
        ended.callback(primary.remove)
        url = primary.start().new_database()
        standby = PostgresqlServer(primary)
        ended.callback(standby.remove)
        standby_url = url.replace(primary.url, standby.start().url)
        environment = {
            "HOUNSFIELD_DATABASE_URL": url,
            "HOUNSFIELD_DATABASE_REPLICA_URL": standby_url,
            "HOUNSFIELD_DATABASE_REPLICA_SECONDS": str(BOUND),
        }
        server = ServerProcess(tmp_path_factory.mktemp("replicated") / "data", environment).start()
        ended.callback(server.stop)
        client = server.client()
        yield Replicated(server, client, active_datastore(client), standby, standby_url)


def scans(url: str) -> int:
    """Return how many rows of image sets were read on a server."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT coalesce(idx_tup_fetch, 0) + seq_tup_read FROM pg_stat_user_tables WHERE relname = 'image_sets'"
        ).fetchone()
        return int(found[0]) if found else 0


def studies(world: Replicated) -> set[str]:
    return {entry["DICOMTags"]["DICOMStudyInstanceUID"] for entry in image_sets(world.client, world.datastore)}


def studies_by_web(world: Replicated) -> set[str]:
    answer = get(world.server, world.datastore, "studies", "application/dicom+json")
    return {study["0020000D"]["Value"][0] for study in answer.json()} if answer.status_code == 200 else set()


def status(world: Replicated) -> dict[str, Any]:
    done = hounsfield("status", "--data", str(world.server.data), "--json", environment=world.server.environment)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def put(world: Replicated, study: int) -> None:
    assert store(world.server, world.datastore, [part10(slice_of(study=study))]).status_code == 200


def test_searches_ask_the_standby_and_the_database_where_it_is_behind_or_gone(replicated: Replicated) -> None:
    world = replicated
    put(world, 1)
    wait_for(lambda: studies(world) == studies_by_web(world) == {uid(1)}, "the study to be found")
    wait_for(lambda: "read replica is used" in world.server.log_text(), "the standby to be asked")
    before = scans(world.standby_url)
    wait_for(lambda: studies(world) and scans(world.standby_url) > before, "searches to be carried out there")

    assert status(world)["database"]["replica_is_used"] is True

    # It stands still: what it has grows old, and nobody is answered with it for longer than the bound.
    with psycopg.connect(world.standby_url, autocommit=True) as connection:
        connection.execute("SELECT pg_wal_replay_pause()")
        put(world, 2)
        wait_for(lambda: studies(world) == studies_by_web(world) == {uid(1), uid(2)}, "the bound to be kept", BOUND + 8)
        (gone,) = [e for e in image_sets(world.client, world.datastore) if e["version"] == 1 and _is_of(e, 1)]
        deleted(world.client, world.datastore, gone["imageSetId"])
        assert studies(world) == studies_by_web(world) == {uid(2)}
        assert "it is behind" in world.server.log_text()
        used = world.server.log_text().count("read replica is used")
        connection.execute("SELECT pg_wal_replay_resume()")
    wait_for(
        lambda: studies(world) == {uid(2)} and world.server.log_text().count("read replica is used") > used,
        "the standby to be asked again",
    )
    world.standby.stop()
    found = status(world)
    assert found["database"]["replica_is_used"] is False
    assert any("HOUNSFIELD_DATABASE_REPLICA_URL is not used (OperationalError)" in told for told in found["problems"])
    assert studies(world) == studies_by_web(world) == {uid(2)}
    put(world, 3)
    assert studies(world) == studies_by_web(world) == {uid(2), uid(3)}


def _is_of(entry: dict[str, Any], study: int) -> bool:
    return bool(entry["DICOMTags"]["DICOMStudyInstanceUID"] == uid(study))
