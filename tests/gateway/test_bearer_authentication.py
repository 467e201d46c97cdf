"""Bearer tokens at DICOMweb, on a server with data stores that have authorizers of every kind, and with an issuer."""

from __future__ import annotations

import io
import json
import socket
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
import requests
from botocore.exceptions import ClientError
from dicomweb_client.api import DICOMwebClient
from joserfc import jwt
from joserfc.jwk import ECKey

from hounsfield.oidc.errors import InvalidTokenError
from hounsfield.oidc.issuer import open_issuer
from hounsfield.oidc.role_mapping import map_role
from hounsfield.oidc.token import LONGEST_TOKEN
from hounsfield.settings.claim_roles import parse_claim_roles
from hounsfield.settings.issuers import IssuerConfiguration
from support.audit_trail import record_of
from support.clients.dicomweb import BOUNDARY, multipart, part10, root, session, store
from support.clients.signed_http import send
from support.files.synthetic import slice_of, uid
from support.identities.bearer_tokens import ACCOUNT, VIEWER, World, function, images, trusting, world_with
from support.identities.users_and_roles import allow, policy, trust
from support.server_files import kept_files
from support.servers import ServerProcess, active_datastore, wait_for
from support.services.authorizers import verdict
from support.services.object_store import ObjectStore
from support.services.token_issuer import key_for

STUDY = f"studies/{uid(1)}"
INSTANCE = f"{STUDY}/series/{uid(1, 1)}/instances/{uid(1, 1, 1)}"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, s3: ObjectStore) -> Iterator[World]:
    with world_with(tmp_path_factory.mktemp("bearer") / "data", s3.url) as made:
        yield made


@pytest.fixture(scope="module")
def stored(world: World) -> str:
    """A data store with an instance, whose authorizer answers the role of readers."""
    datastore_id = world.store_of(function("reader"))
    assert store(world.server, datastore_id, [part10(slice_of())]).ok
    return datastore_id


def refused(answer: requests.Response, status: int, message: str) -> None:
    code = {403: "AccessDenied", 408: "RequestTimeout", 424: "FailedDependency", 429: "Throttling"}[status]
    assert (answer.status_code, answer.json()) == (status, {"message": message}), answer.text
    assert answer.headers["x-amzn-ErrorType"] == f"{code}Exception"
    assert answer.headers["Content-Type"] == "application/json"
    assert ("WWW-Authenticate" in answer.headers) == (message == "Invalid or Expired Token")


def test_the_authorizer_says_which_role_a_request_has(world: World, stored: str) -> None:
    token = world.issuer.token(sub="jane@example.org")
    paths = {
        "studies": "SearchDICOMStudies",
        f"{STUDY}/series": "SearchDICOMSeries",
        f"{STUDY}/metadata": "GetDICOMSeriesMetadata",
        INSTANCE: "GetDICOMInstance",
        f"{INSTANCE}/metadata": "GetDICOMInstanceMetadata",
        f"{INSTANCE}/frames/1": "GetDICOMInstanceFrames",
        f"{INSTANCE}/rendered": "GetDICOMInstanceFrames",
    }
    for path in paths:
        answer = world.ask(stored, token, path, Accept="*/*")
        assert answer.ok, f"{path}: {answer.text}"
    # Rendered frames are frames to the authorizer, which was asked for those a moment ago.
    expected = [
        {"datastoreId": stored, "operation": operation, "bearerToken": token}
        for operation in dict.fromkeys(paths.values())
    ]
    assert world.asked.events_of(token) == expected
    assert world.ask(stored, token).json()[0]["0020000D"]["Value"] == [uid(1)]


def test_what_the_role_may_not_is_denied_in_words_of_its_session(world: World, stored: str) -> None:
    token = world.issuer.token(sub="auth0|jane doe")
    headers = {
        "Authorization": f"bearer {token}",
        "Content-Type": f'multipart/related; type="application/dicom"; boundary={BOUNDARY}',
    }
    body = multipart([part10(slice_of(series=2))])
    answer = requests.post(f"{root(world.server, stored)}/studies", data=body, headers=headers, timeout=60)
    assert answer.status_code == 403
    message = answer.json()["message"]
    assert f"User: arn:aws:sts::{ACCOUNT}:assumed-role/reader/auth0-jane-doe-" in message
    assert "medical-imaging:StoreDICOM on resource: arn:aws:medical-imaging:" in message
    writing = world.store_of(function("writer"))
    answer = requests.post(f"{root(world.server, writing)}/studies", data=body, headers=headers, timeout=60)
    assert answer.ok, answer.text


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [
        ("missing", 424, "Authorizer Misconfiguration"),
        ("malformed", 424, "Authorizer Misconfiguration"),
        ("not-json", 424, "Authorizer Misconfiguration"),
        ("no-arn", 424, "Authorizer Misconfiguration"),
        ("unknown-role", 424, "Authorizer Misconfiguration"),
        ("untrusting", 424, "Authorizer Misconfiguration"),
        ("bound", 424, "Authorizer Misconfiguration"),
        ("lambda-missing", 424, "Authorizer Misconfiguration"),
        ("lambda-malformed", 424, "Authorizer Misconfiguration"),
        ("lambda-huge", 424, "Authorizer Misconfiguration"),
        ("huge", 424, "Authorizer Failed"),
        ("crash", 424, "Authorizer Failed"),
        ("elsewhere", 424, "Authorizer Failed"),
        ("down", 424, "Authorizer Failed"),
        ("lambda-crash", 424, "Authorizer Failed"),
        ("lambda-denied", 424, "Authorizer Failed"),
        ("lambda-throttled", 424, "Authorizer Failed"),
        ("lambda-broken", 424, "Authorizer Failed"),
        ("foreign-role", 424, "Authorizer Cross Account/Cross Region Access"),
        (function("reader", account="999999999999"), 424, "Authorizer Cross Account/Cross Region Access"),
        (function("reader", region="eu-west-1"), 424, "Authorizer Cross Account/Cross Region Access"),
        ("slow", 408, "Authorizer Timeout"),
        ("lambda-slow", 408, "Authorizer Timeout"),
        ("invalid", 403, "Invalid or Expired Token"),
        ("lambda-invalid", 403, "Invalid or Expired Token"),
        ("no-role", 403, "Access Denied"),
        ("lambda-no-role", 403, "Access Denied"),
    ],
)
def test_what_authorizers_can_do_wrong(world: World, name: str, status: int, message: str) -> None:
    for _ in range(2):  # what went wrong is not kept, and goes wrong again
        refused(world.get(name, world.issuer.token()), status, message)


def test_a_role_may_trust_the_service_for_some_data_stores(world: World) -> None:
    assert world.get("near", world.issuer.token()).ok


def test_long_tokens_arrive_whole(world: World) -> None:
    token = world.issuer.token(groups=[f"group-{number}" for number in range(800)])
    assert 8000 < len(token) <= LONGEST_TOKEN
    assert world.get("reader", token).ok
    longer = world.issuer.token(groups=["x" * LONGEST_TOKEN])
    refused(world.get("reader", longer), 403, "Invalid or Expired Token")


def test_a_function_is_called_by_the_lambda_api(world: World) -> None:
    assert world.get("lambda-reader", world.issuer.token()).ok
    assert world.get("lambda-reader:live", world.issuer.token()).ok


def test_a_function_of_moto_is_called(world: World, s3: ObjectStore) -> None:
    requests.post(f"{s3.url}/moto-api/config", json={"lambda": {"use_docker": False}}, timeout=20).raise_for_status()
    answers = {"results": [verdict(world.asked.roles["reader"]).decode()], "region": "us-east-1"}
    requests.post(f"{s3.url}/moto-api/static/lambda-simple/response", json=answers, timeout=20).raise_for_status()
    keys = {"aws_access_key_id": "lambda-key", "aws_secret_access_key": "lambda-secret", "region_name": "us-east-1"}
    source = io.BytesIO()
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr("authorizer.py", "def handler(event, context): ...")
    trusted = policy(trust({"Service": "lambda.amazonaws.com"}))
    iam = boto3.client("iam", endpoint_url=s3.url, **keys)
    role = iam.create_role(RoleName="moto-authorizer", AssumeRolePolicyDocument=trusted)["Role"]["Arn"]
    made = boto3.client("lambda", endpoint_url=s3.url, **keys).create_function(
        FunctionName="moto-authorizer",
        Runtime="python3.12",
        Role=role,
        Handler="authorizer.handler",
        Code={"ZipFile": source.getvalue()},
    )
    assert made["FunctionArn"] == function("moto-authorizer")
    assert world.get("moto-authorizer", world.issuer.token()).ok
    refused(world.get("moto-unknown", world.issuer.token()), 424, "Authorizer Misconfiguration")


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": None},
        {"iat": None},
        {"exp": 1_000_000},
        {"iat": 4_000_000_000, "exp": 4_000_000_100},
        {"iat": 1_000_000},
        {"nbf": 4_000_000_000},
        {"exp": "soon"},
    ],
)
def test_the_service_itself_checks_the_times(world: World, claims: dict[str, Any]) -> None:
    token = world.issuer.token(**claims)
    refused(world.get("reader", token), 403, "Invalid or Expired Token")
    assert world.asked.events_of(token) == []


@pytest.mark.parametrize("token", ["", "secret", "a.b.c", "a.b.c.d.e", "=", "x" * 5000, "é"])
def test_what_is_no_token_is_refused(world: World, token: str) -> None:
    datastore_id = world.store_of(function("reader"))
    headers = {"Authorization": b"Bearer " + token.encode()}
    answer = requests.get(f"{root(world.server, datastore_id)}/studies", headers=headers, timeout=60)
    refused(answer, 403, "Invalid or Expired Token")


def test_the_signature_is_the_authorizer_s_to_check(world: World) -> None:
    forged = world.issuer.token(ECKey.generate_key("P-256", {"kid": "key-1", "alg": "ES256"}))
    assert world.get("reader", forged).ok
    assert [event["operation"] for event in world.asked.events_of(forged)] == ["SearchDICOMStudies"]


def test_too_many_calls_are_refused_not_queued(world: World) -> None:
    world.store_of(function("slow"))
    # More than two rounds of calls: those that wait for a turn may get one just as the first round ends.
    tokens = [world.issuer.token(sub=f"viewer-{number}") for number in range(40)]
    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda token: world.get("slow", token), tokens))
    by_status = {answer.status_code: answer for answer in answers}
    assert set(by_status) == {408, 429}
    refused(by_status[408], 408, "Authorizer Timeout")
    refused(by_status[429], 429, "Too many requests")
    assert int(by_status[429].headers["Retry-After"]) >= 1
    world.asked.released.set()
    wait_for(lambda: world.get("reader", world.issuer.token()).ok, "the threads to be free again")
    world.asked.released.clear()


def test_a_role_that_is_gone_or_changed_counts_at_once(world: World) -> None:
    world.asked.roles["passing"] = f"arn:aws:iam::{ACCOUNT}:role/passing"
    arn, token = function("lambda-passing"), world.issuer.token()

    def becomes(status: int, message: str) -> None:
        def is_so() -> bool:
            answer = world.get(arn, token)
            return answer.status_code == status and message in answer.json()["message"]

        wait_for(is_so, f"the answer {message}")

    becomes(424, "Authorizer Misconfiguration")
    world.identities.role("passing", trusting())
    becomes(403, "not authorized to perform: medical-imaging:SearchDICOMStudies")
    world.identities.let_role("passing", images("SearchDICOMStudies"))
    wait_for(lambda: world.get(arn, token).ok, "the policy to count")
    world.identities.trust("passing", trust({"AWS": ACCOUNT}))
    becomes(424, "Authorizer Misconfiguration")
    world.identities.trust("passing", trusting())
    wait_for(lambda: world.get(arn, token).ok, "the trust to count")
    world.identities.remove_role("passing")
    becomes(424, "Authorizer Misconfiguration")


def test_signatures_work_beside_tokens(world: World, stored: str) -> None:
    signed = session(world.server).get(f"{root(world.server, stored)}/{STUDY}/series", timeout=60)
    assert (signed.status_code, len(signed.json())) == (200, 1)
    unsigned = requests.get(f"{root(world.server, stored)}/studies", timeout=60)
    assert (unsigned.status_code, unsigned.headers["x-amzn-ErrorType"]) == (
        403,
        "MissingAuthenticationTokenException",
    )


def test_two_authorizations_are_refused(world: World, stored: str) -> None:
    url = f"{root(world.server, stored)}/studies"
    prepared = session(world.server).prepare_request(requests.Request("GET", url))
    token = world.issuer.token()
    both = [f"Authorization: {prepared.headers['Authorization']}", f"Authorization: Bearer {token}"]
    presigned = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0"
    answer = world.ask(stored, token, f"studies?{presigned}")
    assert (answer.status_code, answer.headers["x-amzn-ErrorType"]) == (403, "IncompleteSignatureException")
    for lines in (both, both[::-1]):
        answer = raw(
            world.server, f"/datastore/{stored}/studies", [*lines, f"X-Amz-Date: {prepared.headers['X-Amz-Date']}"]
        )
        assert b"403" in answer.split(b"\r\n", 1)[0]
        assert b"IncompleteSignatureException" in answer


def raw(server: ServerProcess, path: str, headers: list[str]) -> bytes:
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{server.port}", "Connection: close", *headers, "", ""]
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall("\r\n".join(lines).encode())
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize("path", ["/datastore", "/datastore/{0}", "/datastore/{0}/imageSet/{0}/getImageSet", "/tags/x"])
def test_the_native_api_takes_no_tokens(world: World, stored: str, path: str) -> None:
    method = "POST" if path.endswith("getImageSet") else "GET"
    headers = {"Authorization": f"Bearer {world.issuer.token(groups=['readers'])}"}
    answer = send(world.server, method, path.format(stored), headers=headers)
    assert (answer.status, answer.code) == (403, "IncompleteSignatureException")
    assert "AWS4-HMAC-SHA256" in answer.message


def test_the_authorizer_of_a_data_store_is_shown_and_stays(world: World, stored: str) -> None:
    properties = world.client.get_datastore(datastoreId=stored)["datastoreProperties"]
    assert properties["lambdaAuthorizerArn"] == function("reader")
    plain = active_datastore(world.client)
    assert "lambdaAuthorizerArn" not in world.client.get_datastore(datastoreId=plain)["datastoreProperties"]


def test_without_authorizer_and_issuer_no_token_is_taken(world: World, server: ServerProcess, datastore: str) -> None:
    for datastore_id in (datastore, "0" * 32, "no-data-store"):
        url = f"{root(server, datastore_id)}/studies"
        for token in (world.issuer.token(), "secret"):
            answer = requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=60)
            refused(answer, 403, "Access Denied")


def test_a_page_of_another_origin_sends_its_token(world: World, stored: str) -> None:
    url = f"{root(world.server, stored)}/{STUDY}/metadata"
    asking = {
        "Origin": VIEWER,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization",
    }
    preflight = requests.options(url, headers=asking, timeout=60)
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, VIEWER)
    assert "authorization" in preflight.headers["access-control-allow-headers"].lower()
    answer = world.ask(stored, world.issuer.token(), f"{STUDY}/metadata", Origin=VIEWER)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, VIEWER)
    late = world.ask(stored, world.issuer.token(exp=1000), f"{STUDY}/metadata", Origin=VIEWER)
    assert (late.status_code, late.headers["access-control-allow-origin"]) == (403, VIEWER)
    assert "WWW-Authenticate" in late.headers["access-control-expose-headers"]
    assert late.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_dicomweb_client_with_a_token(world: World, stored: str) -> None:
    with requests.Session() as bearer:
        bearer.headers["Authorization"] = f"Bearer {world.issuer.token(sub='viewer')}"
        client = DICOMwebClient(root(world.server, stored), session=bearer)
        assert [study["0020000D"]["Value"] for study in client.search_for_studies()] == [[uid(1)]]
        assert client.retrieve_instance(uid(1), uid(1, 1), uid(1, 1, 1)).SOPInstanceUID == uid(1, 1, 1)
        assert len(client.retrieve_instance_frames(uid(1), uid(1, 1), uid(1, 1, 1), [1])) == 1


@pytest.fixture(scope="module")
def plain(world: World) -> str:
    """A data store without an authorizer, with an instance: tokens of the issuer count there."""
    datastore_id = active_datastore(world.client)
    assert store(world.server, datastore_id, [part10(slice_of())]).ok
    return datastore_id


def test_claims_of_the_issuer_mean_roles(world: World, plain: str) -> None:
    reading = world.issuer.token(groups=["nurses", "readers"])
    writing = world.issuer.token(realm_access={"roles": ["dicom-writer"]}, groups=["readers"])
    assert world.ask(plain, reading).json()[0]["0020000D"]["Value"] == [uid(1)]
    assert world.ask(plain, reading, f"{INSTANCE}/frames/1", Accept="*/*").ok
    kind = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
    url, body = f"{root(world.server, plain)}/studies", multipart([part10(slice_of(series=3))])
    for token, status in ((reading, 403), (writing, 200)):
        headers = {"Authorization": f"Bearer {token}", "Content-Type": kind}
        assert requests.post(url, data=body, headers=headers, timeout=60).status_code == status
    refused(world.ask(plain, world.issuer.token(groups=["nurses"])), 403, "Access Denied")
    refused(world.ask(plain, world.issuer.token()), 403, "Access Denied")


def test_forged_tokens_are_refused(world: World, plain: str) -> None:
    issuer = world.issuer
    claims = issuer.claims(groups=["readers"])
    key = issuer.keys[0]
    forged = [
        issuer.token(groups=["readers"], aud="elsewhere"),
        issuer.token(groups=["readers"], iss="https://id.example.org"),
        issuer.token(groups=["readers"], exp=1000),
        issuer.token(groups=["readers"], exp=None),
        issuer.token(ECKey.generate_key("P-256", {"kid": "key-1", "alg": "ES256"}), groups=["readers"]),
        issuer.token(ECKey.generate_key("P-256", {"kid": "other", "alg": "ES256"}), groups=["readers"]),
        jwt.encode({"alg": "none", "kid": "key-1"}, claims, key, algorithms=["none"]),
    ]
    for token in forged:
        refused(world.ask(plain, token), 403, "Invalid or Expired Token")


def test_a_new_key_of_the_issuer_is_found_and_its_outage_told(world: World, plain: str) -> None:
    issuer, old = world.issuer, list(world.issuer.keys)
    new = key_for("PS256", "key-2")
    token = issuer.token(new, groups=["readers"])
    refused(world.ask(plain, token), 403, "Invalid or Expired Token")
    issuer.publish(*old, new)
    assert world.ask(plain, token).ok
    issuer.down = True
    try:
        assert world.ask(plain, issuer.token(new, groups=["readers"], sub="joan")).ok
        answer = world.ask(plain, issuer.token(key_for("ES256", "key-3"), groups=["readers"]))
        assert (answer.status_code, answer.headers["x-amzn-ErrorType"]) == (503, "ServiceUnavailableException")
        assert "token issuer" in answer.json()["message"]
        assert int(answer.headers["Retry-After"]) >= 1
    finally:
        issuer.down = False
        issuer.publish(*old)


def test_a_user_pool_of_cognito_is_an_issuer(s3: ObjectStore) -> None:
    """moto's Cognito makes the token, with a library and a key of its own, after a user signed in."""
    keys = {"aws_access_key_id": "lambda-key", "aws_secret_access_key": "lambda-secret", "region_name": "us-east-1"}
    cognito = boto3.client("cognito-idp", endpoint_url=s3.url, **keys)
    pool = cognito.create_user_pool(PoolName="hospital")["UserPool"]["Id"]
    client = cognito.create_user_pool_client(
        UserPoolId=pool, ClientName="viewer", ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH"]
    )["UserPoolClient"]["ClientId"]
    cognito.create_group(UserPoolId=pool, GroupName="readers")
    cognito.admin_create_user(UserPoolId=pool, Username="jane")
    cognito.admin_set_user_password(UserPoolId=pool, Username="jane", Password="Secret-Word-1", Permanent=True)
    cognito.admin_add_user_to_group(UserPoolId=pool, Username="jane", GroupName="readers")
    token = cognito.admin_initiate_auth(
        UserPoolId=pool,
        ClientId=client,
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": "jane", "PASSWORD": "Secret-Word-1"},
    )["AuthenticationResult"]["IdToken"]
    role = f"arn:aws:iam::{ACCOUNT}:role/reader"
    rules = parse_claim_roles(json.dumps([{"claim": "cognito:groups", "value": "readers", "role": role}]))
    url = f"https://cognito-idp.us-east-1.amazonaws.com/{pool}"
    keys_url = f"{s3.url}/{pool}/.well-known/jwks.json"
    identity = open_issuer(IssuerConfiguration(url, (client,), keys_url, ("RS256",), rules, 5)).validate(token)
    assert (identity.issuer, identity.audience) == (url, client)
    assert map_role(identity.claims, rules) == role
    with pytest.raises(InvalidTokenError):
        open_issuer(IssuerConfiguration(url, ("elsewhere",), keys_url, ("RS256",), rules, 5)).validate(token)


def test_who_names_an_authorizer_must_be_allowed_to_call_it(world: World) -> None:
    make = "medical-imaging:CreateDatastore"
    client = world.server.client(key=world.identities.user("maker", allow(make)))
    assert tried(client)
    refused_to = tried(client, lambdaAuthorizerArn=function("reader"))
    assert "not authorized to perform: lambda:InvokeFunction on resource: " + function("reader") in refused_to
    world.identities.let_user("maker", allow([make, "lambda:InvokeFunction"]))
    wait_for(lambda: tried(client, lambdaAuthorizerArn=function("reader")) == "made", "the policy to count")


def tried(client: Any, **parameters: Any) -> str:
    """Make a data store; return what is said when it may not be made with these parameters, nothing when not at all."""
    try:
        client.create_datastore(**parameters)
    except ClientError as error:
        message = str(error.response["Error"]["Message"])
        return message if parameters else ""
    return "made"


def test_the_audit_trail_names_the_session_and_who_vouched(world: World, stored: str) -> None:
    token = world.issuer.token(sub="jane")
    good, bad = world.ask(stored, token), world.ask(stored, world.issuer.token(exp=1000))
    identity = record_of(world.server, good.headers["x-amzn-RequestId"])["userIdentity"]
    assert (identity["type"], identity["arn"]) == ("AssumedRole", f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/jane")
    context = identity["sessionContext"]
    assert context["sessionIssuer"]["arn"] == f"arn:aws:iam::{ACCOUNT}:role/reader"
    assert context["webIdFederationData"]["federatedProvider"] == function("reader")
    record = record_of(world.server, bad.headers["x-amzn-RequestId"])
    assert (record["eventName"], record["errorCode"]) == ("SearchDICOMStudies", "AccessDeniedException")
    assert record["errorMessage"] == "Invalid or Expired Token"


def test_tokens_are_kept_nowhere(world: World) -> None:
    log = world.server.log_text()
    assert "bearer token refused" in log
    kept = {path.name: content for path, content in kept_files(world.server.data).items()}
    for event in world.asked.events:
        for part in event["bearerToken"].split("."):
            assert len(part) < 8 or part not in log
            assert len(part) < 8 or [name for name, content in kept.items() if part.encode() in content] == []
