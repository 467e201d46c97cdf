"""Signing in to the console by an identity provider: a real one, of which each check is a check of the standard."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from hounsfield.settings import SettingsError, load_settings
from support.audit_trail import records
from support.browser.fixtures import NewContext
from support.browser.pages import check_page
from support.identities.users_and_roles import ACCOUNT, UsersAndRoles, allow, role_arn, trust
from support.servers import ServerProcess, wait_for
from support.services.sign_in_provider import CLIENT, Provider

BACK: Final = "/console/sign-in/oidc/callback"
BEGIN: Final = "/console/sign-in/oidc"
SECRET: Final = "a secret: with / and %"


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    made = Provider()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def serving(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with two API processes, one of which begins a sign-in and perhaps the other ends it."""
    roles = [
        {"claim": "groups", "value": group, "role": role_arn(group)}
        for group in ("readers", "untrusting", "picky", "gone")
    ]
    settings = {
        "HOUNSFIELD_OIDC_ISSUER": provider.issuer.url,
        "HOUNSFIELD_OIDC_AUDIENCE": "hounsfield",
        "HOUNSFIELD_OIDC_ROLES": json.dumps(roles),
        "HOUNSFIELD_CONSOLE_OIDC_CLIENT_ID": CLIENT,
        "HOUNSFIELD_CONSOLE_OIDC_CLIENT_SECRET": SECRET,
        "HOUNSFIELD_CONSOLE_OIDC_SCOPES": "openid profile",
        "HOUNSFIELD_API_WORKERS": "2",
        "HOUNSFIELD_TRUSTED_PROXIES": "127.0.0.1",
    }
    process = ServerProcess(tmp_path_factory.mktemp("oidc") / "data", settings).start()
    provider.redirect_uris += [f"{process.url}{BACK}", f"https://pacs.example.org{BACK}"]
    identities = UsersAndRoles(process)
    name = provider.issuer.url.partition("://")[2]
    federated = {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{name}"}
    action = "sts:AssumeRoleWithWebIdentity"
    is_client = {"StringEquals": {f"{name}:aud": CLIENT}}
    is_jim = {"StringEquals": {f"{name}:sub": "jim"}}
    reads = allow("medical-imaging:ListDatastores")
    identities.role("readers", trust(federated, action, Condition=is_client), reads, max_session_seconds=7200)
    identities.role("picky", trust(federated, action, Condition=is_jim), reads)
    identities.role("untrusting", trust({"AWS": ACCOUNT}), reads)
    identities.close()
    yield process
    process.stop()


@pytest.fixture(autouse=True)
def _as_it_was(provider: Provider) -> None:
    provider.claims, provider.refuses, provider.secret = {"groups": ["others", "readers"]}, "", SECRET
    provider.is_down = False


def begun(server: ServerProcess, browser: requests.Session, path: str = BEGIN) -> str:
    """Begin a sign-in; gives where the browser is sent back to."""
    answer = browser.get(server.url + path, allow_redirects=False, timeout=30)
    assert answer.status_code == 303, answer.text
    asked = requests.get(answer.headers["location"], allow_redirects=False, timeout=30)
    assert asked.status_code == 302, asked.text
    return asked.headers["location"]


def finished(server: ServerProcess, browser: requests.Session | None = None) -> requests.Response:
    browser = browser or requests.Session()
    return browser.get(begun(server, browser), allow_redirects=False, timeout=30)


def login_record(server: ServerProcess, result: str) -> dict[str, Any]:
    """Wait for the record of a sign-in that ended so, and return it."""
    wanted = {"ConsoleLogin": result}
    return wait_for(
        lambda: [record for record in records(server) if record["responseElements"] == wanted], "the record"
    )[-1]


def test_who_the_provider_vouches_for_has_a_session_of_the_role(
    serving: ServerProcess, provider: Provider, new_context: NewContext
) -> None:
    context, faults = new_context(url=serving.url)
    faults.allow(f"request to another origin: GET {provider.server.url}/authorize")
    page = context.new_page()
    page.goto("/console/datastores?status=ACTIVE")
    check_page(page)
    page.get_by_role("link", name="Sign in with 127.0.0.1").click()
    page.get_by_role("heading", name="Data stores").wait_for()
    assert page.url == f"{serving.url}/console/datastores?status=ACTIVE"
    page.goto("/console/session")
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/readers/jane"
    assert arn in page.inner_text("main")
    assert not [cookie for cookie in context.cookies() if cookie["path"] != "/console"]
    # What the role does not allow is not offered, and refused.
    assert page.goto("/console/datastores/new").status == 403
    # When the session ends, the dialog offers the same way in a new tab, and this one goes on.
    assert finished(serving).status_code == 303
    page.goto("/console/session")
    context.clear_cookies()
    page.get_by_role("button", name="with python-requests").click()
    with context.expect_page() as opened:
        page.get_by_role("dialog").get_by_role("link", name="Sign in with 127.0.0.1").click()
    opened.value.get_by_role("heading", name="Your sessions").wait_for()
    page.get_by_text("That session is ended.").wait_for()
    record = login_record(serving, "Success")
    assert record["userIdentity"]["type"] == "AssumedRole"
    assert record["userIdentity"]["arn"] == arn
    assert record["userIdentity"]["sessionContext"]["webIdFederationData"]["federatedProvider"].endswith("/realms/main")
    assert record["eventSource"] == "signin.amazonaws.com"
    assert record["eventType"] == "AwsConsoleSignIn"
    assert record["additionalEventData"] == {"MFAUsed": "No", "signInMethod": "OpenID Connect"}
    asked, paid = provider.asked[-1], provider.paid[-1]
    assert asked["scope"] == "openid profile"
    secrets = [paid["code"], paid["code_verifier"], asked["nonce"], asked["state"], SECRET]
    written = serving.log_text() + json.dumps(records(serving))
    assert not [secret for secret in secrets if secret in written]


def test_the_session_ends_with_the_credentials(serving: ServerProcess) -> None:
    browser = requests.Session()
    assert finished(serving, browser).status_code == 303
    page = browser.get(serving.url + "/console/session", timeout=30).text
    created, expires = re.findall(r'datetime="([^"]+)"', page.partition("Since")[2])[:2]
    seconds = _seconds(expires) - _seconds(created)
    # The role allows two hours, the settings twelve.
    assert 7150 <= seconds <= 7200


def _seconds(moment: str) -> float:
    return time.mktime(time.strptime(moment[:19], "%Y-%m-%dT%H:%M:%S"))


@pytest.mark.parametrize(
    ("claims", "status", "words"),
    [
        ({"groups": ["others"]}, 403, "nothing that it says of you stands for a role"),
        ({"groups": ["gone"]}, 403, "role here cannot be used"),
        ({"groups": ["untrusting"]}, 403, "role here cannot be used"),
        ({"groups": ["picky"]}, 403, "role here cannot be used"),
        ({"aud": "another"}, 502, "for another program"),
        ({"aud": [CLIENT, "another"]}, 502, "for another program"),
        ({"aud": [CLIENT, "another"], "azp": "another"}, 502, "for another program"),
        ({"exp": 1000}, 502, "the clocks of this server and of the identity provider differ"),
        ({"iat": 4e9, "exp": 5e9}, 502, "the clocks of this server and of the identity provider differ"),
        ({"nonce": "that of another sign-in"}, 502, "cannot be taken"),
        ({"nonce": None}, 502, "cannot be taken"),
        ({"iss": "https://other.example.org"}, 502, "cannot be taken"),
        ({"sub": None}, 502, "cannot be taken"),
    ],
)
def test_a_token_that_cannot_be_taken_is_told_in_words(
    serving: ServerProcess, provider: Provider, claims: dict[str, Any], status: int, words: str
) -> None:
    provider.claims |= claims
    browser = requests.Session()
    answer = finished(serving, browser)
    assert (answer.status_code, words in answer.text) == (status, True), answer.text
    assert "Sign in with" in answer.text
    assert not browser.cookies, "the browser keeps nothing of it"


def test_some_may_come_by_their_subject_alone(serving: ServerProcess, provider: Provider) -> None:
    provider.claims |= {"groups": ["picky"], "sub": "jim"}
    assert finished(serving).status_code == 303


def test_what_the_provider_refuses_is_told_in_words(serving: ServerProcess, provider: Provider) -> None:
    for error, status, words in (
        ("access_denied", 403, "was cancelled"),
        ("server_error", 503, "cannot sign anybody in"),
        ("invalid_scope", 400, "refused the request of this server: invalid_scope"),
        ("<script>alert(1)</script>", 400, "&lt;script&gt;"),
    ):
        provider.refuses = error
        answer = finished(serving)
        assert (answer.status_code, words in answer.text) == (status, True), answer.text
    provider.refuses, provider.secret = "", "changed"
    assert "client id or secret is not right" in finished(serving).text
    failure = login_record(serving, "Failure")
    assert failure["userIdentity"]["type"] == "Unknown"


def test_nobody_ends_what_another_browser_began(serving: ServerProcess) -> None:
    """A page that sends a browser to the end of the attacker's own sign-in signs nobody in as the attacker."""
    one, other = requests.Session(), requests.Session()
    back = begun(serving, one)
    refused = other.get(back, allow_redirects=False, timeout=30)
    assert (refused.status_code, "another browser" in refused.text) == (400, True)
    begun(serving, other)
    assert other.get(back, allow_redirects=False, timeout=30).status_code == 400
    changed = back.replace("state=", "state=x")
    assert one.get(changed, allow_redirects=False, timeout=30).status_code == 400
    foreign = re.sub(r"iss=[^&]*", "iss=https%3A%2F%2Fother.example.org", back)
    assert one.get(foreign, allow_redirects=False, timeout=30).status_code == 502
    # The cookie is used up by the first that ends it.
    assert one.get(back, allow_redirects=False, timeout=30).status_code == 400


def test_two_sign_ins_go_on_in_two_tabs(serving: ServerProcess) -> None:
    browser = requests.Session()
    first = begun(serving, browser, BEGIN + "?next=%2Fconsole%2Fsession")
    second = begun(serving, browser, BEGIN + "?next=https%3A%2F%2Fevil.example")
    answers = [browser.get(back, allow_redirects=False, timeout=30).headers["location"] for back in (second, first)]
    assert answers == ["/console/start", "/console/session"]
    again = browser.get(first, allow_redirects=False, timeout=30)
    assert again.status_code == 400


def test_sign_ins_that_are_left_do_not_pile_up(serving: ServerProcess) -> None:
    browser = requests.Session()
    for _ in range(20):
        begun(serving, browser)
    assert len(browser.cookies) <= 8
    assert finished(serving, browser).status_code == 303


def test_behind_a_proxy_with_tls_cookies_are_secure(serving: ServerProcess) -> None:
    headers = {"Host": "pacs.example.org", "X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
    answer = requests.get(serving.url + BEGIN, headers=headers, allow_redirects=False, timeout=30)
    cookie = answer.headers["set-cookie"]
    assert all(word in cookie for word in ("Secure", "HttpOnly", "SameSite=lax", f"Path={BEGIN}", "Max-Age=600"))
    asked = parse_qs(urlsplit(answer.headers["location"]).query)
    assert asked["redirect_uri"] == [f"https://pacs.example.org{BACK}"]
    back = requests.get(answer.headers["location"], allow_redirects=False, timeout=30).headers["location"]
    path = back.removeprefix("https://pacs.example.org")
    jar = {"Cookie": cookie.partition(";")[0]}
    done = requests.get(serving.url + path, headers=headers | jar, allow_redirects=False, timeout=30)
    assert done.status_code == 303
    assert "Secure" in done.headers["set-cookie"]


def test_a_provider_that_is_down_is_told_and_keys_still_sign_in(serving: ServerProcess, provider: Provider) -> None:
    back_of = requests.Session()
    back = begun(serving, back_of)
    provider.codes.clear()
    late = back_of.get(back, allow_redirects=False, timeout=30)
    assert (late.status_code, "Begin again" in late.text) == (400, True)
    provider.is_down = True
    answer = finished(serving)
    assert (answer.status_code, "cannot be reached just now" in answer.text) == (503, True)
    key = serving.key()
    form = {"access_key_id": key[0], "secret_access_key": key[1]}
    assert requests.post(serving.url + "/console/sign-in", form, allow_redirects=False, timeout=30).status_code == 303


def test_without_a_provider_there_is_no_such_page(server: ServerProcess) -> None:
    assert "Sign in with" not in requests.get(server.url + "/console/sign-in", timeout=30).text
    answer = requests.get(server.url + BEGIN, allow_redirects=False, timeout=30)
    assert answer.headers["location"] == "/console/sign-in"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"OIDC_ISSUER": ""}, "CONSOLE_OIDC_CLIENT_ID needs HOUNSFIELD_OIDC_ISSUER"),
        ({"OIDC_ROLES": ""}, "CONSOLE_OIDC_CLIENT_ID needs HOUNSFIELD_OIDC_ROLES"),
        ({"CONSOLE_OIDC_SCOPES": "profile"}, "CONSOLE_OIDC_SCOPES must have openid"),
        ({"CONSOLE_IDLE_SECONDS": "0"}, "CONSOLE_IDLE_SECONDS must be more than 0"),
    ],
)
def test_settings_that_sign_nobody_in_are_refused(changes: dict[str, str], words: str) -> None:
    good = {
        "OIDC_ISSUER": "https://id.example.org",
        "OIDC_AUDIENCE": "hounsfield",
        "OIDC_ROLES": json.dumps([{"claim": "groups", "value": "a", "role": f"arn:aws:iam::{ACCOUNT}:role/a"}]),
        "CONSOLE_OIDC_CLIENT_ID": CLIENT,
    }
    load_settings({f"HOUNSFIELD_{name}": value for name, value in good.items()})
    with pytest.raises(SettingsError, match=words):
        load_settings({f"HOUNSFIELD_{name}": value for name, value in {**good, **changes}.items()})
