"""The connection to PostgreSQL is lost while a request or an import commits: done once, or refused and never half done."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.clients.dicomweb import part10, store
from support.faults.cut_postgresql import Cut, CutPostgresql, cut_postgresql
from support.faults.data_rules import check_data_rules
from support.files.synthetic import noise, slice_of, uid
from support.imaging.import_folders import check_counters, fill, import_folder
from support.imaging.imports import image_sets
from support.imaging.stored_series import verified
from support.servers import ServerProcess, active_datastore, wait_for


@pytest.fixture(scope="module")
def proxy(postgresql_url: str) -> Iterator[CutPostgresql]:
    with cut_postgresql(postgresql_url) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, proxy: CutPostgresql) -> Iterator[ServerProcess]:
    environment = {
        "HOUNSFIELD_DATABASE_URL": proxy.url,
        "HOUNSFIELD_DATABASE_WAIT_SECONDS": "2",
        "HOUNSFIELD_LEASE_SECONDS": "3",
    }
    server = ServerProcess(tmp_path_factory.mktemp("lost-commits") / "data", environment).start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> Any:
    return server.client()


@pytest.fixture(scope="module")
def datastore(client: Any) -> str:
    return active_datastore(client)


@pytest.mark.parametrize(("study", "cut"), [(1, Cut.AFTER), (2, Cut.BEFORE)])
def test_what_is_stored_is_stored_once(
    server: ServerProcess, client: Any, datastore: str, proxy: CutPostgresql, study: int, cut: Cut
) -> None:
    proxy.arm(cut, within=uid(study, 1, 1).encode())
    assert store(server, datastore, [part10(slice_of(study=study))]).status_code == 200
    (found,) = [entry for entry in image_sets(client, datastore) if _study(entry) == uid(study)]
    assert found["version"] == 1
    assert verified(client, datastore, found["imageSetId"]).keys() == {uid(study, 1, 1)}


def test_what_nobody_knows_to_be_stored_keeps_its_packs(
    server: ServerProcess, client: Any, datastore: str, proxy: CutPostgresql
) -> None:
    proxy.arm(Cut.GONE, within=uid(3, 1, 1).encode())
    answer = store(server, datastore, [part10(slice_of(study=3))])
    assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
    assert "CommitUnknownError" in server.log_text()
    proxy.closed = False
    found = wait_for(lambda: _found(client, datastore, uid(3)), "the database to be back")
    assert verified(client, datastore, found["imageSetId"]).keys() == {uid(3, 1, 1)}


@pytest.mark.parametrize("cut", [Cut.AFTER, Cut.BEFORE])
def test_a_request_is_carried_out_once(client: Any, proxy: CutPostgresql, cut: Cut) -> None:
    before = len(client.list_datastores()["datastoreSummaries"])
    name = f"cut-{cut.name.lower()}"
    proxy.arm(cut, within=name.encode())
    client.create_datastore(datastoreName=name)
    assert len(client.list_datastores()["datastoreSummaries"]) == before + 1


def test_a_request_is_refused_where_its_outcome_is_unknown(client: Any, proxy: CutPostgresql) -> None:
    proxy.arm(Cut.GONE, within=b"cut-gone")
    with pytest.raises(ClientError) as caught:
        client.create_datastore(datastoreName="cut-gone")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert "as a whole or not at all" in str(caught.value)
    proxy.closed = False
    stores = wait_for(lambda: _datastores(client), "the database to be back")
    assert [entry["datastoreName"] for entry in stores].count("cut-gone") == 1


@pytest.mark.parametrize(("study", "cut"), [(4, Cut.AFTER), pytest.param(5, Cut.BEFORE, marks=pytest.mark.slow)])
def test_an_import_goes_on(
    server: ServerProcess, client: Any, datastore: str, proxy: CutPostgresql, study: int, cut: Cut
) -> None:
    name = f"cut-import-{study}"
    fill(server, name, [slice_of(number=n, study=study, pixels=noise(64, 64, seed=n)) for n in range(6)])
    cuts = proxy.cuts
    proxy.arm(cut, within=uid(study, 1, 1).encode())
    outcome = import_folder(server, client, datastore, name)
    assert proxy.cuts == cuts + 1
    check_counters(outcome)
    assert (outcome.failure, len(outcome.success)) == ([], 6)
    (image_set,) = {line["importResponse"]["imageSetId"] for line in outcome.success}
    assert client.get_image_set(datastoreId=datastore, imageSetId=image_set)["versionId"] == "1"
    assert len(verified(client, datastore, image_set)) == 6


@pytest.mark.slow
def test_the_data_is_whole(server: ServerProcess) -> None:
    check_data_rules(server)


def _study(entry: dict[str, Any]) -> str:
    return str(entry["DICOMTags"]["DICOMStudyInstanceUID"])


def _found(client: Any, datastore: str, study: str) -> dict[str, Any] | None:
    try:
        return next((entry for entry in image_sets(client, datastore) if _study(entry) == study), None)
    except ClientError:
        return None


def _datastores(client: Any) -> list[dict[str, Any]] | None:
    try:
        return list(client.list_datastores()["datastoreSummaries"])
    except ClientError:
        return None
