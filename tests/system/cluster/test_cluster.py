"""A server whose work is done by two workers of a Dask cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from support.clients.dicomweb import part10, store
from support.files.synthetic import noise, slice_of
from support.identities.users import command
from support.imaging.import_folders import check_counters, fill, import_folder
from support.processes import store_workers, workers
from support.servers import ServerProcess, active_datastore, wait_for
from support.services.dask_cluster import DaskCluster, dask_cluster, joined


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    with dask_cluster(tmp_path_factory.mktemp("cluster"), "first", "second") as started:
        yield started


@pytest.fixture(scope="module")
def server(cluster: DaskCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    environment = {**cluster.environment(), "HOUNSFIELD_STORE_WORKERS": "1"}
    process = ServerProcess(tmp_path_factory.mktemp("with-cluster") / "data", environment).start()
    yield process
    process.stop()


def test_an_import_is_shared_by_both_workers(server: ServerProcess, cluster: DaskCluster) -> None:
    client = server.client()
    datastore = active_datastore(client)
    folder = fill(server, "shared", (slice_of(number=number) for number in range(1, 33)))
    (folder / "broken.dcm").write_bytes(b"no DICOM")
    wait_for(lambda: all(joined(server.log_text(), name) for name in ("first", "second")), "both workers to join")
    outcome = import_folder(server, client, datastore, "shared")
    check_counters(outcome)
    assert (len(outcome.success), len(outcome.failure)) == (32, 1)
    assert all(cluster.task_processes(name) for name in ("first", "second"))
    assert workers(server) == []


def test_what_is_stored_is_theirs_too(server: ServerProcess) -> None:
    datastore = active_datastore(server.client())
    assert store(server, datastore, [part10(slice_of(study=2))]).status_code == 200
    assert store_workers(server) == []


@pytest.mark.slow
def test_what_is_spooled_stays_on_its_machine(server: ServerProcess) -> None:
    datastore = active_datastore(server.client())
    large = part10(slice_of(study=3, pixels=noise(1100, 1100)))
    assert store(server, datastore, [large, part10(slice_of(study=3, number=2))]).status_code == 200
    assert store_workers(server) != []


def test_they_verify_and_nothing_shows_names_or_keys(server: ServerProcess, cluster: DaskCluster) -> None:
    # As `check_data_rules` does it, by the cluster.
    result = command(server, "verify", "--json")
    assert (result.exit_code, json.loads(result.stdout)["findings"]) == (0, []), result.stderr
    assert "not used" not in result.stderr
    status = json.loads(command(server, "status", "--json").stdout)["executor"]
    assert (status["kind"], status["threads"]) == ("dask", 2)
    assert sorted((worker["name"], worker["fault"]) for worker in status["workers"]) == [("first", ""), ("second", "")]
    told = server.log_text() + cluster.log_text()
    for secret in ("Roe", "P-1", "shared/0", "secret=", "DataKey", "broken.dcm"):
        assert secret not in told, secret
