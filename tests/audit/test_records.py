"""The audit trail: each call of each API leaves one record, which says who, what and how it ended, and no patient's data."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError

from hounsfield.api.dicomweb.resources import ROUTES
from support.audit_trail import Record, api_chains, audit_bytes, record_of, records, run_audit, verified
from support.clients.dicomweb import BOUNDARY, multipart, part10
from support.clients.signed_http import Answer, send, send_signed
from support.files.synthetic import slice_of, uid
from support.imaging.stored_series import imported, settled
from support.requests.shape_samples import MODEL, OPERATIONS, sample, sample_of
from support.servers import ServerProcess, active_datastore, wait_for

NAME = "Xylophonowitz^Quirina"
PATIENT = "PAT-98761234-ZZ"
WORDS = [NAME, "Xylophonowitz", "Quirina", PATIENT, "19310517", "ACC-55667788", uid(1), uid(5), uid(9)]
ROOT = "arn:aws:iam::000000000000:root"
CHANGES = {"Copy", "Create", "Delete", "Start", "Tag", "Untag", "Update", "Store"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    settings = {
        "HOUNSFIELD_DICOMWEB_DELETE": "true",
        "HOUNSFIELD_API_WORKERS": "2",
        "HOUNSFIELD_AUDIT_UNPROVEN_PER_SECOND": "1000",
    }
    process = ServerProcess(tmp_path_factory.mktemp("audit") / "data", settings).start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> Any:
    return server.client()


@pytest.fixture(scope="module")
def datastore(client: Any) -> str:
    return active_datastore(client)


def called(client: Any, operation: str, **parameters: Any) -> str:
    """Call an operation, which may fail; gives the request id."""
    try:
        answer = getattr(client, xform_name(operation))(**parameters)
    except ClientError as error:
        answer = error.response
    return str(answer["ResponseMetadata"]["RequestId"])


def required(operation: str) -> dict[str, Any]:
    shape = MODEL.operation_model(operation).input_shape
    return {name: sample_of(shape.members[name]) for name in shape.required_members}


def check(record: Record, operation: str, *, data: bool) -> None:
    assert record["eventName"] == operation
    assert record["eventSource"] == "medical-imaging.amazonaws.com"
    assert record["readOnly"] is not any(operation.startswith(word) for word in CHANGES)
    assert record["managementEvent"] is not data
    assert record["eventCategory"] == ("Data" if data else "Management")
    assert (record["eventVersion"], record["eventType"]) == ("1.11", "AwsApiCall")
    assert (record["awsRegion"], record["recipientAccountId"]) == ("us-east-1", "000000000000")
    assert record["sourceIPAddress"] == "127.0.0.1"


@pytest.fixture(scope="module")
def native_calls(client: Any) -> dict[str, str]:
    return {name: called(client, name, **(required(name) or sample(name))) for name in OPERATIONS}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_operation_of_the_native_api_leaves_one_record(
    server: ServerProcess, native_calls: dict[str, str], operation: str
) -> None:
    record = record_of(server, native_calls[operation])
    check(record, operation, data=operation == "GetImageFrame")
    assert record["userIdentity"] == {
        "type": "Root",
        "principalId": "000000000000",
        "arn": ROOT,
        "accountId": "000000000000",
        "accessKeyId": server.key()[0],
    }
    assert record["userAgent"].startswith("Boto3/")


@pytest.fixture(scope="module")
def denied_calls(server: ServerProcess) -> dict[str, str]:
    denied = server.client()
    denied._request_signer._credentials.secret_key = "wrong"
    return {name: called(denied, name, **(required(name) or sample(name))) for name in OPERATIONS}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_denied_call_is_recorded_without_believing_who_it_says_it_is(
    server: ServerProcess, denied_calls: dict[str, str], operation: str
) -> None:
    record = record_of(server, denied_calls[operation])
    check(record, operation, data=operation == "GetImageFrame")
    assert record["errorCode"] == "InvalidSignatureException"
    assert record["userIdentity"]["type"] == "Unknown"
    assert record["userIdentity"]["accessKeyId"] == server.key()[0]
    assert record["responseElements"] is None


def web_path(datastore: str, path: str) -> str:
    labels = {"study": uid(1), "series": uid(1, 1), "instance": uid(1, 1, 1), "frames": "1,2", "digest": "0f" * 16}
    return f"/datastore/{datastore}/{path.format(**labels)}".rstrip("/")


@pytest.fixture(scope="module")
def web_calls(server: ServerProcess, datastore: str) -> dict[tuple[str, bool], Answer]:
    return {
        (name, ask is send_signed): ask(server, method, web_path(datastore, path))
        for method, path, name in ROUTES
        for ask in (send_signed, send)
    }


@pytest.mark.parametrize(("path", "operation"), [route[1:] for route in ROUTES], ids=[name for *_, name in ROUTES])
@pytest.mark.parametrize("signed", [True, False])
def test_each_operation_of_dicomweb_leaves_one_record(
    server: ServerProcess,
    datastore: str,
    web_calls: dict[tuple[str, bool], Answer],
    path: str,
    operation: str,
    signed: bool,
) -> None:
    answer = web_calls[operation, signed]
    record = record_of(server, answer.headers["x-amzn-requestid"])
    check(record, operation, data=operation != "RetrieveCapabilities" and not operation.startswith("Delete"))
    assert record["userIdentity"]["type"] == ("Root" if signed else "Unknown")
    assert record["requestParameters"]["datastoreId"] == datastore
    assert record["requestParameters"].get("studyInstanceUID", "").startswith("sealed:") is ("{study}" in path)
    assert record.get("errorCode") == (answer.code if answer.status >= 400 else None)
    assert record["resources"] == [
        {
            "accountId": "000000000000",
            "type": "AWS::MedicalImaging::Datastore",
            "ARN": f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{datastore}",
        }
    ]


def test_a_path_that_no_operation_has_is_recorded(server: ServerProcess) -> None:
    answer = send_signed(server, "GET", f"/{quote(NAME)}")
    record = record_of(server, answer.headers["x-amzn-requestid"])
    assert (record["eventName"], record["errorCode"]) == ("UnknownOperation", "UnknownOperationException")
    assert record["requestParameters"] is None


def test_what_was_changed_is_told_by_its_id(server: ServerProcess, client: Any, datastore: str) -> None:
    (image_set,) = imported(server, client, datastore, slice_of(series=9, study=9))
    answer = client.copy_image_set(
        datastoreId=datastore,
        sourceImageSetId=image_set,
        copyImageSetInformation={"sourceImageSet": {"latestVersionId": "1"}},
    )
    record = record_of(server, answer["ResponseMetadata"]["RequestId"])
    made = answer["destinationImageSetProperties"]["imageSetId"]
    assert record["responseElements"]["destinationImageSetProperties"]["imageSetId"] == made
    assert record["requestParameters"]["copyImageSetInformation"] == {"sourceImageSet": {"latestVersionId": "1"}}
    assert [entry["type"] for entry in record["resources"]] == [
        "AWS::MedicalImaging::Datastore",
        "AWS::MedicalImaging::Imageset",
    ]
    begun = [entry for entry in records(server) if entry["eventName"] == "StartDICOMImportJob"]
    (started,) = [entry for entry in begun if entry["responseElements"]]
    assert started["responseElements"]["jobId"]
    assert started["requestParameters"]["inputS3Uri"].startswith("s3://input/")
    made_store = record_of(server, client.create_datastore(datastoreName="made")["ResponseMetadata"]["RequestId"])
    assert made_store["requestParameters"]["datastoreName"] == "made"
    assert made_store["resources"][0]["ARN"].endswith(made_store["responseElements"]["datastoreId"])


def test_nothing_of_a_patient_and_no_secret_is_in_any_byte(server: ServerProcess, client: Any, datastore: str) -> None:
    dataset = slice_of(
        series=5,
        study=5,
        PatientName=NAME,
        PatientID=PATIENT,
        PatientBirthDate="19310517",
        AccessionNumber="ACC-55667788",
    )
    (image_set,) = imported(server, client, datastore, dataset)
    criteria = [{"values": [{"DICOMPatientId": PATIENT}], "operator": "EQUAL"}]
    client.search_image_sets(datastoreId=datastore, searchCriteria={"filters": criteria})
    updates = {"SchemaVersion": "1.1", "Patient": {"DICOM": {"PatientName": f"{NAME}^II", "PatientID": PATIENT}}}
    client.update_image_set_metadata(
        datastoreId=datastore,
        imageSetId=image_set,
        latestVersionId="1",
        updateImageSetMetadataUpdates={"DICOMUpdates": {"updatableAttributes": json.dumps(updates)}},
    )
    settled(client, datastore, image_set)
    with pytest.raises(ClientError):
        client.copy_image_set(
            datastoreId=datastore,
            sourceImageSetId=image_set,
            copyImageSetInformation={
                "sourceImageSet": {
                    "latestVersionId": "2",
                    "DICOMCopies": {"copiableAttributes": json.dumps({NAME: PATIENT})},
                }
            },
        )
    base = f"/datastore/{datastore}"
    kind = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
    asked = [
        send_signed(server, "POST", f"{base}/studies", multipart([part10(dataset)]), {"Content-Type": kind}),
        send_signed(server, "POST", f"{base}/studies", multipart([NAME.encode()]), {"Content-Type": kind}),
        *(
            send_signed(server, "GET", f"{base}/{path}", headers={"Accept": "application/dicom+json"})
            for path in (
                f"studies?PatientName={quote(NAME)}&PatientID={PATIENT}&fuzzymatching=true",
                f"studies?{quote(NAME)}={PATIENT}",
                f"studies/{quote(NAME)}/series",
                f"studies/{uid(5)}/series/{quote(PATIENT)}/metadata",
                f"studies/{uid(5)}/series/{uid(5, 5)}/instances/{uid(5, 5, 1)}/metadata?imageSetId={quote(NAME)}",
                f"studies/{uid(5)}/series/{uid(5, 5)}/instances/{uid(5, 5, 1)}?accept={quote(NAME)}",
                f"studies/{uid(5)}/series/{uid(5, 5)}/instances/{uid(5, 5, 1)}/frames/{quote(NAME)}",
                f"studies/{uid(5)}/series/{uid(5, 5)}/instances/{uid(5, 5, 1)}/metadata",
                quote(NAME),
            )
        ),
        send_signed(server, "GET", f"{base}/studies", headers={"Accept": NAME}),
        send_signed(server, "POST", f"{base}/studies", b"x", {"Content-Type": NAME}),
        send_signed(server, "POST", f"{base}/imageSet/{quote(NAME)}/getImageSet"),
        send_signed(server, "POST", f"{base}/searchImageSets", json.dumps({NAME: PATIENT}).encode()),
        send_signed(server, "GET", f"/tags/{quote(NAME)}"),
        send_signed(server, "GET", "/datastore?datastoreStatus=" + quote(NAME)),
    ]
    for answer in asked:
        record_of(server, answer.headers["x-amzn-requestid"])
    written = audit_bytes(server)
    assert [line for line in written.splitlines() if any(word.encode() in line for word in WORDS)] == []
    assert server.key()[1].encode() not in written
    assert b"Signature" not in written.replace(b"InvalidSignatureException", b"").replace(b"request signature", b"")


def test_the_trail_of_several_processes_is_whole(server: ServerProcess) -> None:
    wait_for(lambda: len(api_chains(server)) == 2, "each API process to begin its chain")
    said = verified(server)
    assert "PROBLEM" not in said
    assert "intact" in said


def test_the_commands_find_calls(server: ServerProcess, client: Any, datastore: str) -> None:
    request_id = called(client, "GetImageSet", datastoreId=datastore, imageSetId="0f" * 16)
    record_of(server, request_id)
    found = run_audit(server.data, "find", "--request-id", request_id, "--json")
    assert json.loads(found.stdout)["requestID"] == request_id
    arguments = ["--event", "GetImageSet", "--caller", server.key()[0], "--resource", "0f" * 16, "--failed"]
    assert run_audit(server.data, "find", *arguments, "--since", "2020").stdout.endswith("ResourceNotFoundException\n")
    assert run_audit(server.data, "find", *arguments, "--until", "2020").stdout == ""
    asked = send_signed(server, "GET", web_path(datastore, f"studies/{uid(7, 7)}/series")).headers["x-amzn-requestid"]
    record_of(server, asked)
    (by_uid,) = run_audit(server.data, "find", "--uid", uid(7, 7), "--json").stdout.splitlines()
    assert json.loads(by_uid)["requestID"] == asked
    # Calls of one second that two processes answered have no order.
    before = int(time.time())
    wait_for(lambda: int(time.time()) > before, "the next second")
    called(client, "GetImageSet", datastoreId=datastore, imageSetId="1f" * 16)
    wait_for(lambda: b"1f" * 16 in audit_bytes(server), "the call to be recorded")
    (last,) = run_audit(server.data, "tail", "-n", "1").stdout.splitlines()
    assert (
        f"GetImageSet arn:aws:medical-imaging:us-east-1:000000000000:datastore/{datastore}/imageset/{'1f' * 16}" in last
    )


def test_a_record_that_was_changed_is_told_with_its_place(server: ServerProcess) -> None:
    path = wait_for(lambda: sorted((server.data / "audit").glob("*-api-*.jsonl")), "a file")[0]
    original = path.read_bytes()
    lines = original.splitlines(keepends=True)
    lines[1] = lines[1].replace(b'"sourceIPAddress":"127.0.0.1"', b'"sourceIPAddress":"127.0.0.2"')
    try:
        path.write_bytes(b"".join(lines))
        done = run_audit(server.data, "verify")
        assert done.exit_code == 1
        assert f"PROBLEM  {path.name}:2: the line, or what was before it, was changed" in done.stdout
    finally:
        path.write_bytes(original)
    verified(server)
