"""``hounsfield console`` beside a running server, and the sign-in by its link."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from support.audit_trail import records
from support.identities.users import answer, command
from support.programs import hounsfield
from support.servers import ServerProcess, wait_for


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server of this file alone: what is refused here makes the address wait that all tests call from."""
    process = ServerProcess(tmp_path_factory.mktemp("console-link") / "data").start()
    yield process
    process.stop()


def signed_in(link: str) -> requests.Response:
    """Do what the page of a link does in a browser."""
    address, _, token = link.partition("#")
    return requests.Session().post(address, {"token": token}, timeout=30)


def test_a_link_signs_in_once_as_root(serving: ServerProcess) -> None:
    run = hounsfield("console", "--data", str(serving.data))
    assert run.returncode == 0, run.stderr
    assert run.stderr.startswith("It signs in once, as root, until ")
    assert "No server" not in run.stderr
    link = run.stdout.strip()
    assert link.startswith(f"{serving.url}/console/link#")
    page = signed_in(link)
    assert (page.status_code, page.url) == (200, f"{serving.url}/console/datastores")
    refused = signed_in(link)
    assert refused.status_code == 401
    assert "was used already" in refused.text


def test_a_link_for_a_user_ends_with_the_key_it_is_for(serving: ServerProcess) -> None:
    answer(serving, "user", "create", "linked")
    refused = command(serving, "console", "--user", "linked")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "linked has no active access key" in refused.stderr
    key = answer(serving, "access-key", "create", "linked")["access_key_id"]
    printed = answer(serving, "console", "--user", "linked")
    assert printed["user"] == "linked"
    address, _, token = printed["url"].partition("#")
    browser = requests.Session()
    page = browser.post(address, {"token": token}, timeout=30)
    # Nothing is allowed yet, so the page asks whom it names for the data store to work in.
    assert page.url == f"{serving.url}/console/start"
    assert "user/linked" in page.text
    answer(serving, "access-key", "disable", key)
    asked = f"{serving.url}/console/datastores"
    wait_for(
        lambda: browser.get(asked, allow_redirects=False, timeout=30).status_code == 303, "the session to be ended"
    )


def test_what_cannot_be_a_link_is_said(serving: ServerProcess, tmp_path: Path) -> None:
    for url in ("pacs.example.org", "ftp://pacs.example.org", "https://pacs.example.org/?x=1", "http://[::1"):
        refused = command(serving, "console", "--url", url)
        assert (refused.exit_code, refused.stdout) == (2, ""), url
    assert command(serving, "console", "--user", "nobody").exit_code == 1
    assert hounsfield("console", "--data", str(tmp_path / "nothing")).returncode == 1
    elsewhere = answer(serving, "console", "--url", "https://pacs.example.org/console/")
    assert elsewhere["url"].startswith("https://pacs.example.org/console/link#")


def test_without_a_server_it_says_so_and_prints_the_link(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data").start()
    server.stop()
    printed = command(server, "console")
    assert printed.exit_code == 0
    assert printed.stdout.startswith("http://127.0.0.1:8080/console/link#")
    assert "No server of" in printed.stderr
    token = printed.stdout.strip().partition("#")[2]
    (record,) = [record for record in records(server) if record["eventName"] == "GetSigninToken"]
    assert record["eventSource"] == "signin.amazonaws.com"
    assert token not in json.dumps(record)
