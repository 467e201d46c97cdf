"""Users by the administration API: what it does, what it refuses, and who may."""

from __future__ import annotations

from support.clients.administration import administer, call, refused
from support.identities.users_and_roles import UsersAndRoles, allow, deny, user_arn
from support.servers import ServerProcess


def test_the_life_of_a_user(server: ServerProcess) -> None:
    tags = [{"Key": "ward", "Value": "3"}, {"Key": "Name", "Value": "Ärztin 1"}]
    made = administer(server, "CreateUser", UserName="Life", Tags=tags)["User"]
    assert (made["UserName"], made["Arn"]) == ("Life", user_arn("Life"))
    assert made["UserId"].startswith("AIDA")
    assert "PermissionsBoundary" not in made
    assert refused(server, "CreateUser", UserName="lIFE")[:2] == (409, "EntityAlreadyExistsException")
    assert administer(server, "GetUser", UserName="life")["User"] == made
    administer(server, "TagUser", UserName="Life", Tags=[{"Key": "Ward", "Value": "4"}])
    administer(server, "UntagUser", UserName="Life", TagKeys=["Name"])
    assert administer(server, "GetUser", UserName="Life")["User"]["Tags"] == [{"Key": "Ward", "Value": "4"}]
    assert administer(server, "DeleteUser", UserName="Life") == {}
    missing = refused(server, "GetUser", UserName="Life")
    assert missing == (404, "NoSuchEntityException", "there is no user Life")


def test_a_list_has_pages_and_a_filter(server: ServerProcess) -> None:
    names = [f"paged-{letter}" for letter in "aBcD"]
    for name in reversed(names):
        administer(server, "CreateUser", UserName=name)
    first = administer(server, "ListUsers", NameContains="PAGED-", MaxItems=3)
    assert [user["UserName"] for user in first["Users"]] == names[:3]
    assert (first["IsTruncated"], first["TotalCount"]) == (True, 4)
    rest = administer(server, "ListUsers", NameContains="PAGED-", MaxItems=3, Marker=first["Marker"])
    assert [user["UserName"] for user in rest["Users"]] == names[3:]
    assert (rest["IsTruncated"], rest.get("Marker")) == (False, None)
    for name in names:
        administer(server, "DeleteUser", UserName=name)


def test_a_user_who_names_nobody_is_meant(server: ServerProcess, world: UsersAndRoles) -> None:
    key = world.user("self", allow("iam:GetUser", "arn:aws:iam::000000000000:user/${aws:username}"))
    assert administer(server, "GetUser", key)["User"]["UserName"] == "self"
    assert refused(server, "GetUser") == (400, "ValidationException", "UserName must be given: the caller is no user.")
    assert refused(server, "GetUser", key, UserName="other")[:2] == (403, "AccessDeniedException")


def test_policies_decide_on_the_true_name_of_a_user(server: ServerProcess, world: UsersAndRoles) -> None:
    key = world.user("keeper", allow("iam:*User"), deny("iam:*User", user_arn("Chief")))
    administer(server, "CreateUser", UserName="Chief")
    for name in ("Chief", "chief", "CHIEF"):
        assert refused(server, "DeleteUser", key, UserName=name)[2] == (
            f"User: {user_arn('keeper')} is not authorized to perform: iam:DeleteUser on resource: "
            f"{user_arn('Chief')} with an explicit deny in an identity-based policy"
        )
    assert refused(server, "DeleteUser", key, UserName="nobody-there")[0] == 404
    administer(server, "DeleteUser", UserName="Chief")


def test_who_may_create_users_with_tags_only_may_make_no_others(server: ServerProcess, world: UsersAndRoles) -> None:
    tagged = {"StringEquals": {"aws:RequestTag/ward": "3"}, "ForAllValues:StringEquals": {"aws:TagKeys": ["ward"]}}
    key = world.user("ward-lead", allow(["iam:CreateUser", "iam:TagUser"], Condition=tagged), allow(
        ["iam:DeleteUser", "iam:UntagUser"], Condition={"StringEquals": {"aws:ResourceTag/ward": "3"}}
    ))  # fmt: skip
    ward, other = [{"Key": "ward", "Value": "3"}], [{"Key": "ward", "Value": "4"}]
    assert refused(server, "CreateUser", key, UserName="w1")[0] == 403
    assert refused(server, "CreateUser", key, UserName="w1", Tags=other)[0] == 403
    assert refused(server, "CreateUser", key, UserName="w1", Tags=[*ward, {"Key": "a", "Value": "b"}])[0] == 403
    assert administer(server, "CreateUser", key, UserName="w1", Tags=ward)
    administer(server, "CreateUser", UserName="w2", Tags=other)
    assert refused(server, "TagUser", key, UserName="w2", Tags=other)[0] == 403
    assert refused(server, "UntagUser", key, UserName="w2", TagKeys=["ward"])[0] == 403
    assert refused(server, "DeleteUser", key, UserName="w2")[0] == 403
    administer(server, "DeleteUser", key, UserName="w1")
    administer(server, "DeleteUser", UserName="w2")


def test_who_may_create_bounded_users_only_may_make_no_others(server: ServerProcess, world: UsersAndRoles) -> None:
    administer(server, "CreateUser", UserName="unbounded")
    boundary = "arn:aws:iam::aws:policy/AWSHealthImagingReadOnlyAccess"
    world_policy = allow("iam:CreateUser", Condition={"StringEquals": {"iam:PermissionsBoundary": boundary}})
    key = world.user("delegate", world_policy)
    assert refused(server, "CreateUser", key, UserName="bounded")[0] == 403
    other = "arn:aws:iam::aws:policy/AWSHealthImagingFullAccess"
    assert refused(server, "CreateUser", key, UserName="bounded", PermissionsBoundary=other)[0] == 403
    made = administer(server, "CreateUser", key, UserName="bounded", PermissionsBoundary=boundary)["User"]
    assert made["PermissionsBoundary"] == {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": boundary}
    missing = "arn:aws:iam::000000000000:policy/missing"
    assert refused(server, "CreateUser", UserName="b2", PermissionsBoundary=missing)[:2] == (
        404,
        "NoSuchEntityException",
    )
    assert refused(server, "GetUser", UserName="b2")[0] == 404
    for name in ("bounded", "unbounded"):
        administer(server, "DeleteUser", UserName=name)


def test_a_user_with_keys_or_policies_goes_with_force_only_and_with_every_permission(
    server: ServerProcess, world: UsersAndRoles
) -> None:
    world.user("held", allow("s3:*"))
    assert refused(server, "DeleteUser", UserName="held")[:2] == (409, "DeleteConflictException")
    key = world.user("remover", allow("iam:DeleteUser"))
    assert "iam:DeleteAccessKey" in refused(server, "DeleteUser", key, UserName="held", Force=True)[2]
    key = world.user("remover2", allow(["iam:DeleteUser", "iam:DeleteAccessKey"]))
    assert "iam:DeleteUserPolicy" in refused(server, "DeleteUser", key, UserName="held", Force=True)[2]
    key = world.user("remover3", allow(["iam:DeleteUser", "iam:DeleteAccessKey", "iam:DeleteUserPolicy"]))
    administer(server, "DeleteUser", key, UserName="held", Force=True)
    assert call(server, "GetUser", UserName="held").status == 404
