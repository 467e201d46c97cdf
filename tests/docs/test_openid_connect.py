"""docs/how-to/openid-connect.md: its authorizer runs as a process of its own, its settings and tables are those of the code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
import requests

from hounsfield.gateway.bearer_errors import bearer_error
from hounsfield.oidc.errors import BearerError
from hounsfield.oidc.http_authorizer import SECONDS, AuthorizerRequest, parse_answer
from hounsfield.oidc.lifetimes import LONGEST_AGE
from hounsfield.oidc.token import LONGEST_TOKEN
from hounsfield.settings import Settings
from support.doc_pages import Page, codes, run_shell
from support.servers import ServerProcess, active_datastore, free_port, wait_for
from support.services.token_issuer import TokenIssuer

PAGE = Page.of("docs/how-to/openid-connect.md")
FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:viewer-authorizer"


@dataclass
class Hospital:
    """A server set up as the page says, its issuer, and the page's authorizer in a process of its own."""

    server: ServerProcess
    issuer: TokenIssuer

    def get(self, datastore: str, **claims: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.issuer.token(**claims)}"}
        return requests.get(f"{self.server.url}/datastore/{datastore}/studies", headers=headers, timeout=60)


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder, issuer, port = tmp_path_factory.mktemp("hospital"), TokenIssuer(), free_port()
    (folder / "authorizer.py").write_text(PAGE.section("## Authorizers").block("python"))
    environment = {**os.environ, "ISSUER": issuer.url, "JWKS_URL": f"{issuer.server.url}/keys", "PORT": str(port)}
    authorizer = subprocess.Popen([sys.executable, str(folder / "authorizer.py")], env=environment)
    config = PAGE.section("## Direct validation").block("toml")
    (folder / "hounsfield.toml").write_text(config.replace("https://id.example.org/realms/radiology", issuer.url))
    (exported,) = re.findall(r"^export HOUNSFIELD_AUTHORIZERS=(.*)$", PAGE.text, re.MULTILINE)
    server = ServerProcess(
        folder / "data",
        {
            "HOUNSFIELD_CONFIG": str(folder / "hounsfield.toml"),
            "HOUNSFIELD_AUTHORIZERS": exported.replace(":9000", f":{port}"),
        },
    ).start()
    try:
        run_shell(server, PAGE.section("## Roles").block("sh"), folder, HOUNSFIELD_DATA=str(server.data))
        wait_for(lambda: listens(port, authorizer), "the authorizer to listen")
        yield Hospital(server, issuer)
    finally:
        server.stop()
        authorizer.terminate()
        authorizer.wait(120)
        issuer.stop()


def listens(port: int, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None
    try:
        with urlopen(f"http://127.0.0.1:{port}/", timeout=2):
            return True
    except HTTPError:
        return True
    except OSError:
        return False


def test_the_authorizer_of_the_page_vouches_for_tokens(hospital: Hospital, tmp_path: Path) -> None:
    script = PAGE.section("## Authorizers").blocks("sh")[0]
    printed = run_shell(hospital.server, f"{script}\necho made $DATASTORE", tmp_path)
    datastore = printed.split()[-1]
    client = hospital.server.client()
    properties = client.get_datastore(datastoreId=datastore)["datastoreProperties"]
    assert properties["lambdaAuthorizerArn"] == FUNCTION
    wait_for(lambda: hospital.get(datastore, groups=["radiologists"]).ok, "the role to be known")
    for claims, message in (
        ({"groups": ["nurses"]}, "Access Denied"),
        ({"groups": ["radiologists"], "aud": "elsewhere"}, "Invalid or Expired Token"),
        ({"groups": ["radiologists"], "iss": "https://id.example.org"}, "Invalid or Expired Token"),
    ):
        answer = hospital.get(datastore, **claims)
        assert (answer.status_code, answer.json()["message"]) == (403, message)


def test_the_claims_of_the_page_mean_its_roles(hospital: Hospital) -> None:
    datastore = active_datastore(hospital.server.client())
    wait_for(lambda: hospital.get(datastore, groups=["radiologists"]).ok, "the role to be known")
    writing = hospital.get(datastore, realm_access={"roles": ["dicom-writer"]})
    assert writing.json()["message"] == "Authorizer Misconfiguration", "the page makes no role of writers"
    assert hospital.get(datastore, groups=["nurses"]).json()["message"] == "Access Denied"


def test_event_and_answer_are_those_of_the_code() -> None:
    event, answer = PAGE.section("## Authorizers").blocks("json")
    told = json.loads(event)
    question = AuthorizerRequest(told["datastoreId"], told["operation"], told["bearerToken"])
    assert json.loads(question.event()) == told
    assert parse_answer(answer.encode()).endswith(":role/reader")


def test_errors_are_those_of_the_code() -> None:
    kinds = {kind.message: kind for kind in descendants(BearerError)}
    rows = {codes(row["message"])[0]: int(row["status"]) for row in PAGE.section("## Errors").rows("status", "message")}
    answers = {message: bearer_error(kind("a reason"), "id").status for message, kind in kinds.items()}
    assert {message: status for message, status in rows.items() if not message.startswith("User: ")} == answers


def descendants(kind: type[BearerError]) -> list[type[BearerError]]:
    return [found for below in kind.__subclasses__() for found in (below, *descendants(below))]


def test_figures_are_those_of_the_code() -> None:
    text = " ".join(PAGE.text.split())
    defaults = Settings()
    for figure in (
        f"with {defaults.oidc_leeway_seconds:g} seconds of leeway",
        f"at most {LONGEST_AGE / 3600:g} hours ago",
        f"at most {LONGEST_TOKEN:,} characters",
        f"anew after {defaults.oidc_keys_seconds / 60:g} minutes",
        f"at most every {defaults.oidc_refetch_seconds:g} seconds",
        f"for {defaults.authorizer_cache_seconds:g} more seconds",
        f"at most {defaults.authorizer_calls} at the same time",
        "RS256, PS256, ES256, EdDSA and Ed25519",
    ):
        assert figure in text, figure
    assert (SECONDS, defaults.oidc_keys_most_seconds) == (1, 3600)
    assert defaults.oidc_algorithms == "RS256,PS256,ES256,EdDSA,Ed25519"
    assert tomllib.loads(PAGE.block("toml"))["oidc_audience"] == "hounsfield"
