"""STOW-RS requests that are committed together: each is answered for its own instances, whatever comes with it."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import pytest
import requests

from support.clients.dicomweb import part10, root, session, store, values
from support.files.synthetic import noise, slice_of, uid
from support.processes import api_processes
from support.servers import ServerProcess, active_datastore, wait_for

AT_ONCE = 8
LOST = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)
"""What a request ends with whose server is killed before it answers, or while it does."""
FEW = {"HOUNSFIELD_STORE_WORKERS": "1", "HOUNSFIELD_IMPORT_WORKERS": "1"}


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with two API processes, which commit to the same database."""
    settings = {"HOUNSFIELD_API_WORKERS": "2", **FEW}
    process = ServerProcess(tmp_path_factory.mktemp("groups") / "data", settings).start()
    yield process
    process.stop()


def at_once(calls: list[Callable[[], requests.Response]]) -> list[requests.Response]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def image_sets(server: ServerProcess, datastore_id: str) -> list[dict[str, Any]]:
    return server.client().search_image_sets(datastoreId=datastore_id)["imageSetsMetadataSummaries"]


def instances_of_series(server: ServerProcess, datastore_id: str) -> list[str]:
    url = f"{root(server, datastore_id)}/studies/{uid(1)}/series/{uid(1, 1)}/metadata"
    answer = session(server).get(url, headers={"Accept": "application/dicom+json"}, timeout=60)
    assert answer.status_code == 200, answer.text
    return sorted(values(item, "00080018")[0] for item in answer.json())


def packs(server: ServerProcess, datastore_id: str) -> int:
    return sum(path.is_file() for path in (server.data / "blobs" / "packs" / datastore_id).rglob("*"))


def document(server: ServerProcess, datastore_id: str, image_set_id: str, version: int) -> dict[str, Any]:
    answer = server.client().get_image_set_metadata(
        datastoreId=datastore_id, imageSetId=image_set_id, versionId=str(version)
    )
    return json.loads(gzip.decompress(answer["imageSetMetadataBlob"].read()))


def check_one_series_at_once(server: ServerProcess) -> None:
    datastore = active_datastore(server.client())
    files = [part10(slice_of(number=number)) for number in range(1, 25)]
    answers = at_once([lambda file=file: store(server, datastore, [file]) for file in files])
    assert {answer.status_code for answer in answers} == {200}
    for number, answer in enumerate(answers, 1):
        (item,) = values(answer.json(), "00081199")
        assert values(item, "00081155") == [uid(1, 1, number)]
        assert values(item, "00081190")[0].endswith(f"/instances/{uid(1, 1, number)}")
    (found,) = image_sets(server, datastore)
    assert found["DICOMTags"]["DICOMNumberOfStudyRelatedInstances"] == len(files)
    assert instances_of_series(server, datastore) == sorted(uid(1, 1, number) for number in range(1, 25))
    # Every version has all that the one before it had, and more.
    sizes = [
        len(document(server, datastore, found["imageSetId"], version)["Study"]["Series"][uid(1, 1)]["Instances"])
        for version in range(1, found["version"] + 1)
    ]
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == len(files)


def test_requests_of_one_series_at_once(two_processes: ServerProcess) -> None:
    check_one_series_at_once(two_processes)


def test_requests_of_one_series_at_once_on_postgresql(
    tmp_path_factory: pytest.TempPathFactory, postgresql_url: str
) -> None:
    settings = {"HOUNSFIELD_DATABASE_URL": postgresql_url, "HOUNSFIELD_API_WORKERS": "2", **FEW}
    process = ServerProcess(tmp_path_factory.mktemp("groups-postgresql") / "data", settings).start()
    try:
        check_one_series_at_once(process)
    finally:
        process.stop()


def test_bad_requests_among_good_ones(server: ServerProcess, datastore: str) -> None:
    def single(body: bytes) -> requests.Response:
        url, kind = f"{root(server, datastore)}/studies", {"Content-Type": "application/dicom"}
        return session(server).post(url, data=body, headers=kind, timeout=60)

    good = [part10(slice_of(number=number)) for number in range(1, 9)]
    calls: list[Callable[[], requests.Response]] = []
    for number, file in enumerate(good):
        calls.append(lambda file=file: store(server, datastore, [file]))
        calls.append(lambda: single(b"no DICOM at all"))
        calls.append(lambda file=file: store(server, datastore, [file], study=uid(2)))
        calls.append(
            lambda number=number: store(server, datastore, [part10(slice_of(number=100 + number, PatientID="Q"))])
        )
    answers = at_once(calls)
    assert [answer.status_code for answer in answers] == [200, 409, 409, 200] * len(good)
    for at, number in enumerate(range(1, 9)):
        assert [values(i, "00081155") for i in values(answers[4 * at].json(), "00081199")] == [[uid(1, 1, number)]]
        assert values(values(answers[4 * at + 2].json(), "00081198")[0], "00081197") == [0xA901]
    # Whichever came first is the patient of the series; every request of the other one has an image set of its own.
    found = image_sets(server, datastore)
    (primary,) = [image_set for image_set in found if image_set["isPrimary"]]
    assert primary["DICOMTags"]["DICOMNumberOfStudyRelatedInstances"] == len(good)
    assert len(found) == 1 + len(good)
    wait_for(lambda: packs(server, datastore) == 2 * len(good), "the packs of what is not stored to go")


def test_same_instance_at_once(server: ServerProcess, datastore: str) -> None:
    descriptions = [f"description {number}" for number in range(AT_ONCE)]
    files = [part10(slice_of(number=1, ImageComments=text)) for text in descriptions]
    answers = at_once([lambda file=file: store(server, datastore, [file]) for file in files])
    assert {answer.status_code for answer in answers} == {200}
    (found,) = image_sets(server, datastore)
    assert found["version"] == len(files), "each replaced the one before it"
    assert instances_of_series(server, datastore) == [uid(1, 1, 1)]
    comments = []
    for version in range(1, found["version"] + 1):
        series = document(server, datastore, found["imageSetId"], version)["Study"]["Series"][uid(1, 1)]
        (instance,) = series["Instances"].values()
        comments.append(instance["DICOM"]["ImageComments"])
    assert sorted(comments) == descriptions


def test_killed_in_the_middle(two_processes: ServerProcess) -> None:
    server = two_processes
    datastore = active_datastore(server.client())
    dice = random.Random(11)
    answered: list[int] = []

    def stored_at_last(number: int) -> None:
        file = part10(slice_of(number=number, pixels=noise(64, 64, number)))

        def once() -> bool:
            try:
                return store(server, datastore, [file]).status_code == 200
            except LOST:
                return False

        wait_for(once, f"instance {number} to be stored")
        answered.append(number)

    numbers = list(range(1, 41))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = [pool.submit(stored_at_last, number) for number in numbers]
        for after in (5, 15):
            wait_for(lambda after=after: len(answered) >= after, f"{after} instances to be stored")
            known = list(answered)
            dice.choice(wait_for(lambda: api_processes(server)[1:], "an API process to be there")).kill()
            there = wait_for(lambda: _seen(server, datastore), "the API to answer again")
            assert {uid(1, 1, number) for number in known} <= there
        for future in futures:
            future.result()
    assert instances_of_series(server, datastore) == sorted(uid(1, 1, number) for number in numbers)
    (found,) = image_sets(server, datastore)
    assert found["DICOMTags"]["DICOMNumberOfStudyRelatedInstances"] == len(numbers)


def _seen(server: ServerProcess, datastore: str) -> set[str]:
    try:
        return set(instances_of_series(server, datastore))
    except (*LOST, psutil.Error):
        return set()


def test_quota_of_metadata(server: ServerProcess, datastore: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The quota is the exact size of the metadata of two slices."""
    slices = [part10(slice_of(number=number, pixels=noise(64, 64, 1))) for number in (1, 2, 3)]
    assert store(server, datastore, slices[:2]).status_code == 200
    (found,) = image_sets(server, datastore)
    answer = server.client().get_image_set_metadata(datastoreId=datastore, imageSetId=found["imageSetId"])
    quota = len(gzip.decompress(answer["imageSetMetadataBlob"].read()))
    settings = {"HOUNSFIELD_QUOTA_METADATA_BYTES": str(quota), **FEW}
    small = ServerProcess(tmp_path_factory.mktemp("quota") / "data", settings).start()
    try:
        own = active_datastore(small.client())
        for file in (*slices[:2], slices[0]):
            assert store(small, own, [file]).status_code == 200
        before = packs(small, own)
        other = part10(slice_of(study=2))
        refused, taken = at_once([lambda file=file: store(small, own, [file]) for file in (slices[2], other)])
        assert (refused.status_code, taken.status_code) == (409, 200)
        (failed,) = values(refused.json(), "00081198")
        assert values(failed, "00081155") == [uid(1, 1, 3)]
        assert values(failed, "00081197") == [0xA700]
        assert f"the quota is {quota}" in values(failed, "00000902")[0]
        wait_for(lambda: packs(small, own) == before + 1, "the pack of what is refused to go")
        mixed = store(small, own, [slices[2], part10(slice_of(study=2, number=2))])
        assert mixed.status_code == 202
        assert [values(item, "00081155") for item in values(mixed.json(), "00081199")] == [[uid(2, 1, 2)]]
    finally:
        small.stop()
