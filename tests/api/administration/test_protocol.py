"""The protocol of the administration API: bodies, what is wrong with them, signatures, errors and records."""

from __future__ import annotations

import json

import pytest

from hounsfield.api.administration.members import MOST_BODY_BYTES
from support.audit_trail import audit_bytes, record_of
from support.clients.administration import administer, call, post, refused
from support.clients.signed_http import send, send_signed
from support.servers import ServerProcess

PATH = "/administration/CreateUser"


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        (b"{", "SerializationException", "stops being JSON at line 1, column 2"),
        (b"[]", "SerializationException", "must be a JSON object"),
        (b'{"UserName": "a", "UserName": "b"}', "SerializationException", "has UserName twice"),
        (b'{"UserName": NaN}', "SerializationException", "has NaN, which is not JSON"),
        (b'{"UserName": "\xff"}', "SerializationException", "must be UTF-8; byte 14 is not"),
        (b'{"MaxItems": 1%s}' % (b"0" * 5000), "SerializationException", "number that is longer than any value"),
        (b"[" * 40 + b"]" * 40, "SerializationException", "at most 16 deep"),
        # Counting the nesting of such a string took hours.
        pytest.param(
            b'{"UserName": "' + b'\\"' * 250_000,
            "SerializationException",
            "stops being JSON at line 1, column 14",
            id="a string without an end",
        ),
        pytest.param(
            ('["\u2200",' + "[" * 100_000 + '"').encode("utf-16-le"),
            "SerializationException",
            "stops being JSON at line 1, column 2",
            id="UTF-16, deep",
        ),
        (b'{"UserName": "a", "Path": "/"}', "ValidationException", "no member Path; the operation has UserName, Tags"),
        (b'{"\x7f": 1}', "ValidationException", "a name that cannot be shown"),
        (b"{}", "ValidationException", "UserName must be given: a string"),
        (b"", "ValidationException", "UserName must be given: a string"),
        (b'{"UserName": null}', "ValidationException", "UserName must be given"),
        (b'{"UserName": 7}', "ValidationException", "UserName must be a string"),
        (b'{"UserName": ""}', "ValidationException", "1 to 64 characters, not 0"),
        (b'{"UserName": "a\\u0000b"}', "ValidationException", "no control characters"),
        (b'{"UserName": "a", "Tags": [{"Key": "\\ud800", "Value": ""}]}', "SerializationException", "half a character"),
        (b'{"UserName": "a/b"}', "ValidationException", "the user name must be 1 to 64 letters"),
        (b'{"UserName": "a", "Tags": {"a": "b"}}', "ValidationException", "Tags must be a list of tags"),
        (b'{"UserName": "a", "Tags": [{"Key": "a"}]}', "ValidationException", "an object with Key and Value"),
        (b'{"UserName": "a", "Tags": [{"Key": "a", "Value": 1}]}', "ValidationException", "must be strings"),
        (
            b'{"UserName": "a", "Tags": [{"Key": "a", "Value": ""}, {"Key": "a", "Value": ""}]}',
            "ValidationException",
            "a key twice",
        ),
        (
            b'{"UserName": "a", "Tags": [%s]}' % b",".join([b"1"] * 51),
            "ValidationException",
            "50 entries at most, not 51",
        ),
    ],
)
def test_what_is_wrong_with_a_body_is_said_in_words(server: ServerProcess, body: bytes, code: str, said: str) -> None:
    answer = post(server, "CreateUser", body)
    assert (answer.status, answer.code) == (400, code)
    assert said in answer.message
    assert answer.headers["x-amzn-requestid"]


def test_lists_take_whole_numbers_within_bounds(server: ServerProcess) -> None:
    for value, said in (
        (0, "must be 1 to 1000"),
        (1001, "must be 1 to 1000"),
        (True, "an integer"),
        (1.5, "an integer"),
    ):
        assert said in refused(server, "ListUsers", MaxItems=value)[2]
    assert "true or false" in refused(server, "DeleteUser", UserName="a", Force="yes")[2]


def test_a_body_is_bounded_and_an_empty_one_is_an_object_without_members(server: ServerProcess) -> None:
    large = post(server, "CreateUser", b" " * (MOST_BODY_BYTES + 1))
    assert (large.status, large.code) == (413, "RequestEntityTooLargeException")
    assert post(server, "ListUsers", b"").status == 200


def test_operations_are_called_by_post_and_signed_for_their_service(server: ServerProcess) -> None:
    assert send(server, "POST", PATH, b"{}").code == "MissingAuthenticationTokenException"
    other = send_signed(server, "POST", PATH, b"{}")
    assert (other.status, other.code) == (403, "InvalidSignatureException")
    read = send_signed(server, "GET", PATH, service="hounsfield")
    assert (read.status, read.headers["allow"]) == (405, "POST")
    unknown = post(server, "CreateGroup", b"{}")
    assert (unknown.status, unknown.code) == (404, "UnknownOperationException")


def test_an_answer_is_json_that_nobody_keeps(server: ServerProcess) -> None:
    answer = call(server, "ListUsers")
    assert (answer.headers["content-type"], answer.headers["cache-control"]) == ("application/json", "no-store")
    assert json.loads(answer.body)["IsTruncated"] is False


def test_a_call_that_no_record_can_hold_is_refused_and_recorded(server: ServerProcess) -> None:
    body = b'{"UserName": "ann", "PolicyName": "own", "PolicyDocument": "\\ud800"}'
    answer = post(server, "PutUserPolicy", body)
    assert (answer.status, answer.code) == (400, "SerializationException")
    record = record_of(server, answer.headers["x-amzn-requestid"])
    assert (record["eventName"], record["requestParameters"]) == ("PutUserPolicy", None)


def test_a_call_is_recorded_as_one_of_its_service(server: ServerProcess) -> None:
    made = call(server, "CreateUser", UserName="recorded", Tags=[{"Key": "SecretAccessKey", "Value": "of ward 3"}])
    record = record_of(server, made.headers["x-amzn-requestid"])
    arn = "arn:aws:iam::000000000000:user/recorded"
    assert (record["eventSource"], record["eventName"]) == ("iam.amazonaws.com", "CreateUser")
    tags = [{"key": "SecretAccessKey", "value": "of ward 3"}]
    assert record["requestParameters"] == {"userName": "recorded", "tags": tags}
    assert record["responseElements"]["user"]["arn"] == arn
    assert record["resources"] == [{"accountId": "000000000000", "type": "AWS::IAM::User", "ARN": arn}]
    assert (record["readOnly"], record["managementEvent"]) == (False, True)
    shown = record_of(server, call(server, "GetUser", UserName="recorded").headers["x-amzn-requestid"])
    assert (shown["readOnly"], shown["responseElements"]) == (True, None)
    failed = record_of(server, call(server, "CreateUser", UserName="recorded").headers["x-amzn-requestid"])
    assert failed["errorCode"] == "EntityAlreadyExistsException"
    broken = record_of(
        server, post(server, "CreateUser", b'{"UserName": 7, "x": "hushed"}').headers["x-amzn-requestid"]
    )
    assert (broken["eventName"], broken["requestParameters"]) == ("CreateUser", None)
    assert b"hushed" not in audit_bytes(server)
    administer(server, "DeleteUser", UserName="recorded")
