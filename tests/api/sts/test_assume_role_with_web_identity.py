"""AssumeRoleWithWebIdentity: tokens of a real issuer, trust policies, and the example of the page."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config

from support.doc_pages import Page, run_shell
from support.identities.users_and_roles import ACCOUNT, UsersAndRoles, allow, refusal, role_arn, trust
from support.servers import ServerProcess, wait_for
from support.services.token_issuer import AUDIENCE, TokenIssuer, key_for

EVERYTHING = allow("medical-imaging:*")
ACTION = "sts:AssumeRoleWithWebIdentity"


@pytest.fixture(scope="module")
def issuer() -> Iterator[TokenIssuer]:
    made = TokenIssuer()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def provider(issuer: TokenIssuer) -> str:
    return issuer.url.partition("://")[2]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, issuer: TokenIssuer) -> Iterator[ServerProcess]:
    environment = {
        "HOUNSFIELD_OIDC_ISSUER": issuer.url,
        "HOUNSFIELD_OIDC_AUDIENCE": AUDIENCE,
        "HOUNSFIELD_OIDC_REFETCH_SECONDS": "0",
    }
    process = ServerProcess(tmp_path_factory.mktemp("web") / "data", environment).start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def world(served: ServerProcess, provider: str, sts) -> Iterator[UsersAndRoles]:
    made = UsersAndRoles(served)
    arn = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{provider}"
    of_jane = {"StringEquals": {f"{provider}:sub": "jane", f"{provider}:aud": AUDIENCE}}
    made.role("jane", trust({"Federated": arn}, ACTION, Condition=of_jane), EVERYTHING)
    made.role(
        "joe", trust({"Federated": arn}, ACTION, Condition={"StringEquals": {f"{provider}:sub": "joe"}}), EVERYTHING
    )
    made.role("by-host", trust({"Federated": provider}, ACTION), EVERYTHING)
    made.role("of-another", trust({"Federated": "accounts.example.org"}, ACTION), EVERYTHING)
    made.role("of-users", trust({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}), EVERYTHING)
    made.user("known-when-the-roles-are")
    yield made
    made.close()


@pytest.fixture(scope="module")
def sts(served: ServerProcess):
    config = Config(signature_version=UNSIGNED, retries={"max_attempts": 0})
    return boto3.client("sts", region_name="us-east-1", endpoint_url=served.url, config=config)


def begin(sts, role, token, **parameters):
    return sts.assume_role_with_web_identity(
        RoleArn=role_arn(role), RoleSessionName="jane", WebIdentityToken=token, **parameters
    )


def test_a_token_of_the_issuer_begins_a_session(world, sts, issuer, provider):
    answer = begin(sts, "jane", issuer.token(), DurationSeconds=900)
    assert answer["SubjectFromWebIdentityToken"] == "jane"
    assert answer["Audience"] == AUDIENCE
    assert answer["Provider"] == f"arn:aws:iam::{ACCOUNT}:oidc-provider/{provider}"
    assert "datastoreSummaries" in world.client("medical-imaging", answer["Credentials"]).list_datastores()
    assert world.client("sts", answer["Credentials"]).get_caller_identity()["Arn"] == answer["AssumedRoleUser"]["Arn"]
    assert begin(sts, "by-host", issuer.token(sub="anybody"))["Credentials"]


def test_the_provider_of_a_session_is_known_to_policies(world, sts, issuer, provider):
    credentials = begin(sts, "by-host", issuer.token())["Credentials"]
    opened = world.sessions(time.time).open(credentials["AccessKeyId"], credentials["SessionToken"])
    assert opened.principal.session is not None
    assert opened.principal.session.provider == f"arn:aws:iam::{ACCOUNT}:oidc-provider/{provider}"


@pytest.mark.parametrize("role", ["joe", "of-another", "of-users", "missing"])
def test_roles_that_do_not_trust_the_token(world, sts, issuer, role):
    found = refusal(begin, sts=sts, role=role, token=issuer.token())
    assert found == ("AccessDenied", 403, "Not authorized to perform sts:AssumeRoleWithWebIdentity")


def test_tokens_that_are_not_taken(world, sts, issuer):
    for token, code in [
        (issuer.token(exp=time.time() - 60, iat=time.time() - 120), "ExpiredTokenException"),
        (issuer.token(aud="another"), "InvalidIdentityToken"),
        (issuer.token(iss="https://issuer.example.org"), "InvalidIdentityToken"),
        (issuer.token(key_for("ES256", "stranger")), "InvalidIdentityToken"),
        ("no token at all", "InvalidIdentityToken"),
    ]:
        found = refusal(begin, sts=sts, role="jane", token=token)
        assert found[:2] == (code, 400), found
        assert token not in found[2]


def test_what_the_session_may_not_be(world, sts, issuer):
    for parameters, code in [
        ({"DurationSeconds": 3601}, "ValidationError"),
        ({"ProviderId": "www.example.org"}, "ValidationError"),
        ({"Policy": "{}"}, "MalformedPolicyDocument"),
    ]:
        assert refusal(begin, sts=sts, role="jane", token=issuer.token(), **parameters)[0] == code


def test_the_example_of_the_page(world, served, issuer, provider, tmp_path: Path):
    (tmp_path / "data").symlink_to(served.data)
    making, using = Page.of("docs/how-to/temporary-credentials.md").section("## With a token").blocks("sh")
    run_shell(served, making, tmp_path, ISSUER=provider)
    (tmp_path / "token").write_text(issuer.token())
    client = world.client("sts")
    wait_for(lambda: taken(client, issuer), "the role to be known")
    more = {"ENDPOINT": served.url, "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "HOME": str(tmp_path)}
    printed = run_shell(served, using, tmp_path, **more)
    assert f"arn:aws:sts::{ACCOUNT}:assumed-role/web-reader/jane" in printed
    assert "datastoreSummaries" in printed


def taken(sts, issuer) -> bool:
    try:
        return bool(begin(sts, "web-reader", issuer.token()))
    except sts.exceptions.ClientError:
        return False


def test_an_issuer_that_cannot_be_asked(world, sts, issuer):
    # A key that is not known yet makes the server ask.
    stranger = key_for("ES256", "new-key")
    issuer.down = True
    try:
        found = refusal(begin, sts=sts, role="jane", token=issuer.token(stranger))
    finally:
        issuer.down = False
    assert found[:2] == ("IDPCommunicationError", 400)
