"""DeleteImageSet: what can still be read, what cannot, and when the bytes go."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.files.synthetic import noise, slice_of, uid
from support.imaging.import_folders import fill, sop_instances
from support.imaging.imports import document, frame, image_sets, instances
from support.imaging.stored_series import deleted, imported, pack_files, settled, verified
from support.servers import ServerProcess, active_datastore, finished_job, start_import, wait_for


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server without grace period, whose one worker puts several files into a pack."""
    environment = {"HOUNSFIELD_RELEASE_AFTER_SECONDS": "0", "HOUNSFIELD_IMPORT_WORKERS": "1"}
    process = ServerProcess(tmp_path_factory.mktemp("hasty") / "data", environment).start()
    yield process
    process.stop()


def code(call: Any, **parameters: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


GONE = ("ResourceNotFoundException", 404)


def test_a_deleted_image_set_shows_its_end_and_nothing_else(server: ServerProcess, client: Any, datastore: str) -> None:
    (image_set,) = imported(server, client, datastore, slice_of())
    imported(server, client, datastore, slice_of(number=2))
    before = client.get_image_set(datastoreId=datastore, imageSetId=image_set)
    assert before["versionId"] == "2"
    ((_, instance), _) = instances(document(client, datastore, image_set))
    named = {"datastoreId": datastore, "imageSetId": image_set}
    frame_named = {**named, "imageFrameInformation": {"imageFrameId": instance["ImageFrames"][0]["ID"]}}

    answer = client.delete_image_set(**named)
    answer.pop("ResponseMetadata")
    assert answer == {**named, "imageSetState": "LOCKED", "imageSetWorkflowStatus": "DELETING"}
    found = settled(client, datastore, image_set)
    assert (found["imageSetState"], found["imageSetWorkflowStatus"]) == ("DELETED", "DELETED")
    assert found["versionId"] == "2"
    assert found["createdAt"] == before["createdAt"]
    assert found["deletedAt"] >= before["updatedAt"]
    assert client.get_image_set(**named, versionId="1")["imageSetState"] == "DELETED"

    assert code(client.get_image_set_metadata, **named) == GONE
    assert code(client.get_image_set_metadata, **named, versionId="1") == GONE
    assert code(client.get_image_frame, **frame_named) == GONE
    assert code(client.delete_image_set, **named) == GONE
    assert image_sets(client, datastore) == []
    criteria = {"filters": [{"operator": "EQUAL", "values": [{"DICOMSeriesInstanceUID": uid(1, 1)}]}]}
    assert client.search_image_sets(datastoreId=datastore, searchCriteria=criteria)["imageSetsMetadataSummaries"] == []


def test_only_what_is_there_can_be_deleted(server: ServerProcess, client: Any, datastore: str) -> None:
    (image_set,) = imported(server, client, datastore, slice_of())
    other = active_datastore(client)
    assert code(client.delete_image_set, datastoreId=datastore, imageSetId="0" * 32) == GONE
    assert code(client.delete_image_set, datastoreId=other, imageSetId=image_set) == GONE
    assert code(client.delete_image_set, datastoreId="0" * 32, imageSetId=image_set) == GONE
    assert settled(client, datastore, image_set)["imageSetState"] == "ACTIVE"


def test_a_series_can_come_again_after_its_deletion(server: ServerProcess, client: Any, datastore: str) -> None:
    (first,) = imported(server, client, datastore, slice_of())
    deleted(client, datastore, first)
    (second,) = imported(server, client, datastore, slice_of(PatientID="P-2"))
    assert second != first
    assert client.get_image_set(datastoreId=datastore, imageSetId=second)["isPrimary"] is True
    verified(client, datastore, second)


def test_a_data_store_can_be_deleted_when_its_image_sets_are(
    server: ServerProcess, client: Any, datastore: str
) -> None:
    (image_set,) = imported(server, client, datastore, slice_of())
    assert code(client.delete_datastore, datastoreId=datastore) == ("ConflictException", 409)
    deleted(client, datastore, image_set)
    assert client.delete_datastore(datastoreId=datastore)["datastoreStatus"] == "DELETING"


def test_the_bytes_stay_for_the_grace_period(server: ServerProcess, client: Any, datastore: str) -> None:
    first, other = imported(server, client, datastore, slice_of(), slice_of(2))
    before = pack_files(server, datastore)
    deleted(client, datastore, first)
    # A later deletion and an import have gone through the same runner, so the release had its turn.
    deleted(client, datastore, other)
    imported(server, client, datastore, slice_of(3))
    assert before
    assert before <= pack_files(server, datastore)


def test_the_bytes_go_when_the_grace_period_is_over(hasty: ServerProcess) -> None:
    client = hasty.client()
    datastore = active_datastore(client)
    (kept,) = imported(hasty, client, datastore, slice_of(2))
    packs_kept = pack_files(hasty, datastore)
    imported(hasty, client, datastore, slice_of(number=1))
    (image_set,) = imported(hasty, client, datastore, slice_of(number=1, pixels=noise(64, 64, seed=9)))
    assert client.get_image_set(datastoreId=datastore, imageSetId=image_set)["versionId"] == "2"
    assert len(pack_files(hasty, datastore)) == 3
    deleted(client, datastore, image_set)
    wait_for(lambda: pack_files(hasty, datastore) == packs_kept, "the packs of all versions to go")
    assert client.get_image_set(datastoreId=datastore, imageSetId=image_set)["imageSetState"] == "DELETED"
    verified(client, datastore, kept)


def test_a_pack_that_another_image_set_needs_stays(hasty: ServerProcess) -> None:
    """Instances of one series and one batch lie in one pack, also when a conflict parts them."""
    client = hasty.client()
    datastore = active_datastore(client)
    slices = [slice_of(number=number, PatientID=f"P-{number % 2}") for number in range(24)]
    first, second = sorted(set(imported(hasty, client, datastore, *slices)))
    assert len(pack_files(hasty, datastore)) < len(slices)
    (alone,) = imported(hasty, client, datastore, slice_of(5))
    packs = pack_files(hasty, datastore)
    deleted(client, datastore, first)
    deleted(client, datastore, alone)
    wait_for(lambda: len(pack_files(hasty, datastore)) == len(packs) - 1, "the pack of the other series to go")
    assert len(verified(client, datastore, second)) == 12
    deleted(client, datastore, second)
    wait_for(lambda: not pack_files(hasty, datastore), "the last pack to go")


@pytest.mark.parametrize("first", ["copy", "source"])
def test_a_pack_that_a_copy_needs_stays(hasty: ServerProcess, first: str) -> None:
    client = hasty.client()
    datastore = active_datastore(client)
    (source,) = imported(hasty, client, datastore, slice_of())
    answer = client.copy_image_set(
        datastoreId=datastore,
        sourceImageSetId=source,
        copyImageSetInformation={"sourceImageSet": {"latestVersionId": "1"}},
    )
    copy = answer["destinationImageSetProperties"]["imageSetId"]
    assert settled(client, datastore, copy)["imageSetWorkflowStatus"] == "COPIED"
    settled(client, datastore, source)
    one, other = (copy, source) if first == "copy" else (source, copy)
    packs = pack_files(hasty, datastore)
    assert packs
    deleted(client, datastore, one)
    (alone,) = imported(hasty, client, datastore, slice_of(2))
    deleted(client, datastore, alone)
    wait_for(lambda: pack_files(hasty, datastore) == packs, "the pack of the later set to go")
    verified(client, datastore, other)
    ((_, instance),) = instances(document(client, datastore, other))
    assert frame(client, datastore, other, instance["ImageFrames"][0]["ID"])[0]
    deleted(client, datastore, other)
    wait_for(lambda: not pack_files(hasty, datastore), "the shared pack to go")


def test_edits_that_a_copy_took_over_stay_with_it(hasty: ServerProcess) -> None:
    client = hasty.client()
    datastore = active_datastore(client)
    (source, _) = imported(hasty, client, datastore, slice_of(number=1), slice_of(number=2))

    def commented(image_set: str, version: str, comment: str) -> None:
        edit = {uid(1, 1, 1): {"DICOM": {"ImageComments": comment}}}
        correction = {"SchemaVersion": 1.1, "Study": {"Series": {uid(1, 1): {"Instances": edit}}}}
        client.update_image_set_metadata(
            datastoreId=datastore,
            imageSetId=image_set,
            latestVersionId=version,
            updateImageSetMetadataUpdates={"DICOMUpdates": {"updatableAttributes": json.dumps(correction).encode()}},
        )
        assert settled(client, datastore, image_set)["imageSetWorkflowStatus"] == "UPDATED"

    def comments(image_set: str) -> list[str | None]:
        return [entry["DICOM"].get("ImageComments") for entry in verified(client, datastore, image_set).values()]

    commented(source, "1", "first")
    packs = pack_files(hasty, datastore)
    answer = client.copy_image_set(
        datastoreId=datastore,
        sourceImageSetId=source,
        copyImageSetInformation={"sourceImageSet": {"latestVersionId": "2"}},
    )
    copy = answer["destinationImageSetProperties"]["imageSetId"]
    assert settled(client, datastore, copy)["versionId"] == "1"
    settled(client, datastore, source)
    assert comments(copy) == comments(source) == ["first", None]
    commented(copy, "1", "second")
    deleted(client, datastore, source)
    (alone,) = imported(hasty, client, datastore, slice_of(2))
    deleted(client, datastore, alone)
    wait_for(lambda: len(pack_files(hasty, datastore)) == len(packs) + 1, "the pack of the later set to go")
    assert comments(copy) == ["second", None]
    old = sop_instances(client, datastore, copy, versionId="1")[uid(1, 1, 1)]
    assert old["DICOM"]["ImageComments"] == "first"
    deleted(client, datastore, copy)
    wait_for(lambda: not pack_files(hasty, datastore), "all packs to go")


def test_what_another_file_of_its_job_replaced_goes_too(hasty: ServerProcess) -> None:
    client = hasty.client()
    datastore = active_datastore(client)
    image_set, other = imported(hasty, client, datastore, slice_of(), slice_of(pixels=noise(64, 64, seed=9)))
    assert image_set == other
    # So few files are a batch each, and have a pack each.
    assert len(pack_files(hasty, datastore)) == 2
    assert verified(client, datastore, image_set).keys() == {uid(1, 1, 1)}
    deleted(client, datastore, image_set)
    wait_for(lambda: not pack_files(hasty, datastore), "the packs to go")


def test_a_failed_job_leaves_no_pack(server: ServerProcess, client: Any, datastore: str) -> None:
    fill(server, f"failed-{datastore}", [slice_of()])
    job_id = start_import(client, datastore, f"s3://input/failed-{datastore}/", "s3://no-such-output/")
    job = finished_job(client, datastore, job_id)
    assert job["jobStatus"] == "FAILED"
    assert "output location" in job["message"]
    wait_for(lambda: not pack_files(server, datastore), "the packs to go")
