"""What the server says no to, and how: status, error type, message, and that it lives on."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError

from hounsfield.api.healthimaging.operations import HANDLERS
from support.clients.raw_http import head
from support.clients.signed_http import Answer, send, send_signed, signature
from support.files.synthetic import slice_of
from support.imaging.import_folders import fill, import_folder, sop_instances
from support.servers import ROLE, ServerProcess, active_datastore

MODEL = botocore.session.get_session().get_service_model("medical-imaging")
OPERATIONS = sorted(MODEL.operation_names)
UNKNOWN = "0123456789abcdef" * 2
ARN = f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{UNKNOWN}"
_SET = {"datastoreId": UNKNOWN, "imageSetId": UNKNOWN}

PARAMETERS: dict[str, dict[str, Any]] = {
    "CopyImageSet": {
        "datastoreId": UNKNOWN,
        "sourceImageSetId": UNKNOWN,
        "copyImageSetInformation": {"sourceImageSet": {"latestVersionId": "1"}},
    },
    "CreateDatastore": {"clientToken": "token"},
    "DeleteDatastore": {"datastoreId": UNKNOWN},
    "DeleteImageSet": _SET,
    "GetDICOMImportJob": {"datastoreId": UNKNOWN, "jobId": UNKNOWN},
    "GetDatastore": {"datastoreId": UNKNOWN},
    "GetImageFrame": {**_SET, "imageFrameInformation": {"imageFrameId": UNKNOWN}},
    "GetImageSet": _SET,
    "GetImageSetMetadata": _SET,
    "ListDICOMImportJobs": {"datastoreId": UNKNOWN},
    "ListDatastores": {},
    "ListImageSetVersions": _SET,
    "ListTagsForResource": {"resourceArn": ARN},
    "SearchImageSets": {"datastoreId": UNKNOWN, "searchCriteria": {}},
    "StartDICOMImportJob": {
        "clientToken": "token",
        "datastoreId": UNKNOWN,
        "dataAccessRoleArn": ROLE,
        "inputS3Uri": "s3://input/",
        "outputS3Uri": "s3://out/",
    },
    "TagResource": {"resourceArn": ARN, "tags": {"a": "b"}},
    "UntagResource": {"resourceArn": ARN, "tagKeys": ["a"]},
    "UpdateImageSetMetadata": {
        **_SET,
        "latestVersionId": "1",
        "updateImageSetMetadataUpdates": {"DICOMUpdates": {"updatableAttributes": b"{}"}},
    },
}
"""Valid parameters of every operation, about things that do not exist."""

MALFORMED = {
    "short": "abc",
    "capitals": UNKNOWN.upper(),
    "33 characters": f"{UNKNOWN}0",
    "underscore": f"{UNKNOWN[:-1]}_",
    "encoded slash": f"{UNKNOWN[:-1]}/",
    "line end": f"{UNKNOWN}\n",
    "other digits": "٣" * 32,
    "blank": " " * 32,
}


def call(client: Any, operation: str, parameters: dict[str, Any]) -> Any:
    return client._make_api_call(operation, parameters)


def refused(client: Any, operation: str, parameters: dict[str, Any], status: int, code: str) -> str:
    """Call an operation that must be refused; return the message."""
    with pytest.raises(ClientError) as caught:
        call(client, operation, parameters)
    response = caught.value.response
    told = response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]
    assert told == (status, code), response["Error"]
    assert response["ResponseMetadata"]["RequestId"]
    assert response["Error"]["Message"]
    return str(response["Error"]["Message"])


def check(answer: Answer, status: int, code: str) -> None:
    """Check that an answer is an error in AWS's form."""
    assert (answer.status, answer.code) == (status, code), answer.body
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-amzn-requestid"]
    assert answer.message


@pytest.fixture(scope="module")
def unchecked(server: ServerProcess) -> Any:
    """A client that sends what it is given without validating it first."""
    return server.client(parameter_validation=False)


@pytest.fixture(scope="module")
def store(server: ServerProcess, client: Any) -> dict[str, str]:
    """A data store with one image set of one frame."""
    datastore_id = active_datastore(client)
    fill(server, "errors", [slice_of(study=70)])
    (line,) = import_folder(server, client, datastore_id, "errors").success
    image_set_id = line["importResponse"]["imageSetId"]
    (instance,) = sop_instances(client, datastore_id, image_set_id).values()
    return {"datastoreId": datastore_id, "imageSetId": image_set_id, "frame": instance["ImageFrames"][0]["ID"]}


def test_parameters_are_known_for_every_operation() -> None:
    assert sorted(PARAMETERS) == OPERATIONS


@pytest.mark.parametrize("operation", sorted(HANDLERS.keys() - {"CreateDatastore", "ListDatastores"}))
def test_unknown_data_stores_are_not_found(client: Any, operation: str) -> None:
    assert UNKNOWN in refused(client, operation, PARAMETERS[operation], 404, "ResourceNotFoundException")


def test_every_operation_of_the_model_is_carried_out() -> None:
    assert sorted(HANDLERS) == OPERATIONS


@pytest.mark.parametrize("operation", sorted({"GetImageSet", "GetImageSetMetadata", "GetImageFrame"} & set(HANDLERS)))
def test_unknown_image_sets_are_not_found(client: Any, store: dict[str, str], operation: str) -> None:
    parameters = {**PARAMETERS[operation], "datastoreId": store["datastoreId"]}
    assert UNKNOWN in refused(client, operation, parameters, 404, "ResourceNotFoundException")


def test_image_sets_are_not_found_in_another_data_store(client: Any, store: dict[str, str]) -> None:
    other = active_datastore(client)
    ids = {"datastoreId": other, "imageSetId": store["imageSetId"]}
    refused(client, "GetImageSet", ids, 404, "ResourceNotFoundException")
    refused(client, "GetImageSetMetadata", ids, 404, "ResourceNotFoundException")
    frame = {"imageFrameInformation": {"imageFrameId": store["frame"]}}
    refused(client, "GetImageFrame", {**ids, **frame}, 404, "ResourceNotFoundException")
    call(client, "DeleteDatastore", {"datastoreId": other})


@pytest.mark.parametrize("version", ["2", "0", "999999999999999999999"])
@pytest.mark.parametrize("operation", ["GetImageSet", "GetImageSetMetadata"])
def test_unknown_versions_are_not_found(client: Any, store: dict[str, str], operation: str, version: str) -> None:
    ids = {"datastoreId": store["datastoreId"], "imageSetId": store["imageSetId"], "versionId": version}
    refused(client, operation, ids, 404, "ResourceNotFoundException")


@pytest.mark.parametrize("version", ["-1", "one", "1.0", "1 ", "\n1"])
def test_malformed_versions_are_invalid(unchecked: Any, store: dict[str, str], version: str) -> None:
    ids = {"datastoreId": store["datastoreId"], "imageSetId": store["imageSetId"], "versionId": version}
    refused(unchecked, "GetImageSet", ids, 400, "ValidationException")


def test_unknown_jobs_are_not_found(client: Any, store: dict[str, str]) -> None:
    ids = {"datastoreId": store["datastoreId"], "jobId": UNKNOWN}
    assert UNKNOWN in refused(client, "GetDICOMImportJob", ids, 404, "ResourceNotFoundException")


@pytest.mark.parametrize("frame_id", [UNKNOWN, "z" * 32, "one past the end"])
def test_unknown_frames_are_not_found(client: Any, store: dict[str, str], frame_id: str) -> None:
    if frame_id == "one past the end":
        frame_id = f"{int(store['frame'], 16) + 1:032x}"
    ids = {"datastoreId": store["datastoreId"], "imageSetId": store["imageSetId"]}
    parameters = {**ids, "imageFrameInformation": {"imageFrameId": frame_id}}
    assert frame_id in refused(client, "GetImageFrame", parameters, 404, "ResourceNotFoundException")


@pytest.mark.parametrize("kind", MALFORMED)
@pytest.mark.parametrize("operation", [name for name in OPERATIONS if "datastoreId" in PARAMETERS[name]])
def test_malformed_data_store_ids_are_invalid(unchecked: Any, operation: str, kind: str) -> None:
    parameters = {**PARAMETERS[operation], "datastoreId": MALFORMED[kind]}
    assert "datastoreId" in refused(unchecked, operation, parameters, 400, "ValidationException")


@pytest.mark.parametrize("kind", MALFORMED)
@pytest.mark.parametrize(
    ("operation", "member"),
    [
        ("GetImageSet", "imageSetId"),
        ("GetImageSetMetadata", "imageSetId"),
        ("GetImageFrame", "imageSetId"),
        ("GetImageFrame", "imageFrameId"),
    ],
)
def test_malformed_image_set_and_frame_ids_are_invalid(
    unchecked: Any, store: dict[str, str], operation: str, member: str, kind: str
) -> None:
    parameters = {**PARAMETERS[operation], "datastoreId": store["datastoreId"]}
    if member == "imageFrameId":
        parameters["imageFrameInformation"] = {"imageFrameId": MALFORMED[kind]}
    else:
        parameters[member] = MALFORMED[kind]
    assert member in refused(unchecked, operation, parameters, 400, "ValidationException")


@pytest.mark.parametrize(
    ("operation", "changes", "member"),
    [
        ("CreateDatastore", {"datastoreName": "a name with blanks"}, "datastoreName"),
        ("CreateDatastore", {"losslessStorageFormat": "PNG"}, "losslessStorageFormat"),
        ("ListDatastores", {"maxResults": 0}, "maxResults"),
        ("ListDatastores", {"maxResults": 51}, "maxResults"),
        ("ListDatastores", {"datastoreStatus": "HAPPY"}, "datastoreStatus"),
        ("StartDICOMImportJob", {"inputS3Uri": "file:///etc"}, "inputS3Uri"),
        ("StartDICOMImportJob", {"outputS3Uri": "s3://x/"}, "outputS3Uri"),
        ("StartDICOMImportJob", {"dataAccessRoleArn": "arn:aws:iam::1:user/x"}, "dataAccessRoleArn"),
        ("StartDICOMImportJob", {"jobName": "x" * 65}, "jobName"),
        ("SearchImageSets", {"searchCriteria": {"filters": []}}, "filters"),
        ("SearchImageSets", {"searchCriteria": {"sort": {"sortField": "updatedAt"}}}, "sortOrder"),
    ],
)
def test_values_beyond_the_model_are_invalid(
    unchecked: Any, operation: str, changes: dict[str, Any], member: str
) -> None:
    assert member in refused(unchecked, operation, {**PARAMETERS[operation], **changes}, 400, "ValidationException")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "SerializationException"),
        (b"\xff\xfe", "SerializationException"),
        (b"[" * 50_000, "SerializationException"),
        (b"[]", "ValidationException"),
        (b'"text"', "ValidationException"),
        (b'{"datastoreName": 7}', "ValidationException"),
    ],
)
def test_bodies_that_cannot_be_read_are_refused(server: ServerProcess, body: bytes, code: str) -> None:
    check(send_signed(server, "POST", "/datastore", body, {"Content-Type": "application/json"}), 400, code)


def test_a_malformed_request_for_a_frame_is_a_bad_request(server: ServerProcess) -> None:
    path = f"/datastore/{UNKNOWN}/imageSet/{UNKNOWN}/getImageFrame"
    check(send_signed(server, "POST", path, b'{"imageFrameId": '), 400, "BadRequestException")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_needs_a_signature_first(server: ServerProcess, operation: str) -> None:
    """Nothing is told to who has not signed: not that an id is malformed, a body unreadable or the operation missing."""
    http_ = MODEL.operation_model(operation).http
    for label, body in ((UNKNOWN, b"{}"), ("malformed", b"{"), (UNKNOWN, b"")):
        path = "/".join(label if part.startswith("{") else part for part in http_["requestUri"].split("/"))
        check(send(server, http_["method"], path, body), 403, "MissingAuthenticationTokenException")


def test_a_wrong_secret_is_refused(server: ServerProcess) -> None:
    key = server.key()[0], "x" * 40
    check(send_signed(server, "GET", "/datastore", key=key), 403, "InvalidSignatureException")


def test_an_unknown_key_is_refused(server: ServerProcess) -> None:
    key = "AKIAAAAAAAAAAAAAAAAA", server.key()[1]
    check(send_signed(server, "GET", "/datastore", key=key), 403, "UnrecognizedClientException")


@pytest.mark.parametrize("how", [{"region": "eu-central-1"}, {"service": "s3"}])
def test_signatures_for_elsewhere_are_refused(server: ServerProcess, how: dict[str, str]) -> None:
    check(send_signed(server, "GET", "/datastore", **how), 403, "InvalidSignatureException")


def test_a_signature_covers_body_path_and_query(server: ServerProcess) -> None:
    headers = signature(server, "POST", "/datastore", b'{"clientToken": "a"}')
    check(send(server, "POST", "/datastore", b'{"clientToken": "b"}', headers), 403, "InvalidSignatureException")
    headers = signature(server, "GET", "/datastore")
    check(send(server, "GET", "/datastore?maxResults=1", b"", headers), 403, "InvalidSignatureException")
    check(send(server, "GET", f"/datastore/{UNKNOWN}", b"", headers), 403, "InvalidSignatureException")


@pytest.mark.parametrize(
    "authorization", ["", "Basic cm9vdDpyb290", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=x"]
)
def test_half_a_signature_is_refused(server: ServerProcess, authorization: str) -> None:
    answer = send(server, "GET", "/datastore", b"", {"Authorization": authorization})
    assert answer.status == 403
    assert answer.code in {"MissingAuthenticationTokenException", "IncompleteSignatureException"}


@pytest.mark.parametrize("path", ["/nothing", "/datastore/a/", f"/datastore/{UNKNOWN}/x", "/../etc/passwd", "/%2e%2e"])
def test_unknown_paths_are_not_found(server: ServerProcess, path: str) -> None:
    check(send_signed(server, "GET", path), 404, "UnknownOperationException")


def test_a_known_path_tells_its_methods(server: ServerProcess) -> None:
    answer = send_signed(server, "PUT", "/datastore")
    check(answer, 405, "MethodNotAllowedException")
    assert answer.headers["allow"] == "GET, POST"


def signed_head(server: ServerProcess) -> dict[str, str]:
    """Headers of a request that states no hash of its body, signed."""
    signed = signature(server, "POST", "/datastore", b"", {"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"})
    return {**signed, "Host": f"127.0.0.1:{server.port}"}


def test_oversized_bodies_are_refused_by_their_length(server: ServerProcess) -> None:
    """The length alone is enough: the server does not wait for the bytes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(head("POST", "/datastore", {**signed_head(server), "Content-Length": "10000000000"}))
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert response.status == 413
        assert response.headers["x-amzn-errortype"] == "RequestEntityTooLargeException"


def test_oversized_bodies_are_refused_while_they_come(server: ServerProcess) -> None:
    """A chunked body tells no length; it is cut off when it grows too large."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(head("POST", "/datastore", {**signed_head(server), "Transfer-Encoding": "chunked"}))
        chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        sent = 0
        try:
            for _ in range(64):
                connection.sendall(chunk)
                sent += 1
        except OSError:
            pass
        assert sent >= 4
        response = http.client.HTTPResponse(connection)
        try:
            response.begin()
        except ConnectionError:
            assert sent < 64
        else:
            assert response.status == 413
    check(send_signed(server, "GET", "/datastore/" + UNKNOWN), 404, "ResourceNotFoundException")


@pytest.mark.parametrize(
    "text",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET /datastore HTTP/9.9\r\n\r\n",
        b"POST /datastore HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /datastore HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_what_is_not_http_does_no_harm(server: ServerProcess, text: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        try:
            connection.sendall(text)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(65536)
        except OSError:
            answer = b""
        assert not answer.startswith((b"HTTP/1.1 2", b"HTTP/1.1 5"))
    check(send_signed(server, "GET", "/datastore/" + UNKNOWN), 404, "ResourceNotFoundException")


@pytest.mark.parametrize("operation", ["ListDatastores", "ListDICOMImportJobs", "SearchImageSets"])
@pytest.mark.parametrize("token", ["x", "AAAA", "a" * 8192, "not base64 !", "𝄞"])
def test_tokens_made_up_are_invalid(unchecked: Any, store: dict[str, str], operation: str, token: str) -> None:
    parameters = {**PARAMETERS[operation], "nextToken": token}
    if "datastoreId" in parameters:
        parameters["datastoreId"] = store["datastoreId"]
    refused(unchecked, operation, parameters, 400, "ValidationException")


def test_tokens_of_another_listing_are_invalid(client: Any, store: dict[str, str]) -> None:
    spare = active_datastore(client)
    token = client.list_datastores(maxResults=1)["nextToken"]
    assert client.list_datastores(maxResults=2, nextToken=token)["datastoreSummaries"]
    of_store = {"datastoreId": store["datastoreId"], "nextToken": token}
    refused(client, "ListDICOMImportJobs", of_store, 400, "ValidationException")
    refused(client, "SearchImageSets", {**of_store, "searchCriteria": {}}, 400, "ValidationException")
    changed = {"nextToken": token, "datastoreStatus": "ACTIVE"}
    refused(client, "ListDatastores", changed, 400, "ValidationException")
    flipped = token[:9] + ("A" if token[9] != "A" else "B") + token[10:]
    refused(client, "ListDatastores", {"nextToken": flipped}, 400, "ValidationException")
    call(client, "DeleteDatastore", {"datastoreId": spare})


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("image/jph", 200),
        ("image/*", 200),
        ("*/*", 200),
        ("text/html, image/jph;q=0.5", 200),
        ("text/html", 406),
        ("image/jpeg", 406),
        ("image/jph;q=0", 406),
    ],
)
def test_frames_are_given_as_accepted_only(
    server: ServerProcess, store: dict[str, str], accept: str, status: int
) -> None:
    path = f"/datastore/{store['datastoreId']}/imageSet/{store['imageSetId']}/getImageFrame"
    body = json.dumps({"imageFrameId": store["frame"]}).encode()
    answer = send_signed(server, "POST", path, body, {"Accept": accept, "Content-Type": "application/json"})
    assert answer.status == status
    if status == 406:
        check(answer, 406, "NotAcceptableException")
    else:
        assert answer.headers["content-type"] == "image/jph"


def test_data_stores_with_image_sets_are_not_deleted(client: Any, store: dict[str, str]) -> None:
    refused(client, "DeleteDatastore", {"datastoreId": store["datastoreId"]}, 409, "ConflictException")


def test_a_token_stands_for_one_request(client: Any, store: dict[str, str]) -> None:
    job = {
        **PARAMETERS["StartDICOMImportJob"],
        "datastoreId": store["datastoreId"],
        "inputS3Uri": "s3://input/errors/",
        "clientToken": "one-request",
    }
    first = call(client, "StartDICOMImportJob", job)["jobId"]
    assert call(client, "StartDICOMImportJob", job)["jobId"] == first
    other = {**job, "inputS3Uri": "s3://input/others/"}
    refused(client, "StartDICOMImportJob", other, 409, "ConflictException")


def test_bodyless_posts_may_have_an_empty_object(server: ServerProcess, store: dict[str, str]) -> None:
    path = f"/datastore/{store['datastoreId']}/imageSet/{store['imageSetId']}/getImageSet"
    for body in (b"", b"{}"):
        answer = send_signed(server, "POST", path, body)
        assert answer.status == 200
        assert json.loads(answer.body)["versionId"] == "1"
