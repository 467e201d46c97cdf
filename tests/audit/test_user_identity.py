"""The audit trail tells users, roles and operators apart, and holds none of their secrets."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from support.audit_trail import Record, audit_bytes, record_of, records, verified
from support.identities.users import answer, command, refusal
from support.servers import ServerProcess, wait_for

ACCOUNT = "000000000000"
READER = f"arn:aws:iam::{ACCOUNT}:role/audit-reader"
USER = f"arn:aws:iam::{ACCOUNT}:user/audit-ada"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": USER}, "Action": "sts:AssumeRole"}],
}
LISTING = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": ["medical-imaging:ListDatastores", "sts:AssumeRole"], "Resource": "*"},
    ],
}


@pytest.fixture(scope="module")
def key(server: ServerProcess) -> dict[str, str]:
    """The key of a user who may list data stores and take a role, made by commands."""
    answer(server, "user", "create", "audit-ada")
    answer(server, "policy", "put", "listing", "-", "--user", "audit-ada", given=json.dumps(LISTING))
    answer(server, "role", "create", "audit-reader", "--trust", "-", given=json.dumps(TRUST))
    answer(server, "policy", "put", "listing", "-", "--role", "audit-reader", given=json.dumps(LISTING))
    made: dict[str, str] = answer(server, "access-key", "create", "audit-ada")
    client = server.client(key=(made["access_key_id"], made["secret_access_key"]))
    wait_for(lambda: refusal(client) is None, "the key to be let in")
    return made


def test_commands_that_change_something_are_recorded(server: ServerProcess, key: dict[str, str]) -> None:
    answer(server, "user", "list")
    assert command(server, "user", "create", "audit-ada").exit_code == 1
    of_commands = [record for record in records(server) if record["eventSource"] == "iam.amazonaws.com"]
    names = [record["eventName"] for record in of_commands]
    assert {"CreateUser", "PutPolicy", "CreateRole", "CreateKey"} <= set(names)
    assert "ListUser" not in names
    # Each command has a chain of its own; those of one second have no order.
    made, again = sorted(
        (
            record
            for record in of_commands
            if record["eventName"] == "CreateUser" and (record["requestParameters"] or {}).get("name") == "audit-ada"
        ),
        key=lambda record: "errorCode" in record,
    )
    assert made["userIdentity"]["type"] == "Root"
    assert made["additionalEventData"]["operatingSystemUser"]
    assert "errorCode" not in made
    assert again["errorCode"]


def test_a_user_is_recorded_by_name_and_key_also_when_denied(server: ServerProcess, key: dict[str, str]) -> None:
    client = server.client(key=(key["access_key_id"], key["secret_access_key"]))
    allowed = client.list_datastores()["ResponseMetadata"]["RequestId"]
    with pytest.raises(ClientError) as caught:
        client.create_datastore(datastoreName="denied")
    denied = caught.value.response["ResponseMetadata"]["RequestId"]
    for request_id in (allowed, denied):
        identity = record_of(server, request_id)["userIdentity"]
        assert identity["type"] == "IAMUser"
        assert (identity["userName"], identity["arn"]) == ("audit-ada", USER)
        assert identity["accessKeyId"] == key["access_key_id"]
    record = record_of(server, denied)
    assert record["errorCode"] == "AccessDeniedException"
    assert "is not authorized to perform: medical-imaging:CreateDatastore" in record["errorMessage"]
    assert record["responseElements"] is None


def test_a_session_is_followed_from_its_beginning_to_what_it_did(server: ServerProcess, key: dict[str, str]) -> None:
    sts = boto3.client(
        "sts",
        region_name="us-east-1",
        endpoint_url=server.url,
        aws_access_key_id=key["access_key_id"],
        aws_secret_access_key=key["secret_access_key"],
    )

    def assumed() -> Any:
        try:
            return sts.assume_role(RoleArn=READER, RoleSessionName="night-shift")
        except ClientError:
            return None

    session = wait_for(assumed, "the role to be known")
    begun = record_of(server, session["ResponseMetadata"]["RequestId"])
    credentials = session["Credentials"]
    assert (begun["eventSource"], begun["eventName"]) == ("sts.amazonaws.com", "AssumeRole")
    assert begun["readOnly"] is True
    assert begun["userIdentity"]["userName"] == "audit-ada"
    assert begun["requestParameters"] == {"roleArn": READER, "roleSessionName": "night-shift"}
    assert begun["responseElements"]["credentials"]["accessKeyId"] == credentials["AccessKeyId"]
    assert begun["responseElements"]["assumedRoleUser"]["arn"].endswith("assumed-role/audit-reader/night-shift")
    assert begun["resources"] == [{"accountId": ACCOUNT, "type": "AWS::IAM::Role", "ARN": READER}]

    client = boto3.client(
        "medical-imaging",
        region_name="us-east-1",
        endpoint_url=server.url,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )
    did = record_of(server, client.list_datastores()["ResponseMetadata"]["RequestId"])
    identity: Record = did["userIdentity"]
    assert identity["type"] == "AssumedRole"
    assert identity["accessKeyId"] == credentials["AccessKeyId"]
    assert identity["sessionContext"]["sessionIssuer"]["arn"] == READER
    assert identity["sessionContext"]["sessionIssuer"]["userName"] == "audit-reader"

    written = audit_bytes(server)
    for secret in (key["secret_access_key"], credentials["SecretAccessKey"], credentials["SessionToken"]):
        assert secret.encode() not in written
    verified(server)
