"""Which resources a request needs permission on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from hounsfield.access.permissions import Permission
from hounsfield.app import open_archive
from hounsfield.aws.model import load_service
from hounsfield.aws.parsing import parse_request
from hounsfield.aws.routing import Router
from hounsfield.imaging.archive import Archive
from hounsfield.native.permissions import permission_of, permissions_of_parameters
from hounsfield.settings import Settings

STORE, SOURCE, DESTINATION = "a" * 32, "b" * 32, "c" * 32
STORE_ARN = f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{STORE}"
ROUTER = Router(load_service())


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    opened, _ = open_archive(Settings(data=tmp_path_factory.mktemp("permissions") / "data"))
    yield opened
    opened.database.close()


def needed(archive: Archive, method: str, path: str, body: dict[str, Any]) -> list[Permission]:
    """Ask for what a request needs in the order in which the door asks."""
    match = ROUTER.match(method, path.encode())
    name = match.operation.name
    by_path = permission_of(name, match.path_parameters, archive)
    parameters = parse_request(match, b"", [], json.dumps(body).encode())
    return [by_path, *permissions_of_parameters(by_path, parameters, archive)]


@pytest.mark.parametrize("given", [False, True], ids=["new", "given"])
def test_a_copy_needs_permission_on_the_image_set_it_writes_too(archive: Archive, given: bool) -> None:
    body: dict[str, Any] = {"sourceImageSet": {"latestVersionId": "1"}}
    if given:
        body["destinationImageSet"] = {"imageSetId": DESTINATION, "latestVersionId": "1"}
    source, *further = needed(archive, "POST", f"/datastore/{STORE}/imageSet/{SOURCE}/copyImageSet", body)
    assert source == Permission("medical-imaging:CopyImageSet", [STORE_ARN, f"{STORE_ARN}/imageset/{SOURCE}"])
    destination = Permission("medical-imaging:CopyImageSet", [f"{STORE_ARN}/imageset/{DESTINATION}", STORE_ARN])
    assert further == ([destination] if given else [])


def test_other_operations_need_what_their_path_names(archive: Archive) -> None:
    path = f"/datastore/{STORE}/imageSet/{SOURCE}/deleteImageSet"
    assert needed(archive, "POST", path, {}) == [
        Permission("medical-imaging:DeleteImageSet", [STORE_ARN, f"{STORE_ARN}/imageset/{SOURCE}"])
    ]
