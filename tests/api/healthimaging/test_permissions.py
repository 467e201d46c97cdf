"""Which resources a request needs permission on."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from hounsfield.api.healthimaging.permissions import permission_of, permissions_of_parameters
from hounsfield.aws.protocol.model import load_service
from hounsfield.aws.protocol.parser import parse_request
from hounsfield.iam.authorization import Permission
from hounsfield.iam.policies.condition_context import UnsettledValue
from hounsfield.imaging.image_store import ImageStore
from support.requests.route_tables import find_operation

STORE, SOURCE, DESTINATION = "a" * 32, "b" * 32, "c" * 32
STORE_ARN = f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{STORE}"


def needed(image_store: ImageStore, method: str, path: str, body: dict[str, Any]) -> list[Permission]:
    """Ask for what a request needs in the order in which the pipeline asks."""
    operation, labels = find_operation(method, path.encode())
    by_path = permission_of(operation.name, labels, image_store)
    parameters = parse_request(operation, labels, b"", [], json.dumps(body).encode())
    return [by_path, *permissions_of_parameters(by_path, parameters, image_store)]


@pytest.mark.parametrize("given", [False, True], ids=["new", "given"])
def test_a_copy_needs_permission_on_the_image_set_it_writes_too(image_store: ImageStore, given: bool) -> None:
    body: dict[str, Any] = {"sourceImageSet": {"latestVersionId": "1"}}
    if given:
        body["destinationImageSet"] = {"imageSetId": DESTINATION, "latestVersionId": "1"}
    source, *further = needed(image_store, "POST", f"/datastore/{STORE}/imageSet/{SOURCE}/copyImageSet", body)
    assert source == Permission("medical-imaging:CopyImageSet", [STORE_ARN, f"{STORE_ARN}/imageset/{SOURCE}"])
    destination = Permission("medical-imaging:CopyImageSet", [f"{STORE_ARN}/imageset/{DESTINATION}", STORE_ARN])
    assert further == ([destination] if given else [])


def test_other_operations_need_what_their_path_names(image_store: ImageStore) -> None:
    path = f"/datastore/{STORE}/imageSet/{SOURCE}/deleteImageSet"
    assert needed(image_store, "POST", path, {}) == [
        Permission("medical-imaging:DeleteImageSet", [STORE_ARN, f"{STORE_ARN}/imageset/{SOURCE}"])
    ]


def test_a_job_needs_permission_to_pass_its_role(image_store: ImageStore) -> None:
    role = "arn:aws:iam::000000000000:role/import"
    body = {
        "dataAccessRoleArn": role,
        "clientToken": "t",
        "inputS3Uri": "s3://bucket/in",
        "outputS3Uri": "s3://bucket/out",
    }
    assert needed(image_store, "POST", f"/startDICOMImportJob/datastore/{STORE}", body) == [
        Permission("medical-imaging:StartDICOMImportJob", [STORE_ARN]),
        Permission("iam:PassRole", [role], {"iam:passedtoservice": "medical-imaging.amazonaws.com"}),
    ]


def test_tags_are_keys_of_the_request_once_they_are_known(image_store: ImageStore) -> None:
    hoped = {"aws:requesttag/": UnsettledValue.HOPEFUL, "aws:tagkeys": UnsettledValue.HOPEFUL}
    known = {"aws:requesttag/ward": "3", "aws:tagkeys": ("Ward",)}
    create = "medical-imaging:CreateDatastore"
    assert needed(image_store, "POST", "/datastore", {"clientToken": "t", "tags": {"Ward": "3"}}) == [
        Permission(create, ["*"], hoped),
        Permission(create, ["*"], known),
        Permission("medical-imaging:TagResource", [f"{STORE_ARN.removesuffix(STORE)}*"], known),
    ]
    # A request without tags does not have the keys.
    assert needed(image_store, "POST", "/datastore", {"clientToken": "t"})[-1] == Permission(
        create, ["*"], {"aws:tagkeys": ()}
    )
    path = f"/tags/{quote(STORE_ARN, safe='')}"
    assert needed(image_store, "POST", path, {"tags": {"Ward": "3"}}) == [
        Permission("medical-imaging:TagResource", [STORE_ARN], hoped),
        Permission("medical-imaging:TagResource", [STORE_ARN], known),
    ]
    operation, labels = find_operation("DELETE", path.encode())
    by_path = permission_of("UntagResource", labels, image_store)
    assert by_path == Permission("medical-imaging:UntagResource", [STORE_ARN], {"aws:tagkeys": UnsettledValue.HOPEFUL})
    parameters = parse_request(operation, labels, b"tagKeys=Ward&tagKeys=x", [], b"")
    assert list(permissions_of_parameters(by_path, parameters, image_store)) == [
        Permission("medical-imaging:UntagResource", [STORE_ARN], {"aws:tagkeys": ("Ward", "x")})
    ]


TABLE = {
    # Service Authorization Reference, AWS HealthImaging: action, and the resources that must be allowed
    "CreateDatastore": ["*"],
    "GetDatastore": [STORE_ARN],
    "ListDatastores": ["*"],
    "DeleteDatastore": [STORE_ARN],
    "StartDICOMImportJob": [STORE_ARN],
    "GetDICOMImportJob": [STORE_ARN],
    "ListDICOMImportJobs": [STORE_ARN],
    "SearchImageSets": [STORE_ARN],
    "GetImageSet": [STORE_ARN, f"{STORE_ARN}/imageset/{SOURCE}"],
    "GetImageSetMetadata": [STORE_ARN, f"{STORE_ARN}/imageset/{SOURCE}"],
    "GetImageFrame": [STORE_ARN, f"{STORE_ARN}/imageset/{SOURCE}"],
    "ListImageSetVersions": [STORE_ARN, f"{STORE_ARN}/imageset/{SOURCE}"],
    "CopyImageSet": [STORE_ARN, f"{STORE_ARN}/imageset/{SOURCE}"],
    "DeleteImageSet": [STORE_ARN, f"{STORE_ARN}/imageset/{SOURCE}"],
    "UpdateImageSetMetadata": [STORE_ARN, f"{STORE_ARN}/imageset/{SOURCE}"],
    "TagResource": [STORE_ARN],
    "UntagResource": [STORE_ARN],
    "ListTagsForResource": [STORE_ARN],
}


def test_every_operation_needs_what_the_reference_says(image_store: ImageStore) -> None:
    labels = {"datastoreId": STORE, "imageSetId": SOURCE, "sourceImageSetId": SOURCE, "resourceArn": STORE_ARN}
    service = load_service()
    assert TABLE.keys() == service.operations.keys()
    for operation in service.operations.values():
        path = {name: value for name, value in labels.items() if f"{{{name}}}" in operation.uri}
        permission = permission_of(operation.name, path, image_store)
        assert permission.action == f"medical-imaging:{operation.name}"
        assert permission.resources == TABLE[operation.name]
