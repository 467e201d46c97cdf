"""The pages on keys and TLS: what they show is run, and their tables are compared with what happens."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from hounsfield.cli.main import cli
from hounsfield.settings import Settings
from hounsfield.settings.tls import ClientCertificates, TlsVersion
from hounsfield.storage.db.image_set_tables import metadata
from support.doc_pages import Page, codes, run_shell
from support.programs import path_of_programs
from support.servers import ServerProcess
from support.services.key_service import KeyServiceProxy, key_service
from support.services.object_store import ObjectStore

KEYS = Page.of("docs/how-to/encryption-keys.md")
TLS = Page.of("docs/how-to/tls.md")
SERVICE = KEYS.section("## Use a key service")
MASTER = KEYS.section("## Rotate the master key")
DATABASE = KEYS.section("## Rotate the key of the database")
BACK_UP = Page.of("docs/how-to/back-up.md")


@pytest.fixture
def proxy(s3: ObjectStore) -> Iterator[KeyServiceProxy]:
    with key_service(s3) as place:
        yield place


def test_the_examples_of_keys_run(proxy: KeyServiceProxy, tmp_path: Path) -> None:
    process = ServerProcess(tmp_path / "data", {**proxy.environment(), "HOUNSFIELD_IMPORT_WORKERS": "1"}).start()
    arn = proxy.new_key()
    beside, stopped = MASTER.block("sh"), DATABASE.block("sh")
    try:
        assert run_shell(process, SERVICE.block("sh"), tmp_path, KMS_KEY_ARN=arn).split() == [arn]
        printed = run_shell(process, beside, tmp_path).splitlines()
        (tmp_path / "passphrase").write_text("a passphrase of the test\n")
        exported = run_shell(process, BACK_UP.section("## The keys alone").block("sh"), tmp_path)
        assert exported.startswith("keys-copy.json holds 2 master keys")
        in_use = f"{stopped} 2>&1 || echo refused"
        assert "stop the server" in run_shell(process, in_use.replace("\n 2>", " 2>"), tmp_path)
    finally:
        process.stop()
    assert "current" in printed[-2]
    assert printed[-1] == f"{arn}  key service  wraps 1 data key"
    assert "the embedded database has a new key" in run_shell(process, stopped, tmp_path)

    told = [codes(row["operation of the service"])[0] for row in SERVICE.rows("operation of the service")]
    assert told[:2] == [asked.operation for asked in proxy.asked[:2]]
    contexts = {codes(row["operation of the service"])[0]: row for row in SERVICE.rows("operation of the service")}
    assert codes(contexts["GenerateDataKey"]["encryption context"]) == list(proxy.asked[1].context)


def test_the_settings_and_commands_are_those_of_the_code() -> None:
    named = [name for row in SERVICE.rows("variable") for name in codes(row["variable"])]
    named += [name for row in TLS.rows("setting") for name in codes(row["setting"])]
    assert all(hasattr(Settings(), name.partition("=")[0].removeprefix("HOUNSFIELD_").lower()) for name in named)
    tls = {codes(row["setting"])[0]: codes(row["effect"]) for row in TLS.rows("setting")}
    assert tls["HOUNSFIELD_TLS_LEAST_VERSION"] == list(TlsVersion)
    assert tls["HOUNSFIELD_TLS_CLIENT_CERTIFICATES"] == list(ClientCertificates)
    shown = CliRunner().invoke(cli, ["master-key", "--help"]).output
    for row in MASTER.rows("command"):
        (command,) = codes(row["command"])
        assert f"  {command.split()[2]} " in shown


def test_the_columns_that_postgresql_shows_are_there() -> None:
    rows = Page.of("docs/how-to/several-machines.md").section("## PostgreSQL").rows("table")
    assert {name for row in rows for name in codes(row["table"])} <= metadata.tables.keys()


def test_the_example_of_tls_asks_for_files_that_are_there(tmp_path: Path) -> None:
    (example,) = TLS.blocks("sh")
    done = subprocess.run(
        ["bash", "-euc", example.replace("0.0.0.0", "127.0.0.1")],
        env={**os.environ, "PATH": path_of_programs()},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "/etc/hounsfield/fullchain.pem" in done.stderr
