"""A database that is lost is made again of packs and journal: every answer of the API is what it was."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from support.clients.dicomweb import part10, store
from support.faults.data_rules import check_data_rules
from support.files.synthetic import noise, slice_of
from support.identities.users import command
from support.imaging.api_answers import answers
from support.imaging.import_folders import fill, start_job
from support.imaging.imports import image_sets
from support.imaging.lost_databases import all_image_sets, kill, lose_database
from support.servers import ServerProcess, active_datastore, finished_job
from support.state_machine.machine import ArchiveMachine

ENVIRONMENT = {
    "HOUNSFIELD_RELEASE_AFTER_SECONDS": "0",
    "HOUNSFIELD_METADATA_CACHE_BYTES": "0",
    "HOUNSFIELD_IMPORT_WORKERS": "1",
    "HOUNSFIELD_STORE_WORKERS": "1",
}
SHORT = settings(
    max_examples=3,
    stateful_step_count=8,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
LONG = settings(SHORT, max_examples=30, stateful_step_count=25, derandomize=False, print_blob=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path_factory.mktemp("rebuild") / "data", ENVIRONMENT).start()
    yield process
    process.stop()


def draw_history(server: ServerProcess, how: settings) -> None:
    """Let a state machine work on data stores that stay."""

    class Lasting(ArchiveMachine):
        def teardown(self) -> None:
            """Leave everything."""

    Lasting.server, Lasting.client, Lasting.seen = server, server.client(), Counter()
    run_state_machine_as_test(Lasting, settings=how)


def write_history(server: ServerProcess) -> None:
    """Do by hand what the machine does not: STOW, tags, failed files, data stores that go."""
    client = server.client()
    datastore = active_datastore(client, tags={"of": "a data store"})
    folder = fill(server, "rebuild", [slice_of(1, 1, pixels=noise(8, 8))])
    (folder / "none.dcm").write_bytes(b"DICM of no kind")
    assert finished_job(client, datastore, start_job(server, client, datastore, "rebuild"))["jobStatus"] == "COMPLETED"
    for number in (2, 3, 3):
        assert store(server, datastore, [part10(slice_of(1, number, pixels=noise(8, 8)))]).status_code == 200
    (found,) = image_sets(client, datastore)
    image_set = found["imageSetId"]
    arn = f"{client.get_datastore(datastoreId=datastore)['datastoreProperties']['datastoreArn']}/imageset/{image_set}"
    client.tag_resource(resourceArn=arn, tags={"a": "1", "b": "2"})
    client.untag_resource(resourceArn=arn, tagKeys=["a"])
    client.delete_datastore(datastoreId=active_datastore(client))


def rebuilt(server: ServerProcess, *, code: int = 0) -> dict[str, Any]:
    result = command(server, "rebuild", "--json")
    assert result.exit_code == code, result.output
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def test_every_answer_is_what_it_was(server: ServerProcess) -> None:
    draw_history(server, SHORT)
    write_history(server)
    known = all_image_sets(server)
    before = answers(server, known)
    kill(server)
    lose_database(server)
    report = rebuilt(server)
    assert (report["losses"], report["journalDamage"], report["result"]) == ([], [], "rebuilt")
    assert report["counts"]["image_sets"] == len(known)
    server.start()
    after = answers(server, known)
    assert after == before
    check_data_rules(server)
