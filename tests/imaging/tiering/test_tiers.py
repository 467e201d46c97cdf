"""Storage tiers: what counts as access, when an image set is archived, and what it costs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from hounsfield.bootstrap.image_store import open_image_store
from hounsfield.imaging.last_access import AccessWriter, PendingAccesses
from hounsfield.settings import Settings
from support.files.synthetic import slice_of
from support.imaging.imports import document
from support.imaging.stored_series import deleted, imported, settled
from support.imaging.tiers import (
    ARCHIVED,
    FREQUENT,
    QUICK,
    Bell,
    accessed,
    archived,
    comes_to,
    frame_ids,
    frames,
    rested,
    summary,
    tier,
)
from support.servers import ServerProcess, active_datastore, wait_for


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path_factory.mktemp("tiers") / "data", QUICK).start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def client(quick: ServerProcess) -> Any:
    return quick.client()


@pytest.fixture(scope="module")
def wakeup(quick: ServerProcess, client: Any) -> Bell:
    return Bell(quick, client)


@pytest.fixture
def datastore(client: Any) -> str:
    return active_datastore(client)


def _update(client: Any, datastore: str, image_set: str) -> None:
    edit = {"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientName": "Doe^John"}}}
    client.update_image_set_metadata(
        datastoreId=datastore,
        imageSetId=image_set,
        latestVersionId="1",
        updateImageSetMetadataUpdates={"DICOMUpdates": {"updatableAttributes": json.dumps(edit).encode()}},
    )


def _copy(client: Any, datastore: str, source: str, **information: Any) -> str:
    answer = client.copy_image_set(
        datastoreId=datastore,
        sourceImageSetId=source,
        copyImageSetInformation={"sourceImageSet": {"latestVersionId": "1"}, **information},
    )
    into = answer["destinationImageSetProperties"]["imageSetId"]
    assert settled(client, datastore, into)["imageSetWorkflowStatus"] == "COPIED"
    settled(client, datastore, source)
    return str(into)


def test_a_new_image_set_is_in_frequent_access(quick: ServerProcess, client: Any, datastore: str) -> None:
    (image_set,) = imported(quick, client, datastore, slice_of())
    found = client.get_image_set(datastoreId=datastore, imageSetId=image_set)
    assert found["storageTier"] == FREQUENT
    assert found["lastAccessedAt"] >= found["createdAt"]
    listed = summary(client, datastore, image_set)
    assert (listed["storageTier"], listed["lastAccessedAt"]) == (FREQUENT, found["lastAccessedAt"])


def _read_metadata(server: ServerProcess, client: Any, datastore: str, image_set: str, ids: list[str]) -> None:
    document(client, datastore, image_set)


def _read_frame(server: ServerProcess, client: Any, datastore: str, image_set: str, ids: list[str]) -> None:
    frames(client, datastore, image_set, ids)


def _write_update(server: ServerProcess, client: Any, datastore: str, image_set: str, ids: list[str]) -> None:
    _update(client, datastore, image_set)


def _write_import(server: ServerProcess, client: Any, datastore: str, image_set: str, ids: list[str]) -> None:
    assert imported(server, client, datastore, slice_of(number=2)) == [image_set]


@pytest.mark.parametrize("access", [_read_metadata, _read_frame, _write_update, _write_import])
def test_an_access_brings_an_archived_image_set_back(
    quick: ServerProcess,
    client: Any,
    datastore: str,
    wakeup: Bell,
    access: Callable[[ServerProcess, Any, str, str, list[str]], None],
) -> None:
    (image_set,) = imported(quick, client, datastore, slice_of())
    ids = frame_ids(client, datastore, image_set)
    wakeup.wait()
    before = accessed(client, datastore, image_set)
    archived(quick, client, datastore, image_set)
    assert summary(client, datastore, image_set)["storageTier"] == ARCHIVED
    assert accessed(client, datastore, image_set) < before
    access(quick, client, datastore, image_set, ids)
    comes_to(client, datastore, image_set, FREQUENT)
    settled(client, datastore, image_set)
    assert accessed(client, datastore, image_set) >= before
    listed = summary(client, datastore, image_set)
    assert (listed["storageTier"], listed["lastAccessedAt"]) == (FREQUENT, accessed(client, datastore, image_set))


def test_a_copy_touches_only_what_it_makes(quick: ServerProcess, client: Any, datastore: str) -> None:
    (source,) = imported(quick, client, datastore, slice_of())
    (other,) = imported(quick, client, datastore, slice_of(number=2, PatientID="P-2"))
    (third,) = imported(quick, client, datastore, slice_of(number=3, PatientID="P-2"))
    archived(quick, client, datastore, source, other, third)
    at_rest = accessed(client, datastore, source)
    copy = _copy(client, datastore, source)
    assert tier(client, datastore, copy) == FREQUENT
    into = _copy(client, datastore, third, destinationImageSet={"imageSetId": other, "latestVersionId": "1"})
    assert into == other
    assert tier(client, datastore, other) == FREQUENT
    for untouched in (source, third):
        assert tier(client, datastore, untouched) == ARCHIVED
    assert accessed(client, datastore, source) == at_rest


def test_what_is_no_access_changes_nothing(quick: ServerProcess, client: Any, datastore: str, wakeup: Bell) -> None:
    image_set, other = imported(quick, client, datastore, slice_of(), slice_of(2))
    (foreign,) = frame_ids(client, datastore, other)
    wakeup.wait()
    archived(quick, client, datastore, image_set, other)
    at_rest = accessed(client, datastore, image_set)
    named = {"datastoreId": datastore, "imageSetId": image_set}
    client.get_image_set(**named)
    client.list_image_set_versions(**named)
    client.search_image_sets(datastoreId=datastore, searchCriteria={})
    client.list_datastores()
    arn = client.get_image_set(**named)["imageSetArn"]
    client.tag_resource(resourceArn=arn, tags={"a": "b"})
    client.list_tags_for_resource(resourceArn=arn)
    client.untag_resource(resourceArn=arn, tagKeys=["a"])
    for call in (
        lambda: client.get_image_frame(**named, imageFrameInformation={"imageFrameId": foreign}),
        lambda: client.get_image_frame(**named, imageFrameInformation={"imageFrameId": "0" * 32}),
        lambda: client.get_image_set_metadata(**named, versionId="7"),
    ):
        with pytest.raises(ClientError):
            call()
    wakeup.wait()
    assert (tier(client, datastore, image_set), accessed(client, datastore, image_set)) == (ARCHIVED, at_rest)
    deleted(client, datastore, image_set)
    assert (tier(client, datastore, image_set), accessed(client, datastore, image_set)) == (ARCHIVED, at_rest)


def test_an_access_is_written_once_an_hour(quick: ServerProcess, client: Any, datastore: str, wakeup: Bell) -> None:
    fresh, stale = imported(quick, client, datastore, slice_of(), slice_of(2))
    before = accessed(client, datastore, fresh)
    rested(quick, stale, days=2 / 24)
    for image_set in (fresh, stale):
        document(client, datastore, image_set)
    wakeup.wait()
    assert accessed(client, datastore, stale) > before
    assert accessed(client, datastore, fresh) == before


def test_image_sets_are_archived_in_time_and_accesses_are_written_at_the_end(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """With half a second for 30 days nothing needs to be put back in time."""
    hasty = {**QUICK, "HOUNSFIELD_ARCHIVE_AFTER_DAYS": str(0.5 / 86400)}
    server = ServerProcess(tmp_path_factory.mktemp("in-time") / "data", hasty).start()
    try:
        client = server.client()
        datastore = active_datastore(client)
        (image_set,) = imported(server, client, datastore, slice_of())
        comes_to(client, datastore, image_set, ARCHIVED)
        first = accessed(client, datastore, image_set)
        for _ in range(2):
            document(client, datastore, image_set)
            wait_for(lambda seen=first: accessed(client, datastore, image_set) > seen, "the access to be written")
            first = accessed(client, datastore, image_set)
            comes_to(client, datastore, image_set, ARCHIVED)
        server.stop()
        server.environment = {"HOUNSFIELD_ACCESS_FLUSH_SECONDS": "3600"}
        server.start()
        document(client, datastore, image_set)
        assert tier(client, datastore, image_set) == ARCHIVED
        server.stop()
        server.start()
        assert tier(client, datastore, image_set) == FREQUENT
        assert accessed(client, datastore, image_set) > first
    finally:
        server.stop()


def test_time_never_runs_backwards_and_deleted_sets_stay_as_they_are(
    quick: ServerProcess, client: Any, datastore: str
) -> None:
    """Two API processes write what they saw in whatever order."""
    image_set, gone = imported(quick, client, datastore, slice_of(), slice_of(2))
    deleted(client, datastore, gone)
    ends = accessed(client, datastore, gone)
    image_store, _ = open_image_store(Settings(data=quick.data))
    notes = PendingAccesses()
    writer = AccessWriter(image_store.database, notes, every_seconds=3600, precision_seconds=0)
    start = int(accessed(client, datastore, image_set).timestamp() * 1000) + 60_000
    for later, shown in ((30_000, 30_000), (10_000, 30_000), (40_000, 40_000)):
        notes.put_back({image_set: start + later, gone: start + later, "0" * 32: start})
        writer.flush()
        assert notes.take() == {}
        assert round(accessed(client, datastore, image_set).timestamp() * 1000) == start + shown
    assert accessed(client, datastore, gone) == ends
    image_store.database.close()


def test_notes_are_bounded_and_the_first_to_come_stay() -> None:
    notes = PendingAccesses(most=3)
    for name in ("a", "b", "c", "d", "a"):
        notes.touch(name)
    notes.put_back({"e": 1, "a": 1})
    taken = notes.take()
    assert set(taken) == {"a", "b", "c"}
    assert taken["a"] >= taken["c"] > 1
    notes.put_back({"e": 1})
    notes.touch("f")
    assert notes.take()["e"] == 1
