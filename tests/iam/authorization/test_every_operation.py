"""Whoever is denied one image set, and nothing else, reads and changes nothing of it, by whichever operation and option.

So does who is not allowed it, in a data store where image sets need an Allow of their own. The operations come from the routes
of the doors and the service model; the same requests with the root key do reach it.
"""

from __future__ import annotations

import pytest
from botocore.credentials import Credentials

from hounsfield.api.administration.operations import OPERATIONS as ADMINISTRATION
from hounsfield.api.dicomweb.resources import ROUTES
from hounsfield.gateway.route_table import Route
from hounsfield.iam.identities.restricted_datastores import restrict_datastore
from support.identities.users_and_roles import UsersAndRoles, allow
from support.requests.every_operation import (
    CHANGING,
    ELSEWHERE,
    NATIVE,
    PROPERTIES,
    Place,
    trials,
    uncovered,
    web_route,
)
from support.requests.every_route import FOR_EVERYBODY, FORMS, OPEN, Stranger, signed
from support.requests.route_tables import route_table
from support.servers import ServerProcess, wait_for

READING = [
    operation
    for operation in dict.fromkeys([*NATIVE, *(name for _, _, name in ROUTES)])
    if operation not in {*CHANGING, *ELSEWHERE}
]


@pytest.fixture(scope="module")
def routes() -> list[Route]:
    """What a server that allows everything answers, but for who may call, whether it is up, and administration."""
    others = {*FORMS, *FOR_EVERYBODY, *ADMINISTRATION}
    return [route for route in route_table().routes if route not in OPEN and route.operation not in others]


@pytest.fixture(scope="module", params=["embedded", pytest.param("postgresql", marks=pytest.mark.slow)])
def world(request: pytest.FixtureRequest) -> UsersAndRoles:
    made: UsersAndRoles = request.getfixturevalue(f"{request.param}_world")
    return made


@pytest.fixture(scope="module", params=["as at AWS", "restricted"])
def restricted(request: pytest.FixtureRequest) -> bool:
    """Return whether image sets need an Allow of their own."""
    return bool(request.param == "restricted")


@pytest.fixture(scope="module")
def place(server: ServerProcess, world: UsersAndRoles, restricted: bool) -> Place:
    made = Place.make(server)
    if restricted:
        restrict_datastore(world.repository, made.datastore)
    return made


@pytest.fixture(scope="module")
def denied(server: ServerProcess, world: UsersAndRoles, place: Place, restricted: bool) -> dict[str, Stranger]:
    """Users who may do everything but on the target."""
    passing = allow("iam:PassRole")
    everything = [allow("medical-imaging:*"), passing]
    deny = {"Effect": "Deny", "Action": "*"}
    tagged = {"StringEquals": {"aws:ResourceTag/ward": "3"}}
    others = [place.arn_of(image_set) for image_set in (place.own, place.third)]
    statements = {
        "by ARN": [*everything, {**deny, "Resource": place.arn}],
        "by tag": [*everything, {**deny, "Resource": "*", "Condition": tagged}],
    }
    if restricted:
        statements = {"not allowed": [passing, allow("medical-imaging:*", [*others, *place.datastore_arns])]}
    keys = {name: world.some_user(*some) for name, some in statements.items()}
    callers = {name: signed(Credentials(*key)) for name, key in keys.items()}
    first = next(iter(trials("SearchDICOMStudies", place)))
    for call in callers.values():
        wait_for(lambda call=call: not place.told(call(server, first)), "the server to know what is denied")
    return callers


def test_every_operation_and_option_is_tried(routes: list[Route], place: Place) -> None:
    assert uncovered(routes, place) == []
    assert {route.operation for route in routes} == {*READING, *CHANGING, *ELSEWHERE}


@pytest.mark.parametrize("operation", READING)
def test_nothing_of_a_denied_image_set_is_read(place: Place, denied: dict[str, Stranger], operation: str) -> None:
    before = place.state()
    reached = False
    for trial in trials(operation, place):
        answer = place.root(place.server, trial)
        assert answer.status not in {403, 405, 500}, (trial.path, answer.body)
        reached = reached or (answer.status == 200 if operation in PROPERTIES else place.told(answer))
        for name, call in denied.items():
            kept = call(place.server, trial)
            assert not place.told(kept), (name, trial.method, trial.path, trial.headers)
            assert kept.status < 500, (name, trial.path, kept.body)
            if operation in PROPERTIES:
                assert 400 <= kept.status < 500, (name, trial.path)
    assert reached, "no trial reaches the target, so that they prove nothing"
    assert place.state() == before


@pytest.mark.parametrize("operation", CHANGING)
def test_nothing_of_a_denied_image_set_is_changed(place: Place, denied: dict[str, Stranger], operation: str) -> None:
    before = place.state()
    for name, call in denied.items():
        for trial in trials(operation, place):
            answer = call(place.server, trial)
            assert answer.status < 500, (name, trial.path, answer.body)
            assert not place.told(answer), (name, trial.path)
            place.settle()
            assert place.state() == before, (name, trial.method, trial.path, trial.body[:500])


def test_the_same_requests_of_root_change_it(server: ServerProcess) -> None:
    """Else the walk would prove nothing."""
    place = Place.make(server)
    for operation in CHANGING:
        if operation in {"DeleteSeries", "DeleteStudy", "DeleteImageSet"}:
            place = Place.make(server)
        before = place.state()
        for trial in trials(operation, place):
            answer = place.root(server, trial)
            assert answer.status < 300, (operation, trial.path, answer.body)
            place.settle()
            if place.state() != before:
                break
        assert place.state() != before, operation


def test_a_route_that_nobody_thought_of_is_found(routes: list[Route], place: Place) -> None:
    """A test of the test."""
    assert uncovered([*routes, Route("GET", "/new/{datastoreId}", "ListNew")], place) == ["ListNew"]
    with pytest.raises(ValueError, match="unpack"):
        web_route("ListNew")
