"""Access keys by the administration API: made once shown, disabled, let expire, replaced, deleted, and whose they are."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from botocore.exceptions import ClientError

from support.audit_trail import audit_bytes, record_of
from support.clients.administration import administer, call, refused
from support.identities.users_and_roles import UsersAndRoles, allow, user_arn
from support.servers import ServerProcess, wait_for

OWN = "arn:aws:iam::000000000000:user/${aws:username}"


def code_of(world: UsersAndRoles, key: tuple[str, str]) -> str:
    """Return what a request with a key is refused with; empty for none."""
    try:
        world.client("medical-imaging", key).list_datastores()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def test_the_life_of_a_key(server: ServerProcess, world: UsersAndRoles) -> None:
    administer(server, "CreateUser", UserName="keyed")
    world.let_user("keyed", allow("medical-imaging:ListDatastores"))
    answer = call(server, "CreateAccessKey", UserName="Keyed")
    made = json.loads(answer.body)["AccessKey"]
    assert (made["UserName"], made["Status"]) == ("keyed", "Active")
    key = (made["AccessKeyId"], made["SecretAccessKey"])
    record = record_of(server, answer.headers["x-amzn-requestid"])
    assert record["responseElements"]["accessKey"]["accessKeyId"] == key[0]
    assert key[1].encode() not in audit_bytes(server)
    wait_for(lambda: code_of(world, key) == "", "the key to count")
    administer(server, "UpdateAccessKey", UserName="keyed", AccessKeyId=key[0], Status="Inactive")
    wait_for(lambda: code_of(world, key) == "UnrecognizedClientException", "the key to be disabled")
    soon = (datetime.now(UTC) + timedelta(days=90)).replace(microsecond=0)
    when = soon.strftime("%Y-%m-%dT%H:%M:%SZ")
    changed = administer(
        server, "UpdateAccessKey", UserName="keyed", AccessKeyId=key[0], Status="Active", ExpirationDate=when
    )["AccessKey"]
    assert (changed["Status"], changed["ExpirationDate"]) == ("Active", when)
    second = administer(server, "CreateAccessKey", UserName="keyed", ExpirationDate=when)["AccessKey"]
    assert second["ExpirationDate"] == when
    assert refused(server, "CreateAccessKey", UserName="keyed")[:2] == (409, "LimitExceededException")
    never = administer(server, "UpdateAccessKey", UserName="keyed", AccessKeyId=key[0], NeverExpires=True)["AccessKey"]
    assert "ExpirationDate" not in never
    listed = administer(server, "ListAccessKeys", UserName="keyed")["AccessKeyMetadata"]
    assert [entry["AccessKeyId"] for entry in listed] == [key[0], second["AccessKeyId"]]
    assert not any("SecretAccessKey" in entry for entry in listed)
    for entry in listed:
        administer(server, "DeleteAccessKey", UserName="keyed", AccessKeyId=entry["AccessKeyId"])
    assert administer(server, "ListAccessKeys", UserName="keyed") == {"AccessKeyMetadata": []}
    administer(server, "DeleteUser", UserName="keyed", Force=True)


def test_what_a_change_must_say(server: ServerProcess, world: UsersAndRoles) -> None:
    key_id = world.user("changing-keys")[0]

    def said(**members: object) -> str:
        return refused(server, "UpdateAccessKey", UserName="changing-keys", AccessKeyId=key_id, **members)[2]

    assert "One of Status, ExpirationDate and NeverExpires" in said()
    assert "exclude each other" in said(NeverExpires=True, ExpirationDate="2099-01-01T00:00:00Z")
    assert "must be one of Active, Inactive" in said(Status="Disabled")
    for wrong in ("2099-01-01", "2099-01-01T00:00:00", "90d", "0001-01-01T00:00:00+14:00", 7):
        assert "a time with its offset" in said(ExpirationDate=wrong)
    assert "must be in the future" in said(ExpirationDate="2020-01-01T00:00:00Z")


def test_a_user_manages_its_own_keys_and_nobody_elses(server: ServerProcess, world: UsersAndRoles) -> None:
    others = world.user("other-owner")
    key = world.user("own-keys", allow("iam:*AccessKey*", OWN))
    second = administer(server, "CreateAccessKey", key)["AccessKey"]
    assert second["UserName"] == "own-keys"
    assert len(administer(server, "ListAccessKeys", key)["AccessKeyMetadata"]) == 2
    administer(server, "DeleteAccessKey", key, AccessKeyId=second["AccessKeyId"])
    arn = user_arn("other-owner")
    for operation, more in (("DeleteAccessKey", {}), ("UpdateAccessKey", {"Status": "Inactive"})):
        named = refused(server, operation, key, UserName="Other-Owner", AccessKeyId=others[0], **more)
        assert named[0] == 403
        assert f"on resource: {arn} " in named[2]
        # That the user who calls is named does not make the key its own.
        assert refused(server, operation, key, AccessKeyId=others[0], **more)[:2] == (404, "NoSuchEntityException")
    assert code_of(world, others) == "AccessDeniedException"


def test_the_root_key_is_nobodys_to_change(server: ServerProcess) -> None:
    root = server.key()[0]
    for operation, more in (("DeleteAccessKey", {}), ("UpdateAccessKey", {"Status": "Inactive"})):
        status, code, said = refused(server, operation, AccessKeyId=root, **more)
        assert (status, code) == (400, "ValidationException")
        assert "is the root key" in said


def test_who_may_nothing_does_not_learn_which_key_is_the_root_key(server: ServerProcess, world: UsersAndRoles) -> None:
    key = world.user("guesser", allow("medical-imaging:ListDatastores"))
    for key_id in (server.key()[0], key[0]):
        assert refused(server, "DeleteAccessKey", key, AccessKeyId=key_id)[0] == 403
