"""Nodes of two versions side by side: one migrates the schema while another goes on, is killed, and starts again.

The migration is one that this version does not know: what is added, and what it notes, as a later version would.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from support.clients.dicomweb import part10, store, updated
from support.faults.data_rules import check_data_rules
from support.files.synthetic import slice_of, uid
from support.imaging.imports import image_sets
from support.imaging.stored_series import deleted, imported, verified
from support.processes import api_processes, runners
from support.programs import hounsfield
from support.servers import ServerProcess, active_datastore, free_port, wait_for

ADDED = (
    "ALTER TABLE instances ADD COLUMN added text NOT NULL DEFAULT ''",
    "ALTER TABLE image_sets ADD COLUMN added bigint",
    "ALTER TABLE image_set_versions ADD COLUMN added bigint",
    "ALTER TABLE datastores ADD COLUMN added text",
    "ALTER TABLE frame_runs ADD COLUMN added bigint",
    "ALTER TABLE work_items ADD COLUMN added bigint NOT NULL DEFAULT 0",
    "ALTER TABLE secrets ADD COLUMN added text",
    "ALTER TABLE schema_upgrades ADD COLUMN added text",
    "CREATE TABLE added (id text PRIMARY KEY)",
)


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory, postgresql_url: str) -> Iterator[ServerProcess]:
    environment = {"HOUNSFIELD_DATABASE_URL": postgresql_url, "HOUNSFIELD_LEASE_SECONDS": "3"}
    server = ServerProcess(tmp_path_factory.mktemp("rolling") / "data", environment).start()
    try:
        yield server
    finally:
        server.stop()


@pytest.mark.slow
def test_a_node_of_the_earlier_version_goes_on_beside_a_later_one(server: ServerProcess, postgresql_url: str) -> None:
    client = server.client()
    datastore = active_datastore(client)
    _work(server, client, datastore, 1)
    # Statements that were prepared before the migration are carried out after it.
    with psycopg.connect(postgresql_url) as connection:
        for statement in ADDED:
            connection.execute(statement)
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.execute(
            "INSERT INTO schema_upgrades (revision, version, upgraded_at, compatible_since) SELECT '9999', '12.3', 0, "
            "compatible_since FROM schema_upgrades ORDER BY revision DESC LIMIT 1"
        )
    _work(server, client, datastore, 2)
    for process in (*runners(server), *api_processes(server)[1:]):
        process.kill()
    wait_for(lambda: _is_served(client), "another API process to be there")
    _work(server, client, datastore, 3)
    server.stop()
    server.start()
    _work(server, server.client(), datastore, 4)
    check_data_rules(server)
    server.stop()
    with psycopg.connect(postgresql_url) as connection:
        connection.execute("UPDATE schema_upgrades SET compatible_since = '9999' WHERE revision = '9999'")
    environment = server.environment
    done = hounsfield("api", "--data", str(server.data), "--port", str(free_port()), environment=environment)
    assert done.returncode == 1
    assert "the database is of a newer Hounsfield than this" in done.stdout + done.stderr
    assert "12.3" in done.stdout + done.stderr


def _work(server: ServerProcess, client: Any, datastore: str, study: int) -> None:
    """Store, import, read, change, search and delete."""
    assert store(server, datastore, [part10(slice_of(study=study))]).status_code == 200
    (image_set,) = imported(server, client, datastore, slice_of(number=2, study=study))
    assert verified(client, datastore, image_set).keys() == {uid(study, 1, 1), uid(study, 1, 2)}
    updated(client, datastore, image_set, {"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientName": "ROE^R"}}})
    (gone,) = imported(server, client, datastore, slice_of(study=100 + study))
    deleted(client, datastore, gone)
    assert [entry["imageSetId"] for entry in image_sets(client, datastore)].count(image_set) == 1


def _is_served(client: Any) -> bool:
    try:
        client.list_datastores()
    except Exception:
        return False
    return True
