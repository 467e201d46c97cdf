"""Each constraint of the service model, broken once over the wire: a ValidationException that names it, and no change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from hounsfield.bootstrap.installation import open_database, open_keyring
from hounsfield.settings import Settings
from hounsfield.storage.db.database import Database
from support.clients.signed_http import send_signed
from support.conformance.world import KEPT, World
from support.requests.bad_requests import BadRequest, bad_requests
from support.requests.shape_samples import OPERATIONS
from support.servers import ServerProcess

BAD_REQUESTS = list(bad_requests())


def everything_there(client: Any, world: World) -> dict[str, Any]:
    """Return all that a request could have changed."""
    stores = [
        (entry["datastoreId"], entry["datastoreName"])
        for page in client.get_paginator("list_datastores").paginate()
        for entry in page["datastoreSummaries"]
    ]
    store = {"datastoreId": world.datastore_id}
    kept = {**store, "imageSetId": world.image_sets[KEPT]}
    listings = {
        "stores": stores,
        "image sets": client.search_image_sets(**store, searchCriteria={})["imageSetsMetadataSummaries"],
        "versions": client.list_image_set_versions(**kept)["imageSetPropertiesList"],
        "jobs": client.list_dicom_import_jobs(**store)["jobSummaries"],
        "tags": client.list_tags_for_resource(resourceArn=world.arn)["tags"],
    }
    assert listings["image sets"]
    assert listings["jobs"]
    return listings


class Watch:
    """Notices changes from one look to the next; looks where somebody has written to the database at all."""

    def __init__(self, database: Database, client: Any, world: World) -> None:
        self._connection = database.engine.raw_connection()
        self._look = lambda: everything_there(client, world)
        self._writes = self._written()
        self._last = self._look()

    def _written(self) -> int:
        """Return a number that SQLite changes with whatever another connection commits."""
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def nothing_changed(self) -> None:
        before, self._writes = self._writes, self._written()
        if self._writes != before:
            known, self._last = self._last, self._look()
            assert self._last == known

    def close(self) -> None:
        self._connection.close()


@pytest.fixture(scope="module")
def watch(server: ServerProcess, client: Any, world: World) -> Iterator[Watch]:
    settings = Settings(data=server.data)
    database = open_database(settings, open_keyring(settings))
    found = Watch(database, client, world)
    yield found
    found.close()
    database.close()


def test_the_watch_notices_what_is_written(client: Any, world: World, watch: Watch) -> None:
    client.tag_resource(resourceArn=world.arn, tags={"written": "yes"})
    with pytest.raises(AssertionError):
        watch.nothing_changed()
    client.untag_resource(resourceArn=world.arn, tagKeys=["written"])
    with pytest.raises(AssertionError):
        watch.nothing_changed()
    watch.nothing_changed()


def refusal_of(server: ServerProcess, unchecked: Any, world: World, bad: BadRequest) -> tuple[int, str, str]:
    """Send a bad request; give status, error code and message."""
    if bad.raw:
        request = bad.request(world.ids)
        path = request.raw_path.decode() + (f"?{request.query_string.decode()}" if request.query_string else "")
        answer = send_signed(server, request.method, path, request.body, {"Content-Type": "application/json"})
        return answer.status, answer.code, answer.message
    with pytest.raises(unchecked.exceptions.ValidationException) as caught:
        unchecked._make_api_call(bad.operation, bad.parameters(world.ids))
    assert isinstance(caught.value, ClientError)
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"], response["Error"]["Message"]


@pytest.mark.parametrize("bad", BAD_REQUESTS, ids=str)
def test_a_broken_rule_is_refused_by_name(
    server: ServerProcess, unchecked: Any, world: World, watch: Watch, bad: BadRequest
) -> None:
    status, code, message = refusal_of(server, unchecked, world, bad)
    assert (status, code) == (400, "ValidationException"), message
    assert message.startswith(("1 validation error detected: ", "2 validation errors detected: ")), message
    assert f"at '{bad.member}" in message
    assert bad.rule in message
    watch.nothing_changed()


def test_every_operation_and_kind_of_rule_is_there() -> None:
    """A rule the generator does not see would be a hole that nobody notices."""
    assert sorted({bad.operation for bad in BAD_REQUESTS}) == OPERATIONS
    kinds = {bad.kind.partition("-")[0] for bad in BAD_REQUESTS}
    assert kinds == {"missing", "null", "pattern", "enum", "min", "max+1", "type", "union", "key", "value"}
    assert len({str(bad) for bad in BAD_REQUESTS}) == len(BAD_REQUESTS)
    assert len(BAD_REQUESTS) > 300
