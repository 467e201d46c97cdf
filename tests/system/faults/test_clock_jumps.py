"""Clocks set a day ahead and an hour back while instances are stored and a job runs: nothing is lost, nothing stands still."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.clients.dicomweb import BOUNDARY, multipart, part10
from support.faults.shifted_clock import ShiftedClock
from support.files.synthetic import noise, slice_of, uid
from support.imaging.import_folders import fill, start_job
from support.imaging.imports import outcome_of
from support.imaging.stored_series import deleted, imported, pack_files, verified
from support.processes import runners
from support.servers import ServerProcess, active_datastore, finished_job, wait_for

DAY, HOUR = 24 * 3600, 3600
INSTANCES = 40
FILES = 60


@pytest.fixture(scope="module", params=["embedded", pytest.param("postgresql", marks=pytest.mark.slow)])
def clock_and_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ShiftedClock, ServerProcess]]:
    """A server that deletes orphans; clients whose clocks are right could not sign for it."""
    folder = tmp_path_factory.mktemp(f"jumps-{request.param}")
    clock = ShiftedClock(folder / "clock")
    environment = {
        **clock.environment,
        "HOUNSFIELD_INSECURE_NO_AUTH": "true",
        "HOUNSFIELD_DELETE_ORPHANS": "true",
        "HOUNSFIELD_LEASE_SECONDS": "2",
        "HOUNSFIELD_IMPORT_WORKERS": "1",
        "HOUNSFIELD_STORE_WORKERS": "1",
    }
    if request.param == "postgresql":
        environment["HOUNSFIELD_DATABASE_URL"] = request.getfixturevalue("postgresql_url")
    server = ServerProcess(folder / "data", environment).start()
    yield clock, server
    server.stop()


@pytest.fixture
def clock(clock_and_server: tuple[ShiftedClock, ServerProcess]) -> Iterator[ShiftedClock]:
    yield clock_and_server[0]
    clock_and_server[0].move(0)


@pytest.fixture
def own(clock_and_server: tuple[ShiftedClock, ServerProcess]) -> ServerProcess:
    return clock_and_server[1]


def short_work_is_done(server: ServerProcess, client: Any, number: int) -> None:
    """Let the runner do what comes after whatever is due: each of its idle threads takes the oldest work first."""
    for turn in range(2):
        datastore = active_datastore(client)
        (image_set,) = imported(server, client, datastore, slice_of(study=number + turn))
        deleted(client, datastore, image_set)


def test_a_day_ahead_deletes_nothing_of_what_is_being_stored(clock: ShiftedClock, own: ServerProcess) -> None:
    client = own.client()
    datastore = active_datastore(client)
    body = multipart([part10(slice_of(number=n, pixels=noise(128, 128, n))) for n in range(INSTANCES)])
    fill(own, "ahead", [slice_of(series=2, number=n, pixels=noise(256, 256, n)) for n in range(FILES)])
    connection = http.client.HTTPConnection("127.0.0.1", own.port, timeout=120)
    connection.putrequest("POST", f"/datastore/{datastore}/studies")
    for name, value in {
        "Content-Type": f'multipart/related; type="application/dicom"; boundary={BOUNDARY}',
        "Content-Length": str(len(body)),
        "Accept": "application/dicom+json",
    }.items():
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(body[:-5000])
    # The first batches are in packs that no row names, as the request has not ended.
    wait_for(lambda: pack_files(own, datastore), "the first batch to be transcoded")
    job_id = start_job(own, client, datastore, "ahead")
    clock.move(DAY + HOUR)
    short_work_is_done(own, client, 100)
    clock.move(30 * DAY)
    short_work_is_done(own, client, 200)
    connection.send(body[-5000:])
    answer = connection.getresponse()
    assert (answer.status, answer.read() != b"") == (200, True)
    connection.close()
    outcome = outcome_of(own, finished_job(client, datastore, job_id))
    assert (outcome.job["jobStatus"], outcome.failure) == ("COMPLETED", [])
    found = client.search_image_sets(datastoreId=datastore)["imageSetsMetadataSummaries"]
    stored = [sop for entry in found for sop in verified(client, datastore, entry["imageSetId"])]
    assert len(stored) == INSTANCES + FILES
    assert {uid(1, 1, n) for n in range(INSTANCES)} <= set(stored)


def test_an_hour_back_holds_up_nothing(clock: ShiftedClock, own: ServerProcess) -> None:
    client = own.client()
    datastore = active_datastore(client)
    fill(own, "back", [slice_of(number=n, pixels=noise(256, 256, n)) for n in range(FILES)])
    job_id = start_job(own, client, datastore, "back")
    wait_for(lambda: pack_files(own, datastore), "the job to be under way")
    clock.move(-HOUR)
    # The lease of the dead runner ends as if nobody had touched the clock.
    (runner,) = runners(own)
    runner.kill()
    outcome = outcome_of(own, finished_job(client, datastore, job_id))
    assert (outcome.job["jobStatus"], outcome.failure) == ("COMPLETED", [])
    short_work_is_done(own, client, 300)


def test_a_grace_period_is_not_ended_by_a_clock(clock: ShiftedClock, own: ServerProcess) -> None:
    client = own.client()
    datastore = active_datastore(client)
    (image_set,) = imported(own, client, datastore, slice_of())
    before = pack_files(own, datastore)
    deleted(client, datastore, image_set)
    clock.move(2 * DAY)
    short_work_is_done(own, client, 400)
    assert pack_files(own, datastore) == before


def test_tokens_of_clients_keep_their_meaning(clock: ShiftedClock, own: ServerProcess) -> None:
    client = own.client()
    first = client.create_datastore(clientToken="jump", datastoreName="once")["datastoreId"]
    for seconds in (2 * DAY, -DAY):
        clock.move(seconds)
        assert client.create_datastore(clientToken="jump", datastoreName="once")["datastoreId"] == first


def test_the_clock_of_a_server_is_really_moved(clock: ShiftedClock, own: ServerProcess, tmp_path: Path) -> None:
    client = own.client()
    before = client.get_datastore(datastoreId=active_datastore(client))["datastoreProperties"]["createdAt"]
    clock.move(DAY)
    after = client.get_datastore(datastoreId=active_datastore(client))["datastoreProperties"]["createdAt"]
    assert (after - before).total_seconds() >= DAY
