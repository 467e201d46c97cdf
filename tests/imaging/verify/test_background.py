"""The background pass of a runner: to its end again and again, in the log and the audit trail, under one lease."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.verify.background import VERIFY, BackgroundVerifier, schedule_verification
from hounsfield.imaging.verify.passes import Pass, PassKind, PassState, find_unfinished, list_passes
from hounsfield.jobs.queue import LeaseLostError
from hounsfield.storage.db.job_tables import work_items
from support.clients.dicomweb import part10, store
from support.files.synthetic import slice_of
from support.identities.users import answer, command
from support.imaging.stored_series import pack_files
from support.servers import ServerProcess, active_datastore, wait_for

TWO_SECONDS = str(2 / 86_400)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    environment = {"HOUNSFIELD_VERIFY_DAYS": TWO_SECONDS, "HOUNSFIELD_STORE_WORKERS": "1"}
    process = ServerProcess(tmp_path / "data", environment).start()
    yield process
    process.stop()


def test_a_runner_verifies_again_and_again(server: ServerProcess) -> None:
    datastore = active_datastore(server.client())
    assert store(server, datastore, [part10(slice_of()), part10(slice_of(2))]).status_code == 200
    wait_for(lambda: _ended(server, image_sets=2), "a pass to come to its end")
    (damaged, _) = sorted(pack_files(server, datastore))
    data = bytearray(damaged.read_bytes())
    data[80] ^= 1
    damaged.write_bytes(data)
    found = wait_for(lambda: _ended(server, result="damaged"), "a pass to find the damage")
    assert found[0]["findings"][0]["packId"] == damaged.name
    lines = [json.loads(line) for line in server.log_text().splitlines() if '"event"' in line]
    assert any(line["event"] == "damage found" and line["packId"] == damaged.name for line in lines)
    assert any(line["event"] == "verification ended" and line["result"] == "damaged" for line in lines)
    assert "Roe" not in server.log_text()
    status = command(server, "verify", "--status").stdout
    assert "background pass" in status
    assert "ended: damaged, 1 damages" in status

    def recorded() -> list[str]:
        return command(server, "audit", "find", "--event", "VerificationCompleted", "--json").stdout.splitlines()

    record = json.loads(wait_for(recorded, "the record of a pass")[0])
    assert record["serviceEventDetails"]["result"] == "intact"


def _ended(server: ServerProcess, **wanted: object) -> list[dict[str, object]]:
    """Return the background passes that ended with a result, or with so many image sets."""
    passes = answer(server, "verify", "--status")
    return [
        one
        for one in passes
        if one["kind"] == "background"
        and one["complete"]
        and wanted.get("result", one["result"]) == one["result"]
        and wanted.get("image_sets", one["checked"]["imageSets"]) == one["checked"]["imageSets"]
    ]


def test_who_lost_the_lease_writes_nothing(image_store: ImageStore) -> None:
    ended: list[Pass] = []
    verifier = BackgroundVerifier(
        image_store,
        days=1e-9,
        stop=threading.Event(),
        check_audit=lambda: ([], Counter(audit_records=1)),
        ended=ended.append,
    )
    schedule_verification(image_store)
    item = image_store.queue.claim([VERIFY], "first")
    assert item is not None
    with image_store.database.write() as connection:
        connection.execute(update(work_items).where(work_items.c.id == item.id).values(lease_owner="second"))
    with pytest.raises(LeaseLostError):
        verifier.run(item)
    assert ended == []
    assert find_unfinished(image_store, PassKind.BACKGROUND) is not None
    with image_store.database.write() as connection:
        connection.execute(update(work_items).where(work_items.c.id == item.id).values(lease_owner="first"))
    verifier.run(item)
    (last,) = list_passes(image_store)
    assert [one.id for one in ended] == [last.id]
    assert (last.state, last.counts["audit_records"]) == (PassState.ENDED, 1)
