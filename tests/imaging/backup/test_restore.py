"""A backup made beside a server at work comes back in another folder, with every answer as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.clients.dicomweb import part10, store
from support.faults.data_rules import check_data_rules
from support.files.synthetic import noise, slice_of
from support.identities.users import command
from support.imaging.imports import image_sets
from support.servers import ServerProcess, active_datastore, wait_for
from support.upgrade.answers import answers

ENVIRONMENT = {"HOUNSFIELD_IMPORT_WORKERS": "1", "HOUNSFIELD_STORE_WORKERS": "1"}
PASSPHRASE = "backup of the ward"


@pytest.fixture(scope="module")
def passphrase(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("passphrase") / "passphrase"
    path.write_text(PASSPHRASE)
    return str(path)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path_factory.mktemp("backed-up") / "data", ENVIRONMENT).start()
    fill(process)
    yield process
    process.stop()


def fill(server: ServerProcess) -> None:
    """Make image sets with versions, a copy, tags, and one that is deleted."""
    client = server.client()
    datastore = active_datastore(client, datastoreName="backed-up")
    for study in (1, 2, 3):
        files = [part10(slice_of(1, number, study=study, pixels=noise(32, 32, seed=number))) for number in (1, 2)]
        assert store(server, datastore, files).status_code == 200
    first, second, third = (entry["imageSetId"] for entry in image_sets(client, datastore))
    name = {"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientName": "Turn^Two"}}}
    client.update_image_set_metadata(
        datastoreId=datastore,
        imageSetId=first,
        latestVersionId="1",
        updateImageSetMetadataUpdates={"DICOMUpdates": {"updatableAttributes": json.dumps(name)}},
    )
    client.copy_image_set(
        datastoreId=datastore,
        sourceImageSetId=second,
        copyImageSetInformation={"sourceImageSet": {"latestVersionId": "1"}},
    )
    client.tag_resource(
        resourceArn=client.get_image_set(datastoreId=datastore, imageSetId=second)["imageSetArn"], tags={"Ward": "3"}
    )
    client.delete_image_set(datastoreId=datastore, imageSetId=third)
    wait_for(lambda: all(_is_settled(client, datastore, one) for one in (first, second)), "the changes to end")


def _is_settled(client: Any, datastore: str, image_set: str) -> bool:
    return client.get_image_set(datastoreId=datastore, imageSetId=image_set)["imageSetState"] == "ACTIVE"


def backed_up(server: ServerProcess, target: Path | str, *options: str) -> dict[str, Any]:
    result = command(server, "backup", str(target), "--json", *options)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_every_answer_is_equal(server: ServerProcess, tmp_path: Path, passphrase: str) -> None:
    made = backed_up(server, tmp_path / "backup", "--passphrase-file", passphrase)
    assert made["packs"] > 0
    before = answers(server, {})
    restored = ServerProcess(tmp_path / "restored", ENVIRONMENT)
    result = command(restored, "restore", str(tmp_path / "backup"), "--passphrase-file", passphrase)
    assert result.exit_code == 0, result.output
    check_data_rules(restored)
    restored.start()
    try:
        assert restored.key() == server.key()
        assert answers(restored, {}) == before
    finally:
        restored.stop()
    check_data_rules(restored)
