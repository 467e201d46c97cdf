"""Simulation: it says what a request would be answered, and why; and who may do what in a data store."""

from __future__ import annotations

from typing import Any

import pytest

from support.clients.administration import administer, refused
from support.identities.users_and_roles import ACCOUNT, UsersAndRoles, allow, deny, role_arn, trust, user_arn
from support.servers import ServerProcess, active_datastore

READ_ONLY = "arn:aws:iam::aws:policy/AWSHealthImagingReadOnlyAccess"


def store_arn(datastore: str) -> str:
    return f"arn:aws:medical-imaging:us-east-1:{ACCOUNT}:datastore/{datastore}"


@pytest.fixture(scope="module")
def store(server: ServerProcess) -> str:
    return active_datastore(server.client(), datastoreName="simulated", tags={"ward": "3"})


def simulate(server: ServerProcess, arn: str, actions: list[str], **members: Any) -> list[dict[str, Any]]:
    answer = administer(server, "SimulatePrincipalPolicy", PolicySourceArn=arn, ActionNames=actions, **members)
    return list(answer["EvaluationResults"])


def test_why_something_is_allowed_or_not(server: ServerProcess, world: UsersAndRoles, store: str) -> None:
    arn = store_arn(store)
    world.user(
        "sim",
        {**allow("medical-imaging:Get*", Condition={"StringEquals": {"aws:ResourceTag/ward": "3"}}), "Sid": "Ward"},
        {**deny("medical-imaging:GetImageFrame", f"{arn}*"), "Sid": "NoFrames"},
        allow("medical-imaging:SearchImageSets", Condition={"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}),
    )
    administer(server, "AttachUserPolicy", UserName="sim", PolicyArn=READ_ONLY)
    actions = [f"medical-imaging:{name}" for name in ("GetDatastore", "GetImageFrame", "DeleteDatastore")]
    allowed, denied, missing = simulate(server, user_arn("sim"), actions, ResourceArns=[arn])
    assert (allowed["EvalDecision"], allowed["EvalResourceName"]) == ("allowed", arn)
    assert {(one["SourcePolicyId"], one.get("Sid")) for one in allowed["MatchedStatements"]} >= {("own", "Ward")}
    assert READ_ONLY in {one["SourcePolicyId"] for one in allowed["MatchedStatements"]}
    assert denied["EvalDecision"] == "explicitDeny"
    assert denied["EvalDecisionReason"] == "with an explicit deny in an identity-based policy"
    (statement,) = denied["MatchedStatements"]
    assert statement == {
        "SourcePolicyId": "own", "SourcePolicyType": "inline", "StatementNumber": 2, "Sid": "NoFrames"
    }  # fmt: skip
    assert (missing["EvalDecision"], missing["MatchedStatements"]) == ("implicitDeny", [])
    assert (
        "because no identity-based policy allows the medical-imaging:DeleteDatastore" in missing["EvalDecisionReason"]
    )
    administer(server, "DetachUserPolicy", UserName="sim", PolicyArn=READ_ONLY)
    search = ["medical-imaging:SearchImageSets"]
    (unknown,) = simulate(server, user_arn("sim"), search, ResourceArns=[arn])
    assert (unknown["EvalDecision"], unknown["MissingContextValues"]) == ("implicitDeny", ["aws:sourceip"])
    for address, decision in (("192.0.2.7", "allowed"), ("198.51.100.7", "implicitDeny")):
        entries = [{"ContextKeyName": "aws:SourceIp", "ContextKeyValues": [address]}]
        (found,) = simulate(server, user_arn("sim"), search, ResourceArns=[arn], ContextEntries=entries)
        assert (found["EvalDecision"], found["MissingContextValues"]) == (decision, [])
    administer(server, "PutUserPermissionsBoundary", UserName="sim", PermissionsBoundary=READ_ONLY)
    world.let_user("sim", allow("*"))
    (bounded,) = simulate(server, user_arn("sim"), ["medical-imaging:DeleteDatastore"], ResourceArns=[arn])
    assert bounded["EvalDecision"] == "implicitDeny"
    assert "no permissions boundary allows" in bounded["EvalDecisionReason"]
    assert [one["SourcePolicyType"] for one in bounded["MatchedStatements"]] == ["inline"]


def test_a_role_and_tags_of_users(server: ServerProcess, world: UsersAndRoles) -> None:
    own_ward = {"StringEquals": {"aws:ResourceTag/ward": "${aws:PrincipalTag/ward}"}}
    world.role(
        "sim-role",
        trust({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}),
        allow("iam:DeleteUser", Condition=own_ward),
        tags={"ward": "3"},
    )
    world.user("sim-three", tags={"ward": "3"})
    world.user("sim-four", tags={"ward": "4"})
    found = simulate(
        server,
        role_arn("sim-role"),
        ["iam:DeleteUser"],
        ResourceArns=[user_arn("sim-three"), user_arn("sim-four"), "*"],
    )
    assert [one["EvalDecision"] for one in found] == ["allowed", "implicitDeny", "implicitDeny"]


def test_what_a_simulation_must_be_asked(server: ServerProcess, world: UsersAndRoles) -> None:
    def said(arn: str, actions: list[str], **members: Any) -> str:
        return refused(server, "SimulatePrincipalPolicy", PolicySourceArn=arn, ActionNames=actions, **members)[2]

    assert "the ARN of a user or role of this account" in said("arn:aws:iam::111111111111:user/x", ["s3:GetObject"])
    assert "there is no user sim-missing" in said(user_arn("sim-missing"), ["s3:GetObject"])
    world.user("sim-asked")
    assert "a service and an action" in said(user_arn("sim-asked"), ["GetObject"])
    assert "1000 at most" in said(user_arn("sim-asked"), ["s3:GetObject"] * 100, ResourceArns=["*"] * 11)
    wrong = [{"ContextKeyName": "aws:SourceIp", "ContextKeyValues": "x"}]
    assert "a list of strings" in said(user_arn("sim-asked"), ["s3:GetObject"], ContextEntries=wrong)
    key = world.user("sim-asking", allow("iam:SimulatePrincipalPolicy", user_arn("sim-asking")))
    members: dict[str, Any] = {"ActionNames": ["s3:GetObject"]}
    administer(server, "SimulatePrincipalPolicy", key, PolicySourceArn=user_arn("sim-asking"), **members)
    other = refused(server, "SimulatePrincipalPolicy", key, PolicySourceArn=user_arn("sim-asked"), **members)
    assert other[:2] == (403, "AccessDeniedException")


def test_who_may_do_what_in_a_data_store(server: ServerProcess, world: UsersAndRoles, store: str) -> None:
    arn = store_arn(store)
    study = {"StringEquals": {"medical-imaging:StudyInstanceUID": "1.2.3"}}
    world.user("acc-reader", allow("medical-imaging:Get*", "*"))
    world.user("acc-study", allow("medical-imaging:GetDICOM*", arn, Condition=study))
    world.user("acc-store-only", allow("medical-imaging:*", arn))
    world.user("acc-one", allow("medical-imaging:*", [arn, f"{arn}/imageset/{'0' * 32}"]))
    world.user("acc-tags", allow("medical-imaging:*", Condition={"StringEquals": {"aws:ResourceTag/ward": "3"}}))
    world.user("acc-denied", allow("*"), deny("medical-imaging:*", arn))
    world.role("acc-role", trust({"AWS": "*"}), allow("medical-imaging:StoreDICOM", arn))
    actions = ["GetDatastore", "GetImageSet", "GetDICOMInstance", "StoreDICOM", "DeleteImageSet", "TagResource"]
    answer = administer(server, "ListDatastoreAccess", DatastoreId=store, NameContains="acc-", ActionNames=actions)
    found = {one["Arn"]: "".join(one["Decisions"][name][0] for name in actions) for one in answer["Principals"]}
    assert answer["Restricted"] is False
    assert found == {
        user_arn("acc-reader"): "aaaddd",
        user_arn("acc-study"): "ddcddd",
        user_arn("acc-store-only"): "adaada",
        user_arn("acc-one"): "accaca",
        user_arn("acc-tags"): "acaaca",
        user_arn("acc-denied"): "dddddd",
        role_arn("acc-role"): "dddadd",
    }
    first = administer(server, "ListDatastoreAccess", DatastoreId=store, NameContains="acc-", MaxItems=4)
    rest = administer(
        server, "ListDatastoreAccess", DatastoreId=store, NameContains="acc-", MaxItems=4, Marker=first["Marker"]
    )
    names = [one["Name"] for page in (first, rest) for one in page["Principals"]]
    assert names == sorted(names)
    assert (len(names), first["TotalCount"], rest["IsTruncated"]) == (7, 7, False)
    assert len(first["Principals"][0]["Decisions"]) > 25


def test_access_is_told_to_those_who_may_know_it(server: ServerProcess, world: UsersAndRoles, store: str) -> None:
    key = world.user("acc-asking", allow("hounsfield:ListDatastoreAccess", store_arn(store)))
    assert administer(server, "ListDatastoreAccess", key, DatastoreId=store)["Principals"]
    other = active_datastore(server.client(), datastoreName="not-told")
    assert refused(server, "ListDatastoreAccess", key, DatastoreId=other)[:2] == (403, "AccessDeniedException")
    missing = refused(server, "ListDatastoreAccess", DatastoreId="0" * 32)
    assert missing[:2] == (404, "ResourceNotFoundException")
    wrong = refused(server, "ListDatastoreAccess", DatastoreId=store, ActionNames=["CreateDatastore"])
    assert "must be one of GetDatastore" in wrong[2] or "must be one of" in wrong[2]
