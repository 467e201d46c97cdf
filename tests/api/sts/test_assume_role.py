"""AssumeRole and GetCallerIdentity over HTTP: who may begin a session, and what a session may do."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hounsfield.iam.sessions.sessions import NewSession
from support.clients.signed_http import send, send_signed
from support.identities.users_and_roles import ACCOUNT, UsersAndRoles, allow, deny, refusal, role_arn, trust, user_arn
from support.servers import ServerProcess, active_datastore, wait_for

ROOT = f"arn:aws:iam::{ACCOUNT}:root"
EVERYTHING = allow("medical-imaging:*")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def world(server: ServerProcess):
    world = UsersAndRoles(server)
    world.role(
        "sts-reader", trust({"AWS": ROOT}), EVERYTHING, max_session_seconds=7200, tags={"ward": "3", "Floor": "1"}
    )
    world.role("sts-named", trust({"AWS": [user_arn("sts-jane"), role_arn("sts-reader")]}, "sts:*"), EVERYTHING)
    world.role("sts-foreign", trust({"AWS": "arn:aws:iam::111111111111:root"}), EVERYTHING)
    world.role(
        "sts-external", trust({"AWS": ROOT}, Condition={"StringEquals": {"sts:ExternalId": "hospital-7"}}), EVERYTHING
    )
    world.role("sts-tagged", trust({"AWS": ROOT}, ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]), EVERYTHING,
               allow("sts:*"))  # fmt: skip
    yield world
    world.close()


@pytest.fixture(scope="module")
def jane(world):
    """The key of a user who may ask for every role."""
    return world.user("sts-jane", allow("sts:*"))


@pytest.fixture(scope="module")
def nobody(world):
    """The key of a user without policies."""
    return world.user("sts-nobody")


@pytest.fixture(scope="module")
def sts(world, jane):
    return world.client("sts", jane)


def begin(sts, role, **parameters):
    return sts.assume_role(RoleArn=role_arn(role), RoleSessionName="night", **parameters)


def test_who_the_caller_is(world, sts, jane):
    identity = world.client("sts").get_caller_identity()
    assert (identity["UserId"], identity["Account"], identity["Arn"]) == (ACCOUNT, ACCOUNT, ROOT)
    identity = sts.get_caller_identity()
    assert identity["Arn"] == user_arn("sts-jane")
    assert identity["UserId"].startswith("AIDA")


def test_a_session_may_do_what_its_role_may(world, sts):
    before = datetime.now(UTC)
    answer = begin(sts, "sts-reader")
    credentials = answer["Credentials"]
    assert credentials["AccessKeyId"].startswith("ASIA")
    assert len(credentials["SessionToken"]) < 1024
    expires = credentials["Expiration"]
    assert before + timedelta(seconds=3599) <= expires <= datetime.now(UTC) + timedelta(seconds=3600)
    user = answer["AssumedRoleUser"]
    assert user["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/sts-reader/night"
    assert user["AssumedRoleId"].startswith("AROA")
    assert "PackedPolicySize" not in answer
    identity = world.client("sts", credentials).get_caller_identity()
    assert (identity["Arn"], identity["UserId"]) == (user["Arn"], user["AssumedRoleId"])
    imaging = world.client("medical-imaging", credentials)
    datastore = active_datastore(imaging)
    assert imaging.get_datastore(datastoreId=datastore)["datastoreProperties"]["datastoreId"] == datastore


def test_a_session_at_dicomweb(world, sts):
    credentials = begin(sts, "sts-reader")["Credentials"]
    key = (credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"])
    path = f"/datastore/{active_datastore(world.client('medical-imaging'))}/studies"
    assert send_signed(world.server, "GET", path, key=key).status == 200
    other = (key[0], key[1], begin(sts, "sts-reader")["Credentials"]["SessionToken"])
    refused = send_signed(world.server, "GET", path, key=other)
    assert (refused.status, refused.code) == (403, "UnrecognizedClientException")


def test_no_permission_is_needed_to_know_oneself(world, nobody):
    assert world.client("sts", nobody).get_caller_identity()["Arn"] == user_arn("sts-nobody")


@pytest.mark.parametrize(
    ("role", "parameters"),
    [("sts-foreign", {}), ("sts-missing", {}), ("sts-external", {}), ("sts-external", {"ExternalId": "hospital-8"})],
)
def test_roles_that_do_not_trust_the_caller_or_are_not_there(sts, role, parameters):
    code, status, message = refusal(begin, sts=sts, role=role, **parameters)
    assert (code, status) == ("AccessDenied", 403)
    assert message == (
        f"User: {user_arn('sts-jane')} is not authorized to perform: sts:AssumeRole on resource: {role_arn(role)}"
    )


def test_the_external_id_that_is_asked_for(sts):
    assert begin(sts, "sts-external", ExternalId="hospital-7")["Credentials"]


def test_trust_in_the_account_leaves_the_decision_to_identity_policies(world, nobody):
    assert refusal(begin, sts=world.client("sts", nobody), role="sts-reader")[0] == "AccessDenied"


def test_trust_in_the_caller_suffices_unless_something_denies(world, jane):
    world.let_user("sts-jane")
    try:
        sts = world.client("sts", jane)
        wait_for(lambda: refused(sts, "sts-reader"), "the policy to be gone")
        assert begin(sts, "sts-named")["Credentials"]
        world.let_user("sts-jane", deny("sts:AssumeRole"))
        wait_for(lambda: refused(sts, "sts-named"), "the denial to count")
    finally:
        world.let_user("sts-jane", allow("sts:*"))
        wait_for(lambda: not refused(sts, "sts-reader"), "the policy to count")


def refused(sts, role):
    try:
        begin(sts, role)
    except sts.exceptions.ClientError:
        return True
    return False


def test_root_assumes_no_roles(world):
    code, status, message = refusal(begin, sts=world.client("sts"), role="sts-reader")
    assert (code, status, message) == ("AccessDenied", 403, "Roles may not be assumed by root accounts.")


def test_session_policies_narrow(world, sts):
    list_only = (
        '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"medical-imaging:List*","Resource":"*"}}'
    )
    answer = begin(sts, "sts-reader", Policy=list_only)
    assert 0 < answer["PackedPolicySize"] <= 100
    imaging = world.client("medical-imaging", answer["Credentials"])
    assert "datastoreSummaries" in imaging.list_datastores()
    code, status, message = refusal(imaging.create_datastore)
    assert (code, status) == ("AccessDeniedException", 403)
    assert message.endswith("because no session policy allows the medical-imaging:CreateDatastore action")


def test_managed_policies_narrow_too(world, sts):
    arn = "arn:aws:iam::aws:policy/AWSHealthImagingReadOnlyAccess"
    imaging = world.client("medical-imaging", begin(sts, "sts-reader", PolicyArns=[{"arn": arn}])["Credentials"])
    assert "datastoreSummaries" in imaging.list_datastores()
    assert refusal(imaging.create_datastore)[0] == "AccessDeniedException"


def test_a_session_policy_gives_nothing_that_the_role_lacks(world, sts):
    world.role("sts-powerless", trust({"AWS": ROOT}))
    wait_for(lambda: not refused(sts, "sts-powerless"), "the role to be known")
    everything = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}'
    imaging = world.client("medical-imaging", begin(sts, "sts-powerless", Policy=everything)["Credentials"])
    assert refusal(imaging.list_datastores)[0] == "AccessDeniedException"


@pytest.mark.parametrize(
    ("parameters", "code", "message"),
    [
        ({"DurationSeconds": 7201}, "ValidationError", "exceeds the MaxSessionDuration set for this role"),
        ({"DurationSeconds": 43_200}, "ValidationError", "exceeds the MaxSessionDuration set for this role"),
        ({"Policy": "{}"}, "MalformedPolicyDocument", "Statement"),
        ({"Policy": "no JSON"}, "MalformedPolicyDocument", ""),
        ({"PolicyArns": [{"arn": "arn:aws:iam::aws:policy/Nothing"}]}, "ValidationError", "no such managed policy"),
        (
            {"PolicyArns": [{"arn": f"arn:aws:iam::aws:policy/P{n}"} for n in range(11)]},
            "ValidationError",
            "at most 10",
        ),
        (
            {"SerialNumber": "arn:aws:iam::000000000000:mfa/jane", "TokenCode": "123456"},
            "ValidationError",
            "multi-factor",
        ),
        ({"Tags": [{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}]}, "ValidationError", "twice"),
        ({"Tags": [{"Key": "aws:x", "Value": "1"}]}, "ValidationError", "reserved"),
        ({"TransitiveTagKeys": ["a"]}, "ValidationError", "not among the Tags"),
        ({"Tags": [{"Key": "a", "Value": "1"}]}, "AccessDenied", "perform: sts:TagSession"),
        ({"SourceIdentity": "jane"}, "AccessDenied", "perform: sts:SetSourceIdentity"),
    ],
)
def test_what_cannot_be_asked_for(sts, parameters, code, message):
    found = refusal(begin, sts=sts, role="sts-reader", **parameters)
    assert found[0] == code
    assert message in found[2]


def test_what_is_too_large_for_a_token(sts):
    tags = [
        {"Key": f"key-{n}", "Value": "".join(chr(0x4E00 + (n * 37 + k * 101) % 20000) for k in range(250))}
        for n in range(40)
    ]
    code, status, _ = refusal(begin, sts=sts, role="sts-tagged", Tags=tags)
    assert (code, status) == ("PackedPolicyTooLarge", 400)


def test_sessions_of_sessions_last_an_hour_and_keep_what_is_handed_on(world, sts):
    first = begin(
        sts,
        "sts-tagged",
        Tags=[{"Key": "Project", "Value": "lung"}, {"Key": "once", "Value": "1"}],
        TransitiveTagKeys=["Project"],
        SourceIdentity="jane",
    )
    assert first["SourceIdentity"] == "jane"
    chained = world.client("sts", first["Credentials"])
    code, _, message = refusal(begin, sts=chained, role="sts-tagged", DurationSeconds=3601)
    assert code == "ValidationError"
    assert "MaxSessionDuration" in message
    code, _, message = refusal(begin, sts=chained, role="sts-tagged", Tags=[{"Key": "project", "Value": "x"}])
    assert (code, "hands on" in message) == ("ValidationError", True)
    assert refusal(begin, sts=chained, role="sts-tagged", SourceIdentity="joe")[0] == "AccessDenied"
    second = begin(chained, "sts-tagged")
    assert second["SourceIdentity"] == "jane"
    opened = world.sessions(time.time).open(second["Credentials"]["AccessKeyId"], second["Credentials"]["SessionToken"])
    assert opened.principal.tags == {"Project": "lung"}
    assert opened.principal.session is not None
    assert opened.principal.session.source_identity == "jane"
    handed_on = {"StringEquals": {"aws:SourceIdentity": "jane", "aws:PrincipalTag/project": "lung"}}
    world.let_role("sts-tagged", allow("medical-imaging:*", Condition=handed_on), allow("sts:*"))
    imaging = world.client("medical-imaging", second["Credentials"])
    wait_for(
        lambda: code_of(world.client("medical-imaging", begin(sts, "sts-tagged")["Credentials"])), "the policy to count"
    )
    assert code_of(imaging) == ""


def test_chaining_is_for_an_hour_also_where_the_role_allows_more(world, sts):
    chained = world.client("sts", begin(sts, "sts-tagged")["Credentials"])
    assert begin(chained, "sts-reader", DurationSeconds=3600)["Credentials"]
    code, _, message = refusal(begin, sts=chained, role="sts-reader", DurationSeconds=7200)
    assert (code, "role chaining" in message) == ("ValidationError", True)


def test_a_trust_policy_may_name_a_role(world, sts):
    chained = world.client("sts", begin(sts, "sts-reader")["Credentials"])
    assert begin(chained, "sts-named")["AssumedRoleUser"]["Arn"].endswith("assumed-role/sts-named/night")


def test_session_tags_go_before_tags_of_the_role(world, sts):
    world.trust("sts-reader", trust({"AWS": ROOT}, ["sts:AssumeRole", "sts:TagSession"]))
    try:
        tags = [{"Key": "Ward", "Value": "4"}]
        answer = wait_for(lambda: not_refused(sts, "sts-reader", Tags=tags), "the trust policy to count")
        opened = world.sessions(time.time).open(
            answer["Credentials"]["AccessKeyId"], answer["Credentials"]["SessionToken"]
        )
        assert opened.principal.tags == {"Floor": "1", "Ward": "4"}
    finally:
        world.trust("sts-reader", trust({"AWS": ROOT}))


def not_refused(sts, role, **parameters):
    try:
        return begin(sts, role, **parameters)
    except sts.exceptions.ClientError:
        return None


def test_a_changed_role_counts_at_once_and_a_namesake_is_another(world, sts):
    world.role("sts-short", trust({"AWS": ROOT}), EVERYTHING)
    answer = wait_for(lambda: not_refused(sts, "sts-short"), "the role to be known")
    imaging = world.client("medical-imaging", answer["Credentials"])
    imaging.list_datastores()
    world.let_role("sts-short")
    wait_for(lambda: code_of(imaging) == "AccessDeniedException", "the change to count")
    world.remove_role("sts-short")
    wait_for(lambda: code_of(imaging) == "UnrecognizedClientException", "the role to be gone")
    world.role("sts-short", trust({"AWS": ROOT}), EVERYTHING)
    wait_for(lambda: not_refused(sts, "sts-short"), "the namesake to be known")
    assert code_of(imaging) == "UnrecognizedClientException"
    assert refusal(world.client("sts", answer["Credentials"]).get_caller_identity)[:2] == ("InvalidClientTokenId", 403)


def code_of(imaging):
    try:
        imaging.list_datastores()
    except imaging.exceptions.ClientError as error:
        return error.response["Error"]["Code"]
    return ""


def test_expired_credentials(world):
    sessions = world.sessions(lambda: time.time() - 901)
    role = sessions._directory.role(role_arn("sts-reader"))
    old = sessions.issue(role, NewSession("night", 900))
    key = (old.access_key_id, old.secret, old.token)
    code, status, message = refusal(world.client("medical-imaging", key).list_datastores)
    assert (code, status) == ("ExpiredTokenException", 403)
    assert message == "The security token included in the request is expired"
    assert refusal(world.client("sts", key).get_caller_identity)[:2] == ("ExpiredToken", 403)


def test_tokens_that_are_not_of_the_key(world, sts, jane):
    one, other = (begin(sts, "sts-reader")["Credentials"] for _ in range(2))
    token = one["SessionToken"]
    for key in [
        (one["AccessKeyId"], one["SecretAccessKey"], other["SessionToken"]),
        (
            one["AccessKeyId"],
            one["SecretAccessKey"],
            token[:-8] + ("AAAAAAAA" if token[-8:] != "AAAAAAAA" else "BBBBBBBB"),
        ),
        (one["AccessKeyId"], one["SecretAccessKey"], "x" * 5000),
        (one["AccessKeyId"], one["SecretAccessKey"]),
        (*jane, token),
        (*world.server.key(), token),
    ]:
        code, status, message = refusal(world.client("medical-imaging", key).list_datastores)
        assert (code, status) == ("UnrecognizedClientException", 403)
        assert message == "The security token included in the request is invalid."
        assert refusal(world.client("sts", key).get_caller_identity)[:2] == ("InvalidClientTokenId", 403)


def test_a_wrong_secret_of_a_session(world, sts):
    credentials = begin(sts, "sts-reader")["Credentials"]
    key = (credentials["AccessKeyId"], "wrong" * 8, credentials["SessionToken"])
    assert refusal(world.client("medical-imaging", key).list_datastores)[0] == "InvalidSignatureException"
    assert refusal(world.client("sts", key).get_caller_identity)[0] == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    ("body", "code", "status"),
    [
        (b"Action=GetSessionToken&Version=2011-06-15", "NotImplemented", 501),
        (b"Action=ListBuckets&Version=2011-06-15", "InvalidAction", 400),
        (b"", "InvalidAction", 400),
        (b"Action=GetCallerIdentity&Version=2011-06-15&a=1&a=2", "ValidationError", 400),
    ],
)
def test_requests_that_are_not_carried_out(server, body, code, status):
    check_refused(send_signed(server, "POST", "/", body, FORM, service="sts"), code, status)


def test_a_form_that_is_too_long_is_refused_by_its_length(server):
    # Of a body that is not read, a client on a busy machine may not get to send all.
    answer = send_signed(server, "POST", "/", b"", {**FORM, "Content-Length": "600000"}, service="sts")
    check_refused(answer, "RequestEntityTooLarge", 413)


def check_refused(answer, code, status):
    assert answer.status == status
    assert f"<Code>{code}</Code>".encode() in answer.body
    assert answer.headers["content-type"] == "text/xml"
    assert answer.headers["x-amzn-requestid"].encode() in answer.body


def test_requests_without_or_with_another_signature(server):
    body = b"Action=GetCallerIdentity&Version=2011-06-15"
    assert b"<Code>MissingAuthenticationToken</Code>" in send(server, "POST", "/", body, FORM).body
    other = send_signed(server, "POST", "/", body, FORM, service="medical-imaging")
    assert (other.status, b"<Code>SignatureDoesNotMatch</Code>" in other.body) == (403, True)
    # A signature for this service opens no other door.
    assert send_signed(server, "GET", "/datastore", service="sts").code == "InvalidSignatureException"
    assert send(server, "DELETE", "/").status == 404


def test_a_presigned_get(world, sts):
    url = sts.generate_presigned_url("get_caller_identity", ExpiresIn=60, HttpMethod="GET")
    answer = send(world.server, "GET", url.removeprefix(world.server.url))
    assert answer.status == 200
    assert user_arn("sts-jane").encode() in answer.body


def test_the_command_line(server, tmp_path, jane):
    (tmp_path / "config").write_text(
        "[profile reader]\n"
        f"role_arn = {role_arn('sts-reader')}\nsource_profile = jane\nregion = us-east-1\nendpoint_url = {server.url}\n"
        "[profile jane]\nregion = us-east-1\n"
        f"endpoint_url = {server.url}\n"
    )
    (tmp_path / "credentials").write_text(f"[jane]\naws_access_key_id = {jane[0]}\naws_secret_access_key = {jane[1]}\n")
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
    }
    aws = Path(sys.executable).parent / "aws"
    command = [aws, "sts", "get-caller-identity", "--profile", "reader", "--query", "Arn", "--output", "text"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"arn:aws:sts::{ACCOUNT}:assumed-role/sts-reader/")
