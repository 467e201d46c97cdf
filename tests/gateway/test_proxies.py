"""Behind a proxy: whose address policies and the audit trail see, and who is believed."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from hounsfield.settings import Settings, SettingsError
from support.audit_trail import record_of
from support.clients.signed_http import Answer, send, signature
from support.identities.users import answer
from support.servers import ServerProcess, active_datastore, wait_for

INSIDE = {
    "Version": "2012-10-17",
    "Statement": {
        "Effect": "Allow",
        "Action": "medical-imaging:ListDatastores",
        "Resource": "*",
        "Condition": {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}, "Bool": {"aws:SecureTransport": "true"}},
    },
}
Key = tuple[str, str]


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    settings = {"HOUNSFIELD_TRUSTED_PROXIES": "127.0.0.1, 10.0.0.0/8"}
    process = ServerProcess(tmp_path_factory.mktemp("proxied") / "data", settings).start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def key(proxied: ServerProcess) -> Key:
    answer(proxied, "user", "create", "inside")
    answer(proxied, "policy", "put", "inside", "-", "--user", "inside", given=json.dumps(INSIDE))
    made = answer(proxied, "access-key", "create", "inside")
    pair = (made["access_key_id"], made["secret_access_key"])
    wait_for(lambda: listing(proxied, pair).code != "UnrecognizedClientException", "the key to be known")
    return pair


def listing(server: ServerProcess, key: Key | None = None, **added: str) -> Answer:
    """Ask for the data stores, with headers that were added on the way."""
    signed = signature(server, "GET", "/datastore", key=key)
    return send(server, "GET", "/datastore", headers={**signed, **added})


@pytest.mark.parametrize(
    ("came_by", "status"),
    [
        ({}, 403),
        ({"X-Forwarded-For": "203.0.113.9"}, 403),
        ({"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}, 200),
        ({"X-Forwarded-For": "198.51.100.7, 203.0.113.9, 10.1.1.1", "X-Forwarded-Proto": "https"}, 200),
        # What a client puts in front is not the proxy's word.
        ({"X-Forwarded-For": "203.0.113.9, 198.51.100.7", "X-Forwarded-Proto": "https"}, 403),
        ({"X-Forwarded-For": "203.0.113.9, of nobody", "X-Forwarded-Proto": "https"}, 403),
        ({"X-Forwarded-For": "203.0.113.9:5555", "X-Forwarded-Proto": "HTTPS"}, 200),
        ({"X-Forwarded-For": "203.0.113.9, 10.1.1.1", "X-Forwarded-Proto": "https, http"}, 200),
        ({"X-Forwarded-For": "198.51.100.7, 203.0.113.9", "X-Forwarded-Proto": "https, http"}, 403),
        ({"Forwarded": 'for="203.0.113.9:80";proto=https, for=10.1.1.1'}, 200),
        ({"Forwarded": "proto=HTTPS;by=10.2.2.2;for=203.0.113.9"}, 200),
        ({"Forwarded": "for=203.0.113.9;proto=https", "X-Forwarded-For": "198.51.100.7"}, 403),
        ({"Forwarded": "for=203.0.113.9;proto=https, for=unknown"}, 403),
        ({"Forwarded": "for=203.0.113.9;proto=https, ;;"}, 403),
    ],
)
def test_policies_see_the_client(proxied: ServerProcess, key: Key, came_by: dict[str, str], status: int) -> None:
    assert listing(proxied, key, **came_by).status == status


@pytest.mark.parametrize(
    ("header", "came_from", "address"),
    [
        ("X-Forwarded-For", "203.0.113.9", "203.0.113.9"),
        ("X-Forwarded-For", "203.0.113.7:5555", "203.0.113.7"),
        ("X-Forwarded-For", "[2001:db8::7]:5555", "2001:db8::7"),
        ("X-Forwarded-For", "2001:db8::7", "2001:db8::7"),
        ("Forwarded", 'For="[2001:db8:cafe::17]:4711"', "2001:db8:cafe::17"),
        ("X-Forwarded-For", "pacs.example.org", "127.0.0.1"),
    ],
)
def test_the_audit_trail_names_the_client(proxied: ServerProcess, header: str, came_from: str, address: str) -> None:
    given = listing(proxied, **{header: came_from})
    assert record_of(proxied, given.headers["x-amzn-requestid"])["sourceIPAddress"] == address


@pytest.fixture(scope="module")
def proxied_datastore(proxied: ServerProcess) -> str:
    return active_datastore(proxied.client())


@pytest.mark.parametrize(
    "came_by",
    [
        {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"},
        {"X-Forwarded-Proto": "https"},
        {"X-Forwarded-Proto": "https, http"},
        {"X-Forwarded-Proto": "HTTPS"},
        {"Forwarded": "proto=https"},
    ],
)
def test_urls_in_answers_are_those_of_the_client(
    proxied: ServerProcess, proxied_datastore: str, came_by: dict[str, str]
) -> None:
    path = f"/datastore/{proxied_datastore}/"
    given = send(proxied, "OPTIONS", path, headers={**signature(proxied, "OPTIONS", path), **came_by})
    assert f"https://127.0.0.1:{proxied.port}/datastore/{proxied_datastore}".encode() in given.body


def test_whoever_else_says_so_is_not_believed(server: ServerProcess) -> None:
    given = listing(server, **{"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"})
    assert record_of(server, given.headers["x-amzn-requestid"])["sourceIPAddress"] == "127.0.0.1"


@pytest.mark.parametrize("text", ["proxy.example.org", "10.0.0.1/8", "10.0.0.0/33", "*", "10.0.0.1;10.0.0.2"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"TRUSTED_PROXIES.*is not an IP address or a network"):
        Settings(trusted_proxies=text)
