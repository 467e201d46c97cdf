"""A database that is lost is made again of packs and journal: every answer of the API is what it was."""

from __future__ import annotations

import itertools
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError

from hounsfield.storage.keys.master_keys import LocalKeyring
from support.clients.dicomweb import part10, root, session, store, updated
from support.faults.data_rules import check_data_rules
from support.files.synthetic import noise, slice_of
from support.identities.users import command
from support.imaging.api_answers import answers
from support.imaging.import_folders import fill, start_job
from support.imaging.imports import document, image_sets
from support.imaging.lost_databases import all_image_sets, is_quiet, kill, lose_database
from support.imaging.steady_changes import SteadyChanges
from support.imaging.updates import instance
from support.servers import ServerProcess, active_datastore, finished_job, wait_for
from support.services.object_store import ObjectStore
from support.services.postgresql import PostgresqlServer
from support.state_machine.runs import others, run_machine, the_same

BUCKET = "rebuilt-packs"
ENVIRONMENT = {
    "HOUNSFIELD_RELEASE_AFTER_SECONDS": "0",
    "HOUNSFIELD_METADATA_CACHE_BYTES": "0",
    "HOUNSFIELD_IMPORT_WORKERS": "1",
    "HOUNSFIELD_STORE_WORKERS": "1",
    # What fails is tried again and again, each time in a data store of its own.
    "HOUNSFIELD_QUOTA_DATASTORES": "0",
}
SHORT = the_same(examples=2, steps=8)
LONG = others(examples=30, steps=25)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path_factory.mktemp("rebuild") / "data", ENVIRONMENT).start()
    yield process
    process.stop()


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
    # JSON of the same length as that of the import, and then the same again.
    for value in ("7", "1"):
        updated(client, datastore, image_set, instance(1, {"DICOM": {"InstanceNumber": value}}))
    # The study has the values of the image set that was changed last, also where the change failed.
    other = part10(slice_of(2, 1, pixels=noise(8, 8), PatientSex="O"))
    assert store(server, datastore, [other]).status_code == 200
    failed(client, datastore, image_set)
    gone = active_datastore(client)
    client.delete_datastore(datastoreId=gone)

    def deleted() -> bool:
        return bool(client.get_datastore(datastoreId=gone)["datastoreProperties"]["datastoreStatus"] == "DELETED")

    wait_for(deleted, "the data store to go")


def failed(client: Any, datastore: str, image_set_id: str) -> None:
    """Ask for an update that removes what is not there, and wait until it has failed."""
    place = {"datastoreId": datastore, "imageSetId": image_set_id}
    removed = instance(1, {"DICOM": {"AcquisitionNumber": None}})
    client.update_image_set_metadata(
        **place,
        latestVersionId=client.get_image_set(**place)["versionId"],
        updateImageSetMetadataUpdates={"DICOMUpdates": {"removableAttributes": json.dumps(removed).encode()}},
    )
    wait_for(
        lambda: client.get_image_set(**place)["imageSetWorkflowStatus"] == "UPDATE_FAILED", "the update to have failed"
    )


def rebuilt(server: ServerProcess, *, code: int = 0) -> dict[str, Any]:
    result = command(server, "rebuild", "--json")
    assert result.exit_code == code, result.output
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def test_every_answer_is_what_it_was(server: ServerProcess) -> None:
    run_machine(server, SHORT, stays=True)
    write_history(server)
    known = all_image_sets(server)
    before = answers(server, known)
    kill(server)
    lose_database(server)
    report = rebuilt(server)
    assert (report["losses"], report["journalDamage"], report["result"]) == ([], [], "rebuilt")
    assert report["counts"]["image_sets"] == len(known)
    server.start()
    assert "stop the server" in command(server, "rebuild").output
    after = answers(server, known)
    assert after == before
    check_data_rules(server)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_what_was_answered_is_there_though_all_processes_were_killed_at_work(tmp_path: Path) -> None:
    process = ServerProcess(tmp_path / "data", ENVIRONMENT).start()
    datastore = active_datastore(process.client())
    stored: list[str] = []
    stop = threading.Event()

    def store_again_and_again(first: int) -> None:
        for number in itertools.count(first, 4):
            dataset = slice_of(number % 7, number, study=number % 3, pixels=noise(8, 8, seed=number))
            with suppress(requests.RequestException):
                if not stop.is_set() and store(process, datastore, [part10(dataset)]).status_code == 200:
                    stored.append(dataset.SOPInstanceUID)
                    continue
            return

    threads = [threading.Thread(target=store_again_and_again, args=(first,)) for first in range(1, 5)]
    try:
        for thread in threads:
            thread.start()
        wait_for(lambda: len(stored) >= 60, "instances")
        kill(process)
        stop.set()
        for thread in threads:
            thread.join()
        lose_database(process)
        assert rebuilt(process)["result"] == "rebuilt"
        process.start()
        with session(process) as http:
            found = http.get(f"{root(process, datastore)}/instances?limit=10000").json()
        assert set(stored) <= {entry["00080018"]["Value"][0] for entry in found}
        check_data_rules(process)
    finally:
        stop.set()
        process.stop()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_longer_histories(tmp_path: Path) -> None:
    process = ServerProcess(tmp_path / "data", ENVIRONMENT).start()
    try:
        run_machine(process, LONG, stays=True)
        known = all_image_sets(process)
        before = answers(process, known)
        kill(process)
        lose_database(process)
        assert rebuilt(process)["result"] == "rebuilt"
        process.start()
        assert answers(process, known) == before
        check_data_rules(process)
    finally:
        process.stop()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_postgresql_and_a_bucket(tmp_path: Path, postgresql_server: PostgresqlServer, s3: ObjectStore) -> None:
    s3.client.create_bucket(Bucket=BUCKET)
    environment = {**ENVIRONMENT, **s3.environment(), "HOUNSFIELD_BLOBS_URL": f"s3://{BUCKET}/there"}
    process = ServerProcess(
        tmp_path / "data", {**environment, "HOUNSFIELD_DATABASE_URL": postgresql_server.new_database()}
    ).start()
    try:
        work = SteadyChanges(process)
        with work.going_on():
            pass
        wait_for(lambda: is_quiet(process), "the work to end")
        known = all_image_sets(process)
        before = answers(process, known)
        process.stop()
        assert "never replaces one" in command(process, "rebuild").output
        process.environment["HOUNSFIELD_DATABASE_URL"] = postgresql_server.new_database()
        assert rebuilt(process)["losses"] == []
        process.start()
        assert answers(process, known) == before
        check_data_rules(process)
    finally:
        process.stop()


def test_an_installation_older_than_the_journal_has_a_checkpoint(server: ServerProcess) -> None:
    """By what was rebuilt before: nothing is left of the journal of that time but the checkpoint of the first start since."""
    journal = server.data / "blobs" / "journal"
    wait_for(lambda: checkpoints(server), "a checkpoint")
    server.stop()
    for folder in journal.iterdir():
        if folder.name != "checkpoints":
            shutil.rmtree(folder)
    for old in checkpoints(server)[:-1]:
        old.unlink()
    server.start()
    write_history(server)
    known = all_image_sets(server)
    before = answers(server, known)
    kill(server)
    lose_database(server)
    report = rebuilt(server)
    assert (report["losses"], report["journalDamage"]) == ([], [])
    server.start()
    assert answers(server, known) == before
    check_data_rules(server)


def checkpoints(server: ServerProcess) -> list[Path]:
    """Checkpoints of the journal, the newest last."""
    return sorted((server.data / "blobs" / "journal" / "checkpoints").glob("*"))


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder without its database: two image sets in packs of their own, one of them edited."""
    process = ServerProcess(tmp_path_factory.mktemp("rebuild-lost") / "data", ENVIRONMENT).start()
    client = process.client()
    datastore = active_datastore(client)
    for series in (1, 2):
        files = [part10(slice_of(series, number, pixels=noise(8, 8, seed=number))) for number in (1, 2)]
        assert store(process, datastore, files).status_code == 200
    found = image_sets(client, datastore)
    updated(client, datastore, found[0]["imageSetId"], {"Patient": {"DICOM": {"PatientName": "Somebody^Else"}}})
    process.stop()
    lose_database(process)
    return process.data


@pytest.fixture
def copy(lost: Path, tmp_path: Path) -> Iterator[ServerProcess]:
    """The same, for a test of its own; the server is not started."""
    process = ServerProcess(Path(shutil.copytree(lost, tmp_path / "data", symlinks=True)), ENVIRONMENT)
    yield process
    if process.process is not None:
        process.stop()


def refused(server: ServerProcess, reason: str) -> None:
    """Nothing is rebuilt, and nothing is left of the try."""
    before = sorted(path for path in server.data.rglob("*") if ".use" not in path.name)
    result = command(server, "rebuild")
    assert (result.exit_code, reason in result.output) == (3, True), result.output
    assert sorted(path for path in server.data.rglob("*") if ".use" not in path.name) == before


def segments(server: ServerProcess) -> list[Path]:
    """Segments of the journal, the longest first."""
    found = [path for path in (server.data / "blobs" / "journal").rglob("*") if path.is_file()]
    found = [path for path in found if path.parent.name != "checkpoints"]
    return sorted(found, key=lambda path: -path.stat().st_size)


def test_a_database_is_never_replaced(copy: ServerProcess) -> None:
    assert rebuilt(copy)["result"] == "rebuilt"
    content = (copy.data / "hounsfield.db").read_bytes()
    refused(copy, "never replaces a database")
    assert (copy.data / "hounsfield.db").read_bytes() == content


def test_what_a_killed_rebuild_left_is_no_hindrance(copy: ServerProcess) -> None:
    (copy.data / "hounsfield.db.rebuilt").write_bytes(b"half a database")
    (copy.data / "hounsfield.db.rebuilt-wal").write_bytes(b"half a log")
    assert rebuilt(copy)["result"] == "rebuilt"
    assert not list(copy.data.glob("hounsfield.db.rebuilt*"))
    check_data_rules(copy)


def test_a_lost_database_key_is_made_anew_and_no_checkpoint_is_needed(copy: ServerProcess) -> None:
    (copy.data / "keys" / "database.key").unlink()
    shutil.rmtree(copy.data / "blobs" / "journal" / "checkpoints")
    assert rebuilt(copy)["result"] == "rebuilt"
    check_data_rules(copy)


def test_another_master_key_is_refused(copy: ServerProcess, tmp_path: Path) -> None:
    LocalKeyring(tmp_path / "other.json")
    shutil.copy(tmp_path / "other.json", copy.data / "keys" / "master.json")
    refused(copy, "is not the master key that wraps keys/secrets.json")
    (copy.data / "keys" / "master.json").unlink()
    refused(copy, "master.json is missing")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "has no keys/secrets.json"),
        (b"", "keys/secrets.json is damaged"),
        (b'{"format": "hounsfield secrets", "version": 2, "secrets": {}}', "is of version 2"),
        (b'{"format": "hounsfield secrets", "version": 1, "secrets": {}}', "lacks blob-place, installation, journal"),
    ],
)
def test_secrets_that_cannot_be_read_are_refused(copy: ServerProcess, content: bytes | None, reason: str) -> None:
    file = copy.data / "blobs" / "keys" / "secrets.json"
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    refused(copy, reason)


def test_the_place_of_another_installation_is_refused(copy: ServerProcess) -> None:
    mark = copy.data / "blobs" / "installation.json"
    mark.write_text(json.dumps({**json.loads(mark.read_text()), "installation": "0" * 32}))
    refused(copy, "copied from different places")


def test_a_journal_that_does_not_open_is_refused(copy: ServerProcess) -> None:
    shutil.rmtree(copy.data / "blobs" / "journal" / "checkpoints")
    for path in segments(copy):
        # As a journal of another installation is: everything in it is sealed with another key.
        path.write_bytes(path.read_bytes()[:48] + bytes(byte ^ 1 for byte in path.read_bytes()[48:]))
    refused(copy, "the journal beside the packs has no record that can be read")


def test_a_newer_journal_is_told(copy: ServerProcess) -> None:
    path = segments(copy)[0]
    path.write_bytes(path.read_bytes()[:7] + b"\x09" + path.read_bytes()[8:])
    report = rebuilt(copy, code=1)
    assert "it is of a newer version" in {damage["what"] for damage in report["journalDamage"]}


def test_damage_of_the_journal_is_told_and_the_rest_rebuilt(copy: ServerProcess) -> None:
    # A checkpoint may have what is damaged here.
    shutil.rmtree(copy.data / "blobs" / "journal" / "checkpoints")
    path = segments(copy)[0]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    report = rebuilt(copy, code=1)
    assert report["result"] == "incomplete"
    assert {damage["segment"] for damage in report["journalDamage"]} == {
        str(path.relative_to(copy.data / "blobs")),
        "",
    }


def test_a_damaged_checkpoint_is_told_and_done_without(copy: ServerProcess) -> None:
    path = checkpoints(copy)[-1]
    path.write_bytes(path.read_bytes()[:-1])
    report = rebuilt(copy, code=1)
    assert [damage["what"] for damage in report["journalDamage"]] == ["it was changed, or is cut short"]
    assert report["counts"]["image_sets"] == 2


def test_a_lost_segment_is_told(copy: ServerProcess) -> None:
    shutil.rmtree(copy.data / "blobs" / "journal" / "checkpoints")
    segments(copy)[0].unlink()
    report = rebuilt(copy, code=1)
    assert any("are not there" in damage["what"] for damage in report["journalDamage"])


def test_a_lost_pack_takes_only_its_own_image_set(copy: ServerProcess) -> None:
    packs = [path for path in (copy.data / "blobs" / "packs").rglob("*") if path.is_file()]
    pack = max(packs, key=lambda path: path.stat().st_size)
    pack.unlink()
    report = rebuilt(copy, code=1)
    (named,) = {loss["imageSetId"] for loss in report["losses"]}
    assert {loss["what"] for loss in report["losses"]} == {"no pack has its records"}
    copy.start()
    client = copy.client()
    (datastore,) = (entry["datastoreId"] for entry in client.list_datastores()["datastoreSummaries"])
    found = {entry["imageSetId"] for entry in image_sets(client, datastore)}
    assert len(found) == 2
    (whole,) = found - {named}
    assert document(client, datastore, whole)["Study"]
    with pytest.raises(ClientError):
        document(client, datastore, named)


def test_a_data_store_whose_key_does_not_open_does_not_keep_others_from_being_rebuilt(copy: ServerProcess) -> None:
    """Of its image sets no values can be read, so that they all seem to be of one series."""
    (path,) = (copy.data / "blobs" / "keys").glob("[0-9a-f]*.json")
    path.unlink()
    report = rebuilt(copy, code=1)
    assert "its data key beside the packs does not open" in {loss["what"] for loss in report["losses"]}
    assert report["counts"]["image_sets"] == 2


def test_a_damaged_pack_is_named(copy: ServerProcess) -> None:
    pack = min(path for path in (copy.data / "blobs" / "packs").rglob("*") if path.is_file())
    pack.write_bytes(pack.read_bytes()[:-1])
    report = rebuilt(copy, code=1)
    assert pack.name in {loss["packId"] for loss in report["losses"]}
