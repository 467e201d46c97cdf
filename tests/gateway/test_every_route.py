"""Every route turns strangers away with 403 and does nothing for them; a new route is walked by itself.

The routes come from the table that `make_app` puts together, so nobody has to remember to add one here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import Credentials
from starlette.responses import PlainTextResponse

from hounsfield.api.dicomweb.resources import ROUTES
from hounsfield.bootstrap.api import make_app
from hounsfield.console.browser_redirect import BrowserRedirect
from hounsfield.gateway.pipeline import Pipeline
from hounsfield.gateway.route_table import Route, RouteTable
from hounsfield.iam.sessions.sessions import NewSession, TemporaryCredentials
from hounsfield.settings import Settings
from support.clients.signed_http import send
from support.files.synthetic import slice_of, uid
from support.identities.users import refusal
from support.identities.users_and_roles import UsersAndRoles, allow, role_arn, trust
from support.imaging.import_folders import fill, import_folder, sop_instances
from support.requests.every_route import (
    OPEN,
    UNSIGNED,
    Stranger,
    served,
    signed,
    trial_of,
    unknown_callers,
    unsigned,
    walk,
)
from support.requests.route_tables import route_table
from support.requests.shape_samples import OPERATIONS
from support.servers import ServerProcess, active_datastore, wait_for


@pytest.fixture(scope="module")
def routes() -> list[Route]:
    """What a server that allows everything answers."""
    return list(route_table().routes)


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path_factory.mktemp("walked") / "data", {"HOUNSFIELD_DICOMWEB_DELETE": "true"}).start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def values(walked: ServerProcess) -> dict[str, str]:
    """Ids of things that are there: what a route would work on if it let a stranger in."""
    client = walked.client()
    datastore_id = active_datastore(client, datastoreName="walked")
    fill(walked, "walked", [slice_of()])
    outcome = import_folder(walked, client, datastore_id, "walked")
    (line,) = outcome.success
    image_set_id = line["importResponse"]["imageSetId"]
    (instance,) = sop_instances(client, datastore_id, image_set_id).values()
    return {
        "datastoreId": datastore_id,
        "imageSetId": image_set_id,
        "sourceImageSetId": image_set_id,
        "jobId": outcome.job["jobId"],
        "imageFrameId": instance["ImageFrames"][0]["ID"],
        "resourceArn": client.get_datastore(datastoreId=datastore_id)["datastoreProperties"]["datastoreArn"],
        "inputS3Uri": "s3://input/walked/",
        "outputS3Uri": "s3://results/",
        "study": uid(1),
        "series": uid(1, 1),
        "instance": uid(1, 1, 1),
        "frames": "1",
    }


def session_of(world: UsersAndRoles, role: str, seconds_ago: int) -> TemporaryCredentials:
    """Begin a session of a quarter of an hour some time ago, as the server would have."""
    sessions = world.sessions(lambda: time.time() - seconds_ago)
    return sessions.issue(sessions._directory.role(role_arn(role)), NewSession("night", 900))


@pytest.fixture(scope="module")
def powerless(walked: ServerProcess) -> dict[str, Stranger]:
    """Callers who are known and may do nothing, or were somebody once."""
    world = UsersAndRoles(walked)
    everything = allow("*")
    key, disabled = world.user("nobody"), world.user("gone", everything)
    world.disable(disabled)
    client = walked.client(key=disabled)
    wait_for(lambda: (refusal(client) or "x")[0] == "UnrecognizedClientException", "the key to be disabled")
    world.role("powerless", trust({"AWS": "*"}))
    world.role("ended", trust({"AWS": "*"}), everything)
    bare, ended = session_of(world, "powerless", 0), session_of(world, "ended", 901)
    world.close()
    return {
        "with a key that lacks the permission": signed(Credentials(*key)),
        "with a disabled key": signed(Credentials(*disabled)),
        "with a session that lacks the permission": signed(Credentials(bare.access_key_id, bare.secret, bare.token)),
        "with an expired session token": signed(Credentials(ended.access_key_id, ended.secret, ended.token)),
    }


def state(server: ServerProcess) -> dict[str, Any]:
    """Everything that an operation could have changed, as a client with the root key sees it."""
    client = server.client()
    stores = {}
    for store in client.list_datastores()["datastoreSummaries"]:
        store_id = store["datastoreId"]
        sets = client.search_image_sets(datastoreId=store_id)["imageSetsMetadataSummaries"]
        stores[store_id] = {
            "store": store,
            "tags": client.list_tags_for_resource(resourceArn=store["datastoreArn"])["tags"],
            "jobs": [job["jobId"] for job in client.list_dicom_import_jobs(datastoreId=store_id)["jobSummaries"]],
            "sets": {
                found["imageSetId"]: client.list_image_set_versions(
                    datastoreId=store_id, imageSetId=found["imageSetId"]
                )["imageSetPropertiesList"]
                for found in sets
            },
        }
    return stores


def test_strangers_are_turned_away_everywhere_and_change_nothing(
    walked: ServerProcess, routes: list[Route], values: dict[str, str], powerless: dict[str, Stranger]
) -> None:
    before = state(walked)
    assert walk(walked, routes, values, {**unknown_callers(walked), **powerless}) == []
    assert state(walked) == before


def test_the_walk_goes_everywhere(routes: list[Route]) -> None:
    """The routes of the table are those of the service model, of DICOMweb, and the open one."""
    native = {route.operation for route in routes if route.operation in OPERATIONS}
    assert sorted(native) == OPERATIONS
    web = {(route.method, route.path) for route in routes}
    assert {(method, f"/datastore/{{datastoreId}}/{path}".rstrip("/")) for method, path, _ in ROUTES} <= web
    assert set(routes) >= OPEN


def test_what_is_open_tells_nothing(walked: ServerProcess) -> None:
    for route in OPEN:
        # The console leads strangers to its sign-in.
        assert send(walked, route.method, route.path).body in {b"ok\n", b'{"status":"ready"}', b""}


def test_the_same_requests_work_with_the_right_key(
    walked: ServerProcess, routes: list[Route], values: dict[str, str]
) -> None:
    """Else the walk would prove nothing: what is wrong with a request is told only to those who may make it."""
    call = signed(Credentials(*walked.key()))
    for route in routes:
        if route.operation in {"AssumeRole", *UNSIGNED}:
            continue  # They need a role that trusts the caller; tests/api/sts has it.
        answer = call(walked, trial_of(route, values))
        assert answer.status not in {403, 405}, (route, answer.body)


def test_a_new_route_without_a_lock_fails_the_walk(tmp_path: Path, values: dict[str, str]) -> None:
    """A test of the test: a gateway with one more route, which is open, is found out."""
    real = make_app(Settings(data=tmp_path / "data"))
    real.start()
    forgotten = Route("GET", "/new/{datastoreId}", "ListNew", app=PlainTextResponse("come in"))
    table = RouteTable(real.routes.apis, (*real.routes.open_routes, forgotten))
    assert isinstance(real.pipeline, BrowserRedirect)
    assert isinstance(real.pipeline.pipeline, Pipeline)
    gateway = replace(real, routes=table, pipeline=replace(real.pipeline.pipeline, routes=table))
    with served(gateway) as server:
        findings = walk(server, table.routes, values, {"without credentials": unsigned})
    real.stop()
    assert [str(finding) for finding in findings] == ["GET /new/{datastoreId} (ListNew), without credentials: 200 "]
