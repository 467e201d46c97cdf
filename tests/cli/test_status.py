"""``hounsfield status``: what works, what waits and what needs a person, with and without a running server."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, text

from hounsfield.bootstrap.image_store import open_image_store
from hounsfield.bootstrap.status import SECTIONS
from hounsfield.settings import Settings
from hounsfield.storage.clock import now_ms
from hounsfield.storage.db.job_tables import work_items
from hounsfield.storage.db.verification_table import verification_passes
from hounsfield.storage.identifiers import new_id
from support.doc_pages import Page, codes
from support.files.synthetic import slice_of
from support.imaging.stored_series import imported
from support.programs import hounsfield
from support.servers import ServerProcess
from support.services.certificates import Authority


def _status(data: Path, code: int, **environment: str) -> dict[str, Any]:
    done = hounsfield("status", "--data", str(data), "--json", environment=environment)
    assert done.returncode == code, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert (found["format"], found["version"]) == ("hounsfield status", 1)
    return found


def test_the_status_of_a_running_server(server: ServerProcess, client: Any, datastore: str) -> None:
    imported(server, client, datastore, slice_of(PatientName="Riemann^Bernhard"))
    found = _status(server.data, 0)
    assert found["result"] == "ok"
    assert found["problems"] == []
    pid = json.loads((server.data / "server.json").read_text())["pid"]
    assert (found["server"]["api"]["pid"], found["server"]["runner"]["pid"]) == (pid, pid)
    assert (found["server"]["url"], found["server"]["ready"]) == (server.url, True)
    assert found["stored"]["instances"] >= 1
    assert found["stored"]["bytes"] > 0
    assert found["imports"]["jobs"]["COMPLETED"] >= 1
    assert found["keys"]["wrapped_by_others"] == 0
    done = hounsfield("status", "--data", str(server.data))
    assert done.returncode == 0
    assert done.stdout.endswith("result: ok\n")
    assert f"{server.url} answers, and is ready" in done.stdout
    assert "riemann" not in (json.dumps(found) + done.stdout).lower()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("whole") / "data"
    image_store, _ = open_image_store(Settings(data=data))
    image_store.database.close()
    return data


@pytest.fixture
def data(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "data")


def test_the_status_without_a_server(data: Path) -> None:
    found = _status(data, 0)
    assert found["server"]["running"] is False
    assert found["work"] == {"kinds": {}}
    assert found["audit"]["delivery"] is None
    assert {*SECTIONS, "format", "version", "result", "problems"} == found.keys()
    assert (found["journal"]["records_behind"], found["journal"]["checkpoint_sequence"]) == (0, None)


def test_what_needs_a_person_is_named(data: Path, tmp_path: Path) -> None:
    (data / "server.json").write_text('{"url": "http://127.0.0.1:9", "pid": 1}')
    (data / "audit").mkdir(exist_ok=True)
    chain = data / "audit" / "20260101T000000Z-api-1-00000000.000001.jsonl"
    chain.write_text("{}\n")
    old = time.time() - 86_400
    os.utime(chain, (old, old))
    certificate, key = Authority(tmp_path).sign("status")
    image_store, keyring = open_image_store(Settings(data=data))
    now = image_store.queue.clock.now()
    with image_store.database.write() as connection:
        item = {"kind": "IMPORT", "subject_id": "1" * 32, "since": 0}
        connection.execute(insert(work_items).values(id=new_id(), available_at=now - 3_600_000, attempts=7, **item))
        connection.execute(
            insert(verification_passes).values(
                id=new_id(),
                kind="background",
                scope="{}",
                state="ended",
                began_at=now_ms() - 90 * 86_400_000,
                updated_at=now_ms() - 90 * 86_400_000,
                total_bytes=0,
                seconds=1.0,
                position='{"datastore_id": "", "step": "keys", "after": "", "largest_lot": null}',
                counts="{}",
                findings="[]",
            )
        )
    keyring.prepare()
    keyring.activate()
    image_store.database.close()
    problems = "\n".join(
        _status(
            data,
            1,
            HOUNSFIELD_TLS_CERTIFICATE=str(certificate),
            HOUNSFIELD_TLS_KEY=str(key),
            HOUNSFIELD_AUDIT_S3_URI="s3://trail",
            HOUNSFIELD_VERIFY_DAYS="7",
        )["problems"]
    )
    for words in (
        "was not stopped in order",
        "IMPORT of 11111111111111111111111111111111 was begun 7 times",
        "IMPORT has waited 60 min for a runner",
        "although HOUNSFIELD_VERIFY_DAYS is 7",
        "run `hounsfield master-key rotate` again",
        "not been delivered for 24 h",
        "ends in 6 days",
    ):
        assert words in problems


def test_a_server_whose_certificate_is_refused_is_not_called_silent(data: Path, tmp_path: Path) -> None:
    """As when a certificate ended, or only half of a new pair was put there: the server that runs is not to be restarted."""
    shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    shown.load_cert_chain(*Authority(tmp_path, "former").sign("former"))
    certificate, key = Authority(tmp_path, "new").sign("new")
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        server.socket = shown.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever).start()
        (data / "server.json").write_text(json.dumps({"url": f"https://127.0.0.1:{server.server_port}", "pid": 1}))
        try:
            found = _status(data, 1, HOUNSFIELD_TLS_CERTIFICATE=str(certificate), HOUNSFIELD_TLS_KEY=str(key))
        finally:
            server.shutdown()
    assert "runs, but the certificate that it shows is refused" in found["problems"][0]


def test_a_section_that_cannot_be_read_hides_no_other(data: Path) -> None:
    image_store, _ = open_image_store(Settings(data=data))
    with image_store.database.write() as connection:
        connection.execute(text("DROP TABLE import_files"))
        connection.execute(text("DROP TABLE import_jobs"))
    image_store.database.close()
    found = _status(data, 1)
    assert [words.partition(" cannot")[0] for words in found["problems"]] == ["imports", "stored"]
    assert found["keys"]["master_keys"] == 1


def test_an_installation_that_cannot_be_opened_has_a_status(data: Path) -> None:
    (data / "keys" / "database.key").unlink()
    found = _status(data, 3)
    assert found["result"] == "unreadable"
    (problem,) = found["problems"]
    assert "database.key is missing" in problem
    assert found["server"]["running"] is False


def test_every_section_is_documented() -> None:
    rows = Page.of("docs/reference/cli.md").section("## Status").rows("section")
    assert [name for row in rows for name in codes(row["section"])] == list(SECTIONS)
