"""Policies by the administration API: managed ones, attachments, inline policies, boundaries, and who may bind which."""

from __future__ import annotations

import json

from support.clients.administration import administer, refused
from support.identities.users_and_roles import ACCOUNT, UsersAndRoles, allow, deny, policy, trust, user_arn
from support.servers import ServerProcess

READ = policy(allow("medical-imaging:Get*"))
READ_ONLY = "arn:aws:iam::aws:policy/AWSHealthImagingReadOnlyAccess"
FULL = "arn:aws:iam::aws:policy/AWSHealthImagingFullAccess"


def arn_of(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:policy/{name}"


def test_the_life_of_a_managed_policy(server: ServerProcess, world: UsersAndRoles) -> None:
    made = administer(server, "CreatePolicy", PolicyName="Read", PolicyDocument=READ, Description="Reads all")["Policy"]
    assert (made["Arn"], made["AttachmentCount"], made["Description"]) == (arn_of("Read"), 0, "Reads all")
    assert refused(server, "CreatePolicy", PolicyName="read", PolicyDocument=READ)[:2] == (
        409,
        "EntityAlreadyExistsException",
    )
    shown = administer(server, "GetPolicyVersion", PolicyArn=arn_of("read"))["PolicyVersion"]
    assert (shown["Document"], shown["IsDefaultVersion"]) == (READ, True)
    other = policy(allow("medical-imaging:Search*"))
    administer(server, "CreatePolicyVersion", PolicyArn=made["Arn"], PolicyDocument=other, SetAsDefault=True)
    assert administer(server, "GetPolicyVersion", PolicyArn=made["Arn"])["PolicyVersion"]["Document"] == other
    said = refused(server, "CreatePolicyVersion", PolicyArn=made["Arn"], PolicyDocument=READ, SetAsDefault=False)[2]
    assert "SetAsDefault must be true" in said
    world.user("holder")
    world.role("holding", trust({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}))
    administer(server, "AttachUserPolicy", UserName="holder", PolicyArn=made["Arn"])
    administer(server, "PutRolePermissionsBoundary", RoleName="holding", PermissionsBoundary=made["Arn"])
    held = administer(server, "ListEntitiesForPolicy", PolicyArn=made["Arn"])
    assert [(user["UserName"], user["Usage"]) for user in held["PolicyUsers"]] == [("holder", ["PermissionsPolicy"])]
    assert [(role["RoleName"], role["Usage"]) for role in held["PolicyRoles"]] == [("holding", ["PermissionsBoundary"])]
    assert administer(server, "GetPolicy", PolicyArn=made["Arn"])["Policy"]["AttachmentCount"] == 2
    conflict = refused(server, "DeletePolicy", PolicyArn=made["Arn"])
    assert conflict[:2] == (409, "DeleteConflictException")
    assert user_arn("holder") in conflict[2]
    administer(server, "DetachUserPolicy", UserName="holder", PolicyArn=made["Arn"])
    administer(server, "DeleteRolePermissionsBoundary", RoleName="holding")
    administer(server, "DeletePolicy", PolicyArn=made["Arn"])
    assert refused(server, "GetPolicy", PolicyArn=made["Arn"])[:2] == (404, "NoSuchEntityException")


def test_lists_of_policies_by_whose_they_are(server: ServerProcess) -> None:
    administer(server, "CreatePolicy", PolicyName="listed", PolicyDocument=READ)

    def names(**members: object) -> list[str]:
        return [one["PolicyName"] for one in administer(server, "ListPolicies", MaxItems=1000, **members)["Policies"]]

    assert "listed" in names()
    assert FULL.rpartition("/")[2] in names()
    assert "listed" in names(Scope="Local")
    assert FULL.rpartition("/")[2] not in names(Scope="Local")
    assert "listed" not in names(Scope="AWS")
    assert "listed" not in names(OnlyAttached=True)
    administer(server, "DeletePolicy", PolicyArn=arn_of("listed"))
    built_in = refused(server, "DeletePolicy", PolicyArn=FULL)
    assert built_in[:2] == (400, "ValidationException")
    assert "is built in and cannot be changed" in built_in[2]


def test_policies_of_a_user_and_of_a_role(server: ServerProcess, world: UsersAndRoles) -> None:
    world.user("bearing")
    world.role("bearing", trust({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}))
    for noun in ("User", "Role"):
        who = {f"{noun}Name": "bearing"}
        administer(server, f"Attach{noun}Policy", **who, PolicyArn=READ_ONLY)
        again = refused(server, f"Attach{noun}Policy", **who, PolicyArn=READ_ONLY)
        assert again[:2] == (409, "EntityAlreadyExistsException")
        attached = administer(server, f"ListAttached{noun}Policies", **who)["AttachedPolicies"]
        assert attached == [{"PolicyName": "AWSHealthImagingReadOnlyAccess", "PolicyArn": READ_ONLY}]
        administer(server, f"Put{noun}Policy", **who, PolicyName="own", PolicyDocument=READ)
        assert administer(server, f"List{noun}Policies", **who) == {"PolicyNames": ["own"]}
        shown = administer(server, f"Get{noun}Policy", **who, PolicyName="own")
        assert shown == {**who, "PolicyName": "own", "PolicyDocument": READ}
        broken = refused(server, f"Put{noun}Policy", **who, PolicyName="own", PolicyDocument='{"Version": "2012"}')
        assert broken[1] == "MalformedPolicyDocumentException"
        administer(server, f"Put{noun}PermissionsBoundary", **who, PermissionsBoundary=FULL)
        boundary = administer(server, f"Get{noun}", **who)[noun]["PermissionsBoundary"]["PermissionsBoundaryArn"]
        assert boundary == FULL
        administer(server, f"Delete{noun}PermissionsBoundary", **who)
        administer(server, f"Delete{noun}Policy", **who, PolicyName="own")
        assert refused(server, f"Delete{noun}Policy", **who, PolicyName="own")[0] == 404
        assert refused(server, f"Get{noun}Policy", **who, PolicyName="own")[0] == 404
        administer(server, f"Detach{noun}Policy", **who, PolicyArn=READ_ONLY)
        assert refused(server, f"Detach{noun}Policy", **who, PolicyArn=READ_ONLY)[0] == 404
        assert "PermissionsBoundary" not in administer(server, f"Get{noun}", **who)[noun]


def test_who_may_attach_one_policy_only_attaches_no_other(server: ServerProcess, world: UsersAndRoles) -> None:
    administer(server, "CreateUser", UserName="given")
    only = {"ArnEquals": {"iam:PolicyARN": READ_ONLY}}
    key = world.user("giver", allow(["iam:AttachUserPolicy", "iam:DetachUserPolicy"], Condition=only))
    assert refused(server, "AttachUserPolicy", key, UserName="given", PolicyArn=FULL)[0] == 403
    administer(server, "AttachUserPolicy", key, UserName="given", PolicyArn=READ_ONLY)
    administer(server, "DetachUserPolicy", key, UserName="given", PolicyArn=READ_ONLY)
    # Nor may it write itself a policy.
    assert refused(server, "PutUserPolicy", key, UserName="giver", PolicyName="x", PolicyDocument=READ)[0] == 403
    administer(server, "DeleteUser", UserName="given")


def test_who_may_change_bounded_users_only_changes_no_others(server: ServerProcess, world: UsersAndRoles) -> None:
    administer(server, "CreateUser", UserName="in-bounds", PermissionsBoundary=READ_ONLY)
    administer(server, "CreateUser", UserName="out-of-bounds")
    bounded = {"StringEquals": {"iam:PermissionsBoundary": READ_ONLY}}
    key = world.user("bounds", allow("iam:*", Condition=bounded), deny("iam:DeleteUserPermissionsBoundary"))
    for operation, more in (
        ("AttachUserPolicy", {"PolicyArn": FULL}),
        ("PutUserPolicy", {"PolicyName": "x", "PolicyDocument": READ}),
    ):
        assert refused(server, operation, key, UserName="out-of-bounds", **more)[0] == 403
        administer(server, operation, key, UserName="In-Bounds", **more)
    assert refused(server, "PutUserPermissionsBoundary", key, UserName="in-bounds", PermissionsBoundary=FULL)[0] == 403
    administer(server, "PutUserPermissionsBoundary", key, UserName="in-bounds", PermissionsBoundary=READ_ONLY)
    assert refused(server, "DeleteUserPermissionsBoundary", key, UserName="in-bounds")[0] == 403
    administer(server, "DeleteUser", UserName="in-bounds", Force=True)
    administer(server, "DeleteUser", UserName="out-of-bounds")


def test_policies_decide_on_the_true_name_of_a_policy(server: ServerProcess, world: UsersAndRoles) -> None:
    administer(server, "CreatePolicy", PolicyName="Guarded", PolicyDocument=READ)
    key = world.user("editor", allow("iam:*Policy*"), deny("iam:CreatePolicyVersion", arn_of("Guarded")))
    everything = policy(allow("*"))
    for name in ("Guarded", "guarded"):
        said = refused(server, "CreatePolicyVersion", key, PolicyArn=arn_of(name), PolicyDocument=everything)
        assert said[0] == 403
        assert arn_of("Guarded") in said[2]
    assert json.loads(administer(server, "GetPolicyVersion", PolicyArn=arn_of("guarded"))["PolicyVersion"]["Document"])
    administer(server, "DeletePolicy", PolicyArn=arn_of("Guarded"))
