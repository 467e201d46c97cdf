"""`hounsfield master-key` beside a running server: rotated, listed, retired, and everything still read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from support.clients.dicomweb import part10, store
from support.files.synthetic import slice_of
from support.identities.users import command
from support.imaging.import_folders import fill, import_folder, sop_instances
from support.imaging.imports import document, frame
from support.programs import hounsfield
from support.servers import ServerProcess, active_datastore


def keys(server: ServerProcess, *arguments: str, fails: bool = False) -> str:
    """Run the command within this process, which starts sooner than one of its own, and return what it prints."""
    done = command(server, "master-key", *arguments)
    assert (done.exit_code != 0) == fails, done.output
    return str(done.stderr if fails else done.stdout)


def typed(server: ServerProcess, *arguments: str, fails: bool = False) -> str:
    """Run the command as a user types it."""
    done = hounsfield("master-key", *arguments, "--data", str(server.data))
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stderr if fails else done.stdout


def listed(server: ServerProcess) -> dict[str, str]:
    """Return what each key wraps, by its state; old keys by their ids."""
    found = {}
    for line in keys(server, "list").splitlines():
        key, state, rest = re.fullmatch(r"(\S+)  (\w+) .*wraps (.*)", line).groups()
        found[key if state == "old" else state] = rest
    return found


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path / "data", {"HOUNSFIELD_IMPORT_WORKERS": "1", "HOUNSFIELD_STORE_WORKERS": "1"})
    process.start()
    yield process
    process.stop()


def make_older(server: ServerProcess) -> None:
    """Let time pass since the last rotation."""
    file = server.data / "keys" / "master.json"
    content = json.loads(file.read_text())
    content["since"] = (datetime.fromisoformat(content["since"]) - timedelta(hours=1)).isoformat()
    file.write_text(json.dumps(content))


def test_master_keys_are_rotated_beside_a_running_server(server: ServerProcess) -> None:
    client = server.client()
    datastore_id = active_datastore(client)
    fill(server, "keys", [slice_of(study=830)])
    (line,) = import_folder(server, client, datastore_id, "keys").success
    image_set_id = line["importResponse"]["imageSetId"]
    (instance,) = sop_instances(client, datastore_id, image_set_id).values()

    def read() -> tuple[Any, ...]:
        frame_id = instance["ImageFrames"][0]["ID"]
        return frame(client, datastore_id, image_set_id, frame_id), document(client, datastore_id, image_set_id)

    known = read()
    assert "database key" in listed(server)["current"]
    (first,) = (entry["id"] for entry in json.loads((server.data / "keys/master.json").read_text())["keys"])

    prepared = re.search(r"[0-9a-f]{16}", keys(server, "prepare"))[0]
    assert listed(server)["prepared"] == "nothing"
    printed = typed(server, "rotate")
    assert printed.startswith(f"{prepared} wraps from now on")
    assert "1 data key, 1 database key" in printed
    after = listed(server)
    assert after[first] == "nothing"
    assert read() == known
    assert "too young" in keys(server, "retire", fails=True)

    made = active_datastore(client)
    assert "2 data keys" in listed(server)["current"]
    make_older(server)
    assert keys(server, "retire") == f"{first}  retired\n"
    assert first not in (server.data / "keys/master.json").read_text()
    assert read() == known
    assert store(server, made, [part10(slice_of(study=831))]).status_code == 200
    assert "stop the server" in typed(server, "rotate", "--database", fails=True)
    assert read() == known

    server.stop()
    before = (server.data / "hounsfield.db").read_bytes()
    assert "the embedded database has a new key" in typed(server, "rotate", "--database")
    after_pages = (server.data / "hounsfield.db").read_bytes()
    assert not {before[n : n + 64] for n in range(0, len(before), 4096)} & {
        after_pages[n : n + 64] for n in range(0, len(after_pages), 4096)
    }
    server.start()
    assert read() == known
    assert client.search_image_sets(datastoreId=made, searchCriteria={})["imageSetsMetadataSummaries"]


def test_what_is_no_installation_gets_no_keys(tmp_path: Path) -> None:
    nothing = ServerProcess(tmp_path / "nothing")
    for name in ("list", "prepare", "rotate", "retire"):
        assert "keys/master.json" in keys(nothing, name, fails=True)
    assert not nothing.data.exists()


def test_a_key_that_still_wraps_something_is_kept(tmp_path: Path) -> None:
    process = ServerProcess(tmp_path / "data", {"HOUNSFIELD_IMPORT_WORKERS": "1"}).start()
    process.stop()
    file = process.data / "keys" / "master.json"
    prepared = keys(process, "prepare")
    content = json.loads(file.read_text())
    content["current"], content["since"] = re.search(r"[0-9a-f]{16}", prepared)[0], "2020-01-01T00:00:00+00:00"
    file.write_text(json.dumps(content))
    printed = keys(process, "retire")
    assert "kept: it wraps" in printed
    assert len(json.loads(file.read_text())["keys"]) == 2
