"""Copies, deletions and tags on PostgreSQL, where transactions run at the same time and row locks keep them in order."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from support.files.synthetic import slice_of, uid
from support.imaging.imports import image_sets
from support.imaging.stored_series import imported, pack_files, settled, verified
from support.servers import ServerProcess, active_datastore, wait_for


@pytest.fixture(scope="module")
def on_postgresql(tmp_path_factory: pytest.TempPathFactory, postgresql_url: str) -> Iterator[ServerProcess]:
    environment = {"HOUNSFIELD_DATABASE_URL": postgresql_url, "HOUNSFIELD_RELEASE_AFTER_SECONDS": "0"}
    process = ServerProcess(tmp_path_factory.mktemp("copies-on-postgresql") / "data", environment).start()
    yield process
    process.stop()


def copied(client: Any, datastore: str, source: str, **flags: Any) -> str:
    """Copy as soon as the source is free; return the destination."""

    def begun() -> str | None:
        try:
            answer = client.copy_image_set(
                datastoreId=datastore,
                sourceImageSetId=source,
                copyImageSetInformation={"sourceImageSet": {"latestVersionId": "1"}},
                **flags,
            )
        except client.exceptions.ConflictException:
            return None
        return str(answer["destinationImageSetProperties"]["imageSetId"])

    copy = wait_for(begun, "the source to be free")
    assert settled(client, datastore, copy)["imageSetWorkflowStatus"] == "COPIED"
    return copy


def test_copies_and_deletions_that_race_leave_nothing_behind(on_postgresql: ServerProcess) -> None:
    client = on_postgresql.client(max_pool_connections=10)
    datastore = active_datastore(client)
    source, _ = imported(on_postgresql, client, datastore, slice_of(number=1), slice_of(number=2))
    with ThreadPoolExecutor(5) as threads:
        copies = list(threads.map(lambda _: copied(client, datastore, source), range(5)))
    assert len(set(copies)) == 5
    assert settled(client, datastore, source)["imageSetState"] == "ACTIVE"
    for copy in copies:
        assert verified(client, datastore, copy).keys() == {uid(1, 1, 1), uid(1, 1, 2)}
    (kept, *others) = copies
    packs = pack_files(on_postgresql, datastore)
    with ThreadPoolExecutor(5) as threads:
        list(
            threads.map(lambda gone: client.delete_image_set(datastoreId=datastore, imageSetId=gone), [source, *others])
        )
    for gone in (source, *others):
        assert settled(client, datastore, gone)["imageSetState"] == "DELETED"
    assert [entry["imageSetId"] for entry in image_sets(client, datastore)] == [kept]
    promoted = copied(client, datastore, kept, promoteToPrimary=True)
    assert pack_files(on_postgresql, datastore) == packs
    assert len(verified(client, datastore, promoted)) == 2
    for gone in (kept, promoted):
        settled(client, datastore, gone)
        client.delete_image_set(datastoreId=datastore, imageSetId=gone)
    wait_for(lambda: not pack_files(on_postgresql, datastore), "all packs to go")


def test_tags_set_at_once_never_exceed_the_quota(on_postgresql: ServerProcess) -> None:
    client = on_postgresql.client(max_pool_connections=10)
    datastore = active_datastore(client)
    arn = client.get_datastore(datastoreId=datastore)["datastoreProperties"]["datastoreArn"]

    def tagged(part: int) -> bool:
        try:
            client.tag_resource(resourceArn=arn, tags={f"key-{part}-{number}": "x" for number in range(20)})
        except client.exceptions.ValidationException:
            return False
        return True

    with ThreadPoolExecutor(6) as threads:
        outcomes = list(threads.map(tagged, range(6)))
    assert sum(outcomes) == 2
    assert len(client.list_tags_for_resource(resourceArn=arn)["tags"]) == 40
