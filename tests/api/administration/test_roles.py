"""Roles by the administration API, and that their trust policies count."""

from __future__ import annotations

import json

from support.clients.administration import administer, refused
from support.identities.users_and_roles import ACCOUNT, UsersAndRoles, allow, policy, refusal, role_arn, trust
from support.servers import ServerProcess, wait_for

EVERYBODY = policy(trust({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}))
NOBODY = policy(trust({"AWS": "arn:aws:iam::111111111111:root"}))


def test_the_life_of_a_role(server: ServerProcess, world: UsersAndRoles) -> None:
    made = administer(
        server,
        "CreateRole",
        RoleName="Night",
        AssumeRolePolicyDocument=NOBODY,
        Description="Reads at night",
        MaxSessionDuration=7200,
        Tags=[{"Key": "ward", "Value": "3"}],
    )["Role"]
    assert made["RoleId"].startswith("AROA")
    assert (made["Arn"], made["MaxSessionDuration"]) == (role_arn("Night"), 7200)
    assert json.loads(made["AssumeRolePolicyDocument"]) == json.loads(NOBODY)
    assert refused(server, "CreateRole", RoleName="night", AssumeRolePolicyDocument=NOBODY)[0] == 409
    updated = administer(server, "UpdateRole", RoleName="Night", Description="", MaxSessionDuration=3600)["Role"]
    assert (updated["Description"], updated["MaxSessionDuration"]) == ("", 3600)
    sts = world.client("sts", world.user("assuming", allow("sts:AssumeRole")))
    assert refusal(sts.assume_role, RoleArn=made["Arn"], RoleSessionName="night")[0] == "AccessDenied"
    administer(server, "UpdateAssumeRolePolicy", RoleName="night", PolicyDocument=EVERYBODY)

    def may_assume() -> bool:
        try:
            sts.assume_role(RoleArn=made["Arn"], RoleSessionName="night")
        except sts.exceptions.ClientError:
            return False
        return True

    wait_for(may_assume, "the trust policy to count")
    administer(server, "TagRole", RoleName="Night", Tags=[{"Key": "floor", "Value": "1"}])
    administer(server, "UntagRole", RoleName="Night", TagKeys=["ward"])
    assert administer(server, "GetRole", RoleName="NIGHT")["Role"]["Tags"] == [{"Key": "floor", "Value": "1"}]
    assert "Night" in [role["RoleName"] for role in administer(server, "ListRoles", MaxItems=1000)["Roles"]]
    administer(server, "DeleteRole", RoleName="Night")
    assert refused(server, "GetRole", RoleName="Night")[:2] == (404, "NoSuchEntityException")


def test_what_a_role_must_be(server: ServerProcess) -> None:
    broken = refused(server, "CreateRole", RoleName="broken", AssumeRolePolicyDocument='{\n"Version": }')
    assert broken[:2] == (400, "MalformedPolicyDocumentException")
    assert "line 2, column 12" in broken[2]
    not_trust = refused(
        server, "CreateRole", RoleName="broken", AssumeRolePolicyDocument=policy({"Effect": "Allow", "Action": "s3:*"})
    )
    assert "Statement 1" in not_trust[2]
    assert "3600 to 43200" in refused(
        server, "CreateRole", RoleName="broken", AssumeRolePolicyDocument=EVERYBODY, MaxSessionDuration=60
    )[2]  # fmt: skip
    assert "One of Description and MaxSessionDuration" in refused(server, "UpdateRole", RoleName="broken")[2]
    assert refused(server, "UpdateRole", RoleName="missing-role", Description="x")[0] == 404
    assert refused(server, "GetRole")[2] == "RoleName must be given: a string."
