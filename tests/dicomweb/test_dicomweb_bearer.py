"""Bearer tokens at DICOMweb, on a server with data stores that have authorizers of every kind, and with an issuer."""

from __future__ import annotations

import io
import json
import socket
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from joserfc import jwt
from joserfc.jwk import ECKey

from dicomweb.authorizer_endpoints import Asked, http_endpoint, lambda_endpoint, verdict
from dicomweb.web import BOUNDARY, multipart, part10, root, session, store
from hounsfield.access.directory.attachments import put_inline_policy
from hounsfield.access.directory.identities import create_role, delete_identity, update_role
from hounsfield.access.directory.records import IdentityKind
from hounsfield.access.directory.repository import Repository
from hounsfield.access.oidc.tokens import LONGEST_TOKEN
from object_store import ObjectStore
from servers import ServerProcess, active_datastore, free_port, wait_for
from signed_http import send
from synthetic import slice_of, uid
from system.identities import repository_of
from token_issuer import TokenIssuer, key_for

ACCOUNT = "123456789012"  # that of moto
VIEWER = "https://viewer.example.org"
SERVICE = "medical-imaging.amazonaws.com"
ROLES = ("reader", "writer", "untrusting", "bound", "near")
STUDY = f"studies/{uid(1)}"
INSTANCE = f"{STUDY}/series/{uid(1, 1)}/instances/{uid(1, 1, 1)}"
HTTP_FUNCTIONS = (
    *(
        "reader",
        "writer",
        "untrusting",
        "bound",
        "near",
        "no-role",
        "invalid",
        "malformed",
        "not-json",
        "no-arn",
        "huge",
    ),
    *("unknown-role", "foreign-role", "missing", "crash", "elsewhere", "slow", "down"),
)


def function(name: str, region: str = "us-east-1", account: str = ACCOUNT) -> str:
    return f"arn:aws:lambda:{region}:{account}:function:{name}"


def trust(party: dict[str, str], condition: dict[str, Any] | None = None) -> str:
    statement = {"Effect": "Allow", "Principal": party, "Action": "sts:AssumeRole"}
    return json.dumps(
        {"Version": "2012-10-17", "Statement": [{**statement, **({"Condition": condition} if condition else {})}]}
    )


def let(repository: Repository, role: str, *actions: str) -> None:
    """Let a role do some actions."""
    statement = {"Effect": "Allow", "Action": [f"medical-imaging:{action}" for action in actions], "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    put_inline_policy(repository, IdentityKind.ROLE, role, "images", document)


@dataclass
class World:
    """A server, its issuer, its authorizers, and the data store of each."""

    server: ServerProcess
    issuer: TokenIssuer
    asked: Asked
    client: Any
    stores: dict[str, str]

    def store_of(self, arn: str) -> str:
        if arn not in self.stores:
            self.stores[arn] = active_datastore(self.client, lambdaAuthorizerArn=arn)
        return self.stores[arn]

    def get(self, name_or_arn: str, token: str, path: str = "studies", **headers: str) -> requests.Response:
        arn = name_or_arn if name_or_arn.startswith("arn:") else function(name_or_arn)
        return self.ask(self.store_of(arn), token, path, **headers)

    def ask(self, datastore_id: str, token: str, path: str = "studies", **headers: str) -> requests.Response:
        url = f"{root(self.server, datastore_id)}/{path}"
        return requests.get(url, headers={"Authorization": f"Bearer {token}", **headers}, timeout=60)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, s3: ObjectStore) -> Iterator[World]:
    roles = {name: f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in ROLES}
    asked, issuer = Asked(roles), TokenIssuer()
    endpoint, invoke = http_endpoint(asked), lambda_endpoint(asked, s3.url)
    urls = {name: f"{endpoint.url}/{name}" for name in HTTP_FUNCTIONS} | {"down": f"http://127.0.0.1:{free_port()}"}
    rules = [
        {"claim": ["realm_access", "roles"], "value": "dicom-writer", "role": roles["writer"]},
        {"claim": "groups", "value": "readers", "role": roles["reader"]},
    ]
    environment = {
        "HOUNSFIELD_ACCOUNT_ID": ACCOUNT,
        "HOUNSFIELD_AUTHORIZERS": ",".join(f"{function(name)}={url}" for name, url in urls.items()),
        "HOUNSFIELD_LAMBDA_ENDPOINT_URL": invoke.url,
        "HOUNSFIELD_LAMBDA_ACCESS_KEY_ID": "lambda-key",
        "HOUNSFIELD_LAMBDA_SECRET_ACCESS_KEY": "lambda-secret",
        "HOUNSFIELD_AUTHORIZER_CACHE_SECONDS": "60",
        "HOUNSFIELD_AUTHORIZER_CALLS": "4",
        "HOUNSFIELD_OIDC_ISSUER": issuer.url,
        "HOUNSFIELD_OIDC_AUDIENCE": "hounsfield",
        "HOUNSFIELD_OIDC_ROLES": json.dumps(rules),
        "HOUNSFIELD_OIDC_REFETCH_SECONDS": "0",
        "HOUNSFIELD_CORS_ORIGINS": VIEWER,
        "HOUNSFIELD_LOG_LEVEL": "debug",
    }
    server = ServerProcess(tmp_path_factory.mktemp("bearer") / "data", environment).start()
    try:
        with repository_of(server) as repository:
            create_role(repository, "reader", trust({"Service": SERVICE}))
            create_role(repository, "writer", trust({"Service": SERVICE}))
            create_role(repository, "untrusting", trust({"AWS": ACCOUNT}))
            create_role(repository, "bound", trust({"Service": SERVICE}, {"StringEquals": {"aws:SourceArn": "none"}}))
            here = {"aws:SourceArn": f"arn:aws:medical-imaging:us-east-1:{ACCOUNT}:datastore/*"}
            create_role(repository, "near", trust({"Service": SERVICE}, {"ArnLike": here}))
            for name in ROLES:
                actions = ("*",) if name == "writer" else ("SearchDICOM*", "GetDICOM*")
                let(repository, name, *actions)
        made = World(server, issuer, asked, server.client(), {})
        wait_for(lambda: made.get("reader", issuer.token()).ok, "the roles to be known")
        yield made
    finally:
        asked.released.set()
        server.stop()
        for each in (endpoint, invoke, issuer):
            each.stop()


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
    trusted = trust({"Service": "lambda.amazonaws.com"})
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
    tokens = [world.issuer.token(sub=f"viewer-{number}") for number in range(12)]
    with ThreadPoolExecutor(12) as pool:
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

        wait_for(is_so, f"the answer {message}", 10)

    becomes(424, "Authorizer Misconfiguration")
    with repository_of(world.server) as repository:
        create_role(repository, "passing", trust({"Service": SERVICE}))
        becomes(403, "not authorized to perform: medical-imaging:SearchDICOMStudies")
        let(repository, "passing", "SearchDICOMStudies")
        wait_for(lambda: world.get(arn, token).ok, "the policy to count", 10)
        update_role(repository, "passing", trust=trust({"AWS": ACCOUNT}))
        becomes(424, "Authorizer Misconfiguration")
        update_role(repository, "passing", trust=trust({"Service": SERVICE}))
        wait_for(lambda: world.get(arn, token).ok, "the trust to count", 10)
        delete_identity(repository, IdentityKind.ROLE, "passing", force=True)
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


def test_tokens_are_not_logged(world: World) -> None:
    log = world.server.log_text()
    assert "bearer token refused" in log
    for event in world.asked.events:
        for part in event["bearerToken"].split("."):
            assert len(part) < 8 or part not in log
