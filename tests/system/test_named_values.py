"""A patient's name in whatever element it should not be: no answer, no manifest, no log and no audit record repeats it."""

from __future__ import annotations

import json
from typing import Any

from support.clients.dicomweb import store
from support.files.named_values import MARK, marked
from support.imaging.import_folders import import_folder
from support.servers import ServerProcess, active_datastore

FILES = 120
REFERENCES = {"00081150", "00081155", "00081190", "00080018"}
_AT_ONCE = 30
NAME = MARK.decode().partition("^")[0]


def chosen() -> list[tuple[str, bytes]]:
    """Some of all files, and some of those whose unique identifiers are names."""
    found = [(where, data) for where, data in marked() if not where.endswith("UID")]
    identified = [(where, data) for where, data in marked() if where.endswith("UID")]
    return [*found[:: max(1, len(found) // FILES)], *identified[:: max(1, len(identified) // FILES)]]


def test_stored_by_dicomweb(server: ServerProcess, client: Any) -> None:
    datastore_id = active_datastore(client)
    files = chosen()
    assert len(files) >= FILES
    warned = 0
    for start in range(0, len(files), _AT_ONCE):
        some = files[start : start + _AT_ONCE]
        answer = store(server, datastore_id, [data for _, data in some])
        assert answer.status_code in {200, 202, 409}, answer.text
        warned += answer.text.count("00081196")
        assert NAME not in json.dumps(without_references(answer.json())), [where for where, _ in some]
    assert warned
    assert NAME not in server.log_text()
    assert NAME not in audited(server)


def test_imported(server: ServerProcess, client: Any) -> None:
    folder = server.bucket("input") / "named"
    folder.mkdir()
    names = {}
    for number, (where, data) in enumerate(chosen()):
        (folder / f"{number:04d}.dcm").write_bytes(data)
        names[f"{number:04d}.dcm"] = where
    outcome = import_folder(server, client, active_datastore(client), "named", 240)
    assert outcome.failure
    for line in (*outcome.success, *outcome.failure, outcome.summary):
        told = json.dumps(line)
        assert NAME not in told, (names.get(told.partition("named/")[2][:8]), line)
    assert NAME not in server.log_text()
    assert NAME not in audited(server)


def without_references(item: Any) -> Any:
    """Leave out which instance is meant, by the identifiers that it came with (PS3.18 table 10.5.3-1)."""
    if isinstance(item, list):
        return [without_references(entry) for entry in item]
    if isinstance(item, dict):
        return {tag: without_references(value) for tag, value in item.items() if tag not in REFERENCES}
    return item


def audited(server: ServerProcess) -> str:
    return "".join(path.read_text() for path in (server.data / "audit").glob("*.jsonl"))
