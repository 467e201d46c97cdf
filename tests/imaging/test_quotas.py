"""Quotas with small settings: as much as is allowed is done, one more is refused and changes nothing."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.faults.suspended_runner import suspended
from support.files.synthetic import slice_of, uid
from support.imaging.stored_series import settled
from support.imaging.updates import Store, patient, study
from support.processes import runners
from support.servers import ServerProcess, active_datastore, wait_for

QUOTA = ("ServiceQuotaExceededException", 402)
BUSY = ("ThrottlingException", 429)
INVALID = ("ValidationException", 400)
DATASTORES, UNDER_WAY, FRAMES, BYTES, TAGS = 3, 2, 3, 200, 3


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with small quotas."""
    quotas = {
        "DATASTORES": DATASTORES,
        "COPIES": UNDER_WAY,
        "UPDATES": UNDER_WAY,
        "DELETES": UNDER_WAY,
        "COPY_FRAMES": FRAMES,
        "UPDATE_BYTES": BYTES,
        "TAGS": TAGS,
    }
    environment = {f"HOUNSFIELD_QUOTA_{name}": str(value) for name, value in quotas.items()}
    process = ServerProcess(tmp_path_factory.mktemp("quotas") / "data", environment).start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def store(small: ServerProcess) -> Store:
    return Store(small, small.client())


def refused(call: Callable[..., Any], *arguments: Any, **named: Any) -> tuple[tuple[str, int], str]:
    with pytest.raises(ClientError) as caught:
        call(*arguments, **named)
    response = caught.value.response
    code = (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"])
    return code, response["Error"]["Message"]


def copy(store: Store, source: str, into: str | None = None, *, only: list[str] | None = None) -> str:
    """Ask for a copy of the latest version; return the destination."""
    information: dict[str, Any] = {"sourceImageSet": {"latestVersionId": store.get(source)["versionId"]}}
    if into is not None:
        destination = {"imageSetId": into, "latestVersionId": store.get(into)["versionId"]}
        information["destinationImageSet"] = destination
    if only is not None:
        series = next(iter(only))[:-5]  # the beginning of `synthetic.uid`
        chosen = {"Study": {"Series": {series: {"Instances": {name: {} for name in only}}}}}
        information["sourceImageSet"]["DICOMCopies"] = {"copiableAttributes": json.dumps(chosen)}
    answer = store.client.copy_image_set(
        datastoreId=store.id, sourceImageSetId=source, copyImageSetInformation=information
    )
    return str(answer["destinationImageSetProperties"]["imageSetId"])


def copied(store: Store, *arguments: Any, **named: Any) -> str:
    """Copy to a success; return the destination."""
    source, *_ = arguments
    destination = copy(store, *arguments, **named)
    store.settled(source)
    assert store.settled(destination)["imageSetWorkflowStatus"] == "COPIED"
    return destination


def delete(store: Store, image_set: str) -> Any:
    return store.client.delete_image_set(datastoreId=store.id, imageSetId=image_set)


@contextmanager
def standing_still(server: ServerProcess) -> Iterator[None]:
    """Keep what is under way from ending."""
    runner = suspended(server)
    try:
        yield
    finally:
        runner.resume()


def untouched(store: Store, *image_sets: str) -> None:
    for image_set in image_sets:
        found = store.get(image_set)
        assert (found["versionId"], found["imageSetState"]) == ("1", "ACTIVE")


def test_data_stores_of_an_account(small: ServerProcess, store: Store) -> None:
    client = small.client(max_pool_connections=10)

    def attempt(_: int) -> str | None:
        try:
            return str(client.create_datastore()["datastoreId"])
        except client.exceptions.ServiceQuotaExceededException:
            return None

    with ThreadPoolExecutor(6) as threads:
        made = [identifier for identifier in threads.map(attempt, range(6)) if identifier is not None]
    assert len(made) == DATASTORES - 1
    listed = {entry["datastoreId"] for entry in client.list_datastores()["datastoreSummaries"]}
    assert listed == {store.id, *made}
    token = {"clientToken": "again"}
    assert refused(client.create_datastore, **token) == (QUOTA, "the account has 3 data stores, its quota is 3")

    def status(identifier: str) -> str:
        return str(client.get_datastore(datastoreId=identifier)["datastoreProperties"]["datastoreStatus"])

    for gone in made:
        wait_for(lambda gone=gone: status(gone) == "ACTIVE", "the data store to become ACTIVE")
        client.delete_datastore(datastoreId=gone)
        wait_for(lambda gone=gone: status(gone) == "DELETED", "the data store to be DELETED")
    once, *again = (client.create_datastore(**token)["datastoreId"] for _ in range(3))
    assert again == [once, once]
    active_datastore(client)
    assert refused(client.create_datastore)[0] == QUOTA
    assert client.create_datastore(**token)["datastoreId"] == once


def test_updates_under_way(small: ServerProcess, store: Store) -> None:
    one, two, three = store.imported(*(slice_of(number) for number in (1, 2, 3)))
    change = patient(PatientComments="x")
    with standing_still(small):
        for image_set in (one, two):
            store.ask(image_set, "1", update=change)
        code, message = refused(store.ask, three, "1", update=change)
        assert code == QUOTA
        assert f"data store {store.id} has 2 updates under way, its quota is 2" in message
        untouched(store, three)
        other_kind = copy(store, three)
    for image_set in (one, two):
        assert store.settled(image_set)["imageSetWorkflowStatus"] == "UPDATED"
    store.settled(other_kind)
    store.updated(three, "1", update=change)


def test_copies_under_way(small: ServerProcess, store: Store) -> None:
    one, two, three = store.imported(*(slice_of(number, study=2) for number in (1, 2, 3)))
    with standing_still(small):
        begun = [copy(store, image_set) for image_set in (one, two)]
        before = {entry["imageSetId"] for entry in _all(store)}
        code, message = refused(copy, store, three)
        assert code == QUOTA
        assert "has 2 copies under way, its quota is 2" in message
        assert {entry["imageSetId"] for entry in _all(store)} == before
        untouched(store, three)
    for image_set in (one, two, *begun):
        store.settled(image_set)
    copied(store, three)


def _all(store: Store) -> list[dict[str, Any]]:
    pages = store.client.get_paginator("search_image_sets").paginate(datastoreId=store.id, searchCriteria={})
    return [entry for page in pages for entry in page["imageSetsMetadataSummaries"]]


def test_deletions_under_way(small: ServerProcess, store: Store) -> None:
    image_sets = store.imported(*(slice_of(number, study=3) for number in range(1, 7)))
    client = small.client(max_pool_connections=10)
    told: list[str] = []

    def attempt(image_set: str) -> bool:
        try:
            client.delete_image_set(datastoreId=store.id, imageSetId=image_set)
        except client.exceptions.ThrottlingException as error:
            told.append(error.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"])
            return False
        return True

    with standing_still(small):
        with ThreadPoolExecutor(6) as threads:
            begun = list(threads.map(attempt, image_sets))
        assert sum(begun) == UNDER_WAY
        assert told == ["1"] * 4
        left = [image_set for image_set, gone in zip(image_sets, begun, strict=True) if not gone]
        code, message = refused(delete, store, left[0])
        assert code == BUSY
        assert "has 2 deletions under way, its quota is 2" in message
        untouched(store, *left)
    for image_set, gone in zip(image_sets, begun, strict=True):
        assert settled(store.client, store.id, image_set)["imageSetState"] == ("DELETED" if gone else "ACTIVE")
    delete(store, left[0])


def test_a_deletion_that_waits_its_turn_succeeds_with_a_client_that_tries_again(
    small: ServerProcess, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_RETRY_MODE", "standard")
    client = small.client(retrying=True)
    one, two, three = store.imported(*(slice_of(number, study=4) for number in (1, 2, 3)))
    with standing_still(small):
        for image_set in (one, two):
            delete(store, image_set)
        with ThreadPoolExecutor(1) as thread:
            third = thread.submit(client.delete_image_set, datastoreId=store.id, imageSetId=three)
            assert refused(delete, store, three)[0] == BUSY
            (runner,) = runners(small)
            runner.resume()
            third.result()
    assert settled(store.client, store.id, three)["imageSetState"] == "DELETED"


def test_image_frames_of_a_copy(store: Store) -> None:
    image_set = store.imported(*(slice_of(number=number, study=5) for number in range(1, FRAMES + 2)))[0]
    uids = [uid(5, 1, number) for number in range(1, FRAMES + 2)]
    assert refused(copy, store, image_set) == (QUOTA, "the copy has 4 image frames, the quota is 3")
    untouched(store, image_set)
    assert store.summary(copied(store, image_set, only=uids[:FRAMES]))["isPrimary"] is False


def test_payload_of_an_update(store: Store) -> None:
    image_set = store.imported(slice_of(study=6))[0]
    update = json.dumps(patient(PatientComments="x")).encode()
    remove = json.dumps(patient(PatientSex="")).encode()
    padded = update.ljust(BYTES - len(remove))
    assert refused(store.ask, image_set, "1", update=padded + b" ", remove=remove) == (
        QUOTA,
        "the update has 201 bytes, the quota is 200",
    )
    untouched(store, image_set)
    found = store.updated(image_set, "1", update=padded, remove=remove)["Patient"]["DICOM"]
    assert found["PatientComments"] == "x"
    assert "PatientSex" not in found


def test_tags_of_a_resource(small: ServerProcess, store: Store) -> None:
    arn = store.client.get_datastore(datastoreId=store.id)["datastoreProperties"]["datastoreArn"]
    allowed = {f"key-{number}": "x" for number in range(TAGS)}
    tag = store.client.tag_resource
    tag(resourceArn=arn, tags=allowed)
    assert refused(tag, resourceArn=arn, tags={"one": "more"}) == (
        INVALID,
        "the resource would have 4 tags, a resource can have 3",
    )
    assert store.client.list_tags_for_resource(resourceArn=arn)["tags"] == allowed
    code, message = refused(store.client.create_datastore, tags={**allowed, "one": "more"})
    assert (code, message) == (INVALID, "tags has 4 entries, a resource can have 3")


def test_limits_of_the_model_stand_whatever_the_quotas(server: ServerProcess) -> None:
    """AWS's quota of 10 KB on a payload is below the limit of the model, 30,000 bytes for each blob."""
    store = Store(server, server.client(parameter_validation=False))
    image_set = store.imported(slice_of(study=7))[0]
    update = json.dumps(patient(PatientComments="x")).encode()
    for size, expected in ((0, INVALID), (30_001, INVALID), (30_000, QUOTA), (10 * 1024 + 1, QUOTA)):
        assert refused(store.ask, image_set, "1", update=update.ljust(size) if size else b"")[0] == expected, size
    chosen = json.dumps({"Study": {"Series": {uid(7, 1): {"Instances": {uid(7, 1, 1): {}}}}}})

    def ask(copiable: str) -> Any:
        source = {"latestVersionId": "1", "DICOMCopies": {"copiableAttributes": copiable}}
        return store.client.copy_image_set(
            datastoreId=store.id, sourceImageSetId=image_set, copyImageSetInformation={"sourceImageSet": source}
        )

    for copiable in ("", chosen.ljust(260_001)):
        code, message = refused(ask, copiable)
        assert code == INVALID
        assert "copiableAttributes" in message
    untouched(store, image_set)
    store.updated(image_set, "1", update=update.ljust(10 * 1024))
    source = {"latestVersionId": "2", "DICOMCopies": {"copiableAttributes": chosen.ljust(260_000)}}
    store.client.copy_image_set(
        datastoreId=store.id, sourceImageSetId=image_set, copyImageSetInformation={"sourceImageSet": source}
    )
    store.settled(image_set)


class Documents:
    """A server whose quota of metadata is the exact size of a document of two slices with `FITTING` as description."""

    FITTING = "H" * 20
    TOO_LONG = "H" * 21

    def __init__(self, store: Store) -> None:
        self.store = store

    def two_slices(self, number: int, description: str, **elements: Any) -> str:
        slices = (slice_of(number=slice_, study=number, StudyDescription=description, **elements) for slice_ in (1, 2))
        return self.store.imported(*slices)[0]

    def size(self, image_set: str) -> int:
        answer = self.store.client.get_image_set_metadata(datastoreId=self.store.id, imageSetId=image_set)
        return len(gzip.decompress(answer["imageSetMetadataBlob"].read()))

    def refused(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> None:
        """Check that something is refused because it would be one byte too much."""
        code, message = refused(call, *arguments, **named)
        assert code == QUOTA
        assert message == (
            f"the metadata of the image set would have {self.quota + 1} bytes, the quota is {self.quota}"
        )

    quota = 0


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Documents, Any]]:
    """Image sets made without quotas, then the server started anew with one."""
    environment = {f"HOUNSFIELD_QUOTA_{name}": "0" for name in ("METADATA_BYTES", "TAGS", "DATASTORES")}
    server = ServerProcess(tmp_path_factory.mktemp("metadata") / "data", environment).start()
    try:
        documents = Documents(Store(server, server.client()))
        store = documents.store
        arn = store.client.get_datastore(datastoreId=store.id)["datastoreProperties"]["datastoreArn"]
        store.client.tag_resource(resourceArn=arn, tags={f"key-{number}": "x" for number in range(60)})
        sets = {
            "fits": documents.two_slices(1, documents.FITTING),
            "over": documents.two_slices(2, documents.TOO_LONG),
            "level": documents.two_slices(3, "Head"),
            "instance": documents.two_slices(4, documents.FITTING),
            "back": documents.two_slices(5, documents.TOO_LONG),
            "study": documents.two_slices(6, "Head"),
        }
        single = slice_of(2, study=6, StudyDescription="Head")
        sets["sibling"] = store.imported(single)[0]
        documents.quota = documents.size(sets["fits"])
        assert documents.size(sets["over"]) == documents.quota + 1
        store.updated(sets["back"], "1", update=study(StudyDescription=documents.FITTING))
        server.stop()
        server.environment["HOUNSFIELD_QUOTA_METADATA_BYTES"] = str(documents.quota)
        server.start()
        yield documents, sets
    finally:
        server.stop()


def test_metadata_after_an_update_of_a_level(prepared: tuple[Documents, Any]) -> None:
    documents, sets = prepared
    image_set = sets["level"]
    change = study(StudyDescription=documents.TOO_LONG)
    documents.refused(documents.store.ask, image_set, "1", update=change)
    untouched(documents.store, image_set)
    documents.store.updated(image_set, "1", update=study(StudyDescription=documents.FITTING))
    assert documents.size(image_set) == documents.quota
    removal = {"Study": {"Series": {uid(3, 1): {"Instances": {uid(3, 1, 1): {}}}}}}
    found = documents.store.updated(image_set, "2", update=change, remove=removal, force=True)
    assert found["Study"]["DICOM"]["StudyDescription"] == documents.TOO_LONG
    assert documents.size(image_set) < documents.quota


def test_metadata_after_an_update_of_an_instance(prepared: tuple[Documents, Any]) -> None:
    """How large an instance becomes is known when its content is read: the attempt has taken a version."""
    documents, sets = prepared
    store, image_set = documents.store, sets["instance"]

    def number(text: str) -> dict[str, Any]:
        instances = {uid(4, 1, 1): {"DICOM": {"InstanceNumber": text}}}
        return {"Study": {"Series": {uid(4, 1): {"Instances": instances}}}}

    before = store.document(image_set)
    failed = store.change(image_set, "1", update=number("111"))
    assert (failed["imageSetWorkflowStatus"], failed["versionId"]) == ("UPDATE_FAILED", "2")
    assert failed["message"] == (
        "SERVICE_QUOTA_EXCEEDED: the metadata of the image set would have "
        f"{documents.quota + 1} bytes, the quota is {documents.quota}"
    )
    assert store.document(image_set) == before
    shorter = {**number("111"), "Patient": {"DICOM": {"PatientID": "P"}}}
    store.updated(image_set, "2", update=shorter)
    assert documents.size(image_set) == documents.quota - 1


def test_metadata_after_going_back(prepared: tuple[Documents, Any]) -> None:
    documents, sets = prepared
    store, image_set = documents.store, sets["back"]
    documents.refused(store.ask, image_set, "2", revert="1")
    found = store.get(image_set)
    assert (found["versionId"], found["imageSetState"]) == ("2", "ACTIVE")
    store.updated(image_set, "2", update=study(StudyDescription="Head"))
    store.updated(image_set, "3", revert="2")
    assert documents.size(image_set) == documents.quota


def test_metadata_of_the_other_image_sets_of_a_study(prepared: tuple[Documents, Any]) -> None:
    """The image set that is named has one slice and room; its sibling has not."""
    documents, sets = prepared
    store, named, sibling = documents.store, sets["sibling"], sets["study"]
    change = study(StudyDescription=documents.TOO_LONG)
    documents.refused(store.ask, named, "1", update=change, includeStudyImageSets=True)
    untouched(store, named, sibling)
    store.updated(named, "1", update=study(StudyDescription=documents.FITTING), includeStudyImageSets=True)
    store.settled(sibling)
    assert documents.size(sibling) == documents.quota


def test_metadata_after_a_copy(prepared: tuple[Documents, Any]) -> None:
    documents, sets = prepared
    store, fits, over = documents.store, sets["fits"], sets["over"]
    documents.refused(copy, store, over)
    untouched(store, over)
    assert documents.size(copied(store, fits)) == documents.quota
    parts = {source: copied(store, source, only=[uid(number, 1, 1)]) for number, source in ((1, fits), (2, over))}
    documents.refused(copy, store, over, parts[over], only=[uid(2, 1, 2)])
    untouched(store, over, parts[over])
    assert copied(store, fits, parts[fits], only=[uid(1, 1, 2)]) == parts[fits]
    assert documents.size(parts[fits]) == documents.quota


def test_on_postgresql_requests_at_once_do_not_go_beyond(tmp_path: Any, postgresql_url: str) -> None:
    quotas = {"HOUNSFIELD_QUOTA_DATASTORES": "3", "HOUNSFIELD_QUOTA_UPDATES": "2", "HOUNSFIELD_QUOTA_DELETES": "2"}
    server = ServerProcess(tmp_path / "data", {"HOUNSFIELD_DATABASE_URL": postgresql_url, **quotas}).start()
    try:
        client = server.client(max_pool_connections=10)
        store = Store(server, client)
        image_sets = store.imported(*(slice_of(number) for number in range(1, 13)))

        def done(call: Callable[..., Any], *arguments: Any, **named: Any) -> bool:
            try:
                call(*arguments, **named)
            except (client.exceptions.ServiceQuotaExceededException, client.exceptions.ThrottlingException):
                return False
            return True

        with standing_still(server), ThreadPoolExecutor(6) as threads:
            made = list(threads.map(lambda _: done(client.create_datastore), range(6)))
            change = patient(PatientComments="x")
            updated = list(threads.map(lambda name: done(store.ask, name, "1", update=change), image_sets[:6]))
            deleted = list(threads.map(lambda name: done(delete, store, name), image_sets[6:]))
        assert (sum(made), sum(updated), sum(deleted)) == (2, 2, 2)
        states = [store.settled(image_set)["imageSetWorkflowStatus"] for image_set in image_sets]
        assert sorted(states) == ["CREATED"] * 8 + ["DELETED"] * 2 + ["UPDATED"] * 2
    finally:
        server.stop()
