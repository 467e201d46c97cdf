"""DICOMweb on PostgreSQL, from storing to deleting: what the other tests ask of the embedded database in more detail."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
from dicomweb_client.api import DICOMwebClient
from PIL import Image
from requests import HTTPError

from support.clients.dicomweb import part10, parts, root, session, store, updated, values, web_client
from support.files.synthetic import noise, slice_of, uid
from support.imaging.imports import image_sets
from support.servers import ServerProcess, active_datastore, wait_for

STUDY, SERIES, MULTI = uid(1), uid(1, 1), uid(1, 2)
SLICES = [slice_of(number=number) for number in (1, 2, 3)]
EXPLICIT = (("application/dicom", "1.2.840.10008.1.2.1"),)
FRAMES = np.stack([noise(48, 40, seed=number) for number in range(5)])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, postgresql_url: str) -> Iterator[ServerProcess]:
    environment = {
        "HOUNSFIELD_DATABASE_URL": postgresql_url,
        "HOUNSFIELD_API_WORKERS": "2",
        "HOUNSFIELD_STORE_WORKERS": "1",
        "HOUNSFIELD_IMPORT_WORKERS": "1",
        "HOUNSFIELD_DICOMWEB_DELETE": "true",
    }
    process = ServerProcess(tmp_path_factory.mktemp("dicomweb-postgresql") / "data", environment).start()
    yield process
    process.stop()


@pytest.fixture
def datastore(server: ServerProcess) -> str:
    datastore = active_datastore(server.client())
    files = [part10(one) for one in (*SLICES, slice_of(series=2, pixels=FRAMES))]
    assert store(server, datastore, files).status_code == 200
    return datastore


@pytest.fixture
def client(server: ServerProcess, datastore: str) -> DICOMwebClient:
    return web_client(server, datastore)


def test_what_is_stored_is_found_and_comes_back_as_it_was(
    server: ServerProcess, datastore: str, client: DICOMwebClient
) -> None:
    (study,) = client.search_for_studies(search_filters={"StudyDate": "20240101-20240131", "PatientName": "ROE*"})
    assert (values(study, "0020000D"), values(study, "00201206"), values(study, "00201208")) == ([STUDY], [2], [4])
    assert {values(one, "0020000E")[0] for one in client.search_for_series(STUDY)} == {SERIES, MULTI}
    assert len(client.search_for_instances(STUDY, SERIES, search_filters={"InstanceNumber": 2})) == 1
    read = {one.SOPInstanceUID: one for one in client.retrieve_series(STUDY, SERIES, media_types=EXPLICIT)}
    assert read == {one.SOPInstanceUID: one for one in SLICES}
    assert len(client.retrieve_series_metadata(STUDY, SERIES)) == 3
    path = f"studies/{STUDY}/series/{MULTI}/instances/{uid(1, 2, 1)}/frames/2,5"
    kind = 'multipart/related; type="application/octet-stream"; transfer-syntax=1.2.840.10008.1.2.1'
    answer = session(server).get(f"{root(server, datastore)}/{path}", headers={"Accept": kind}, timeout=60)
    assert [content for _, content in parts(answer)] == [FRAMES[1].tobytes(), FRAMES[4].tobytes()]


def test_pictures_are_drawn(server: ServerProcess, datastore: str) -> None:
    for path, size in (
        (f"studies/{STUDY}/series/{SERIES}/instances/{uid(1, 1, 1)}/rendered", (64, 64)),
        (f"studies/{STUDY}/series/{MULTI}/instances/{uid(1, 2, 1)}/frames/3/rendered", (40, 48)),
    ):
        answer = session(server).get(f"{root(server, datastore)}/{path}", headers={"Accept": "image/png"}, timeout=60)
        assert answer.status_code == 200
        assert Image.open(io.BytesIO(answer.content)).size == size


def test_edits_are_in_what_is_retrieved(server: ServerProcess, datastore: str, client: DICOMwebClient) -> None:
    native = server.client()
    for image_set in image_sets(native, datastore):
        updated(
            native,
            datastore,
            image_set["imageSetId"],
            {"SchemaVersion": "1.1", "Patient": {"DICOM": {"PatientName": "Doe^Jane"}}},
        )
    assert {str(one.PatientName) for one in client.retrieve_series(STUDY, SERIES)} == {"Doe^Jane"}
    assert client.search_for_studies(search_filters={"PatientName": "Roe*"}) == []
    assert len(client.search_for_studies(search_filters={"PatientName": "Doe*"})) == 1


def test_a_new_instance_takes_the_place_of_the_old(server: ServerProcess, datastore: str) -> None:
    other = slice_of(number=2, pixels=noise(64, 64, seed=77))
    assert store(server, datastore, [part10(other)]).status_code == 200
    read = web_client(server, datastore).retrieve_instance(STUDY, SERIES, uid(1, 1, 2), media_types=EXPLICIT)
    assert read == other


def test_a_deleted_study_is_gone(client: DICOMwebClient) -> None:
    client.delete_study(STUDY)
    wait_for(lambda: client.search_for_studies() == [], "the study to be gone")
    with pytest.raises(HTTPError, match="404"):
        client.retrieve_instance(STUDY, SERIES, uid(1, 1, 1))
