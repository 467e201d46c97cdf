"""docs/how-to/console-sign-in.md: its settings and its words are those of the code, and it works behind a real nginx."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import requests

from hounsfield.console.sessions import provider_sign_in
from hounsfield.console.sessions.sessions import LINK_SECONDS
from hounsfield.settings import Settings, load_settings
from support.audit_trail import records
from support.doc_pages import Page, run_shell
from support.required_tools import required_tool
from support.servers import ServerProcess, free_port, wait_for
from support.services.certificates import Authority
from support.services.sign_in_provider import CLIENT, Provider

PAGE: Final = Page.of("docs/how-to/console-sign-in.md")
PROVIDER: Final = PAGE.section("## By an identity provider")
ISSUER: Final = "id.example.org/realms/radiology"


def test_the_figures_and_words_are_those_of_the_code(tmp_path: Path) -> None:
    defaults = Settings()
    assert defaults.console_idle_seconds == 30 * 60
    assert "after half an hour in which somebody does nothing" in PAGE.text
    assert defaults.console_session_seconds == 12 * 3600
    assert "after twelve hours whatever they do" in PAGE.text
    assert LINK_SECONDS == 5 * 60
    assert "within five minutes" in PAGE.text
    (tmp_path / "hounsfield.toml").write_text(PROVIDER.block("toml"))
    settings = load_settings({"HOUNSFIELD_CONFIG": str(tmp_path / "hounsfield.toml")})
    assert PROVIDER.block("text").strip() == settings.public_url + provider_sign_in.RETURN_PATH
    assert settings.console_oidc_client_id == CLIENT
    said = re.sub(r'"\s+f?"', "", Path(provider_sign_in.__file__).read_text())
    for row in PROVIDER.rows("what the page says", "what to do"):
        words = row["what the page says"].replace("nothing that the provider says", "nothing that it says")
        assert words.partition(" stands")[0].lower() in said.lower(), words
    assert provider_sign_in.REFUSED in PAGE.text


@contextmanager
def nginx(folder: Path, server: ServerProcess, port: int) -> Iterator[Path]:
    """Run nginx with what the page shows before a server; gives the file of the authority of its certificate."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    required_tool(program is not None, "Debian's package nginx-light is not installed")
    assert program is not None
    authority = Authority(folder)
    certificate, key = authority.sign("nginx")
    shown = PAGE.section("## Behind nginx with TLS").block("nginx")
    shown = shown.replace("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;").replace(
        "http://127.0.0.1:8080", server.url
    )
    shown = shown.replace("/etc/nginx/fullchain.pem", str(certificate)).replace("/etc/nginx/privkey.pem", str(key))
    paths = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"{user} pid {folder}/nginx.pid; daemon off; events {{}} http {{ access_log off; {paths} {shown} }}"
    )
    command = [program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "nginx.log")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield authority.file
    finally:
        process.terminate()
        process.wait(30)


def browser_that_trusts(authority: Path) -> requests.Session:
    browser = requests.Session()
    browser.trust_env, browser.verify = False, str(authority)
    return browser


def answers(url: str, authority: Path) -> bool:
    try:
        return browser_that_trusts(authority).get(f"{url}/healthz", timeout=5).ok
    except requests.ConnectionError:
        return False


def test_all_ways_lead_in_behind_nginx(tmp_path: Path) -> None:
    provider, port = Provider(), free_port()
    url = f"https://127.0.0.1:{port}"
    provider.redirect_uris.append(url + provider_sign_in.RETURN_PATH)
    provider.claims["groups"] = ["radiologists"]
    name = provider.issuer.url.partition("://")[2]
    config = PROVIDER.block("toml").replace(f"https://{ISSUER}", provider.issuer.url)
    (tmp_path / "hounsfield.toml").write_text(config.replace("https://pacs.example.org", url))
    settings = {"HOUNSFIELD_CONFIG": str(tmp_path / "hounsfield.toml"), "HOUNSFIELD_TRUSTED_PROXIES": "127.0.0.1"}
    server = ServerProcess(tmp_path / "data", settings).start()
    try:
        (tmp_path / "trust.json").write_text(PROVIDER.block("json").replace(ISSUER, name))
        run_shell(server, f"export HOUNSFIELD_DATA={server.data}\n{PROVIDER.block('sh')}", tmp_path)
        link = run_shell(
            server, PAGE.section("## By a link").block("sh").replace("--data data", ""), tmp_path, **settings
        )
        with nginx(tmp_path, server, port) as authority:
            wait_for(lambda: answers(url, authority), "nginx to answer")
            key = server.key()
            address, _, token = link.strip().partition("#")
            assert address == f"{url}/console/link"
            forms = {
                "/console/link": {"token": token},
                "/console/sign-in": {"access_key_id": key[0], "secret_access_key": key[1]},
            }
            for path, form in forms.items():
                browser = browser_that_trusts(authority)
                done = browser.post(url + path, form, headers={"Origin": url}, allow_redirects=False, timeout=30)
                assert done.status_code == 303, done.text
                assert "Secure" in done.headers["set-cookie"]
            browser = browser_that_trusts(authority)
            begun = browser.get(url + provider_sign_in.PATH, allow_redirects=False, timeout=30)
            back = requests.get(begun.headers["location"], allow_redirects=False, timeout=30).headers["location"]
            page = browser.get(back, timeout=30)
            assert page.url == f"{url}/console/datastores"
            assert "assumed-role/console-reader/jane" in page.text
            assert {cookie.secure for cookie in browser.cookies} == {True}
        found = [record for record in records(server) if record["eventName"] == "ConsoleLogin"]
        assert len(found) == 3
        assert all(record["tlsDetails"]["clientProvidedHostHeader"] == f"127.0.0.1:{port}" for record in found), (
            json.dumps(found)
        )
    finally:
        server.stop()
        provider.stop()
