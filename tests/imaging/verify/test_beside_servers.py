"""A pass beside a server at work: imports, edits, copies, deletions and the release of storage are no damage.

On the embedded database with packs in a folder, and on PostgreSQL with packs in a bucket.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.identities.users import command
from support.imaging.steady_changes import SteadyChanges
from support.servers import ServerProcess
from support.services.object_store import ObjectStore

SECONDS = 1.0
ENVIRONMENT = {
    "HOUNSFIELD_IMPORT_WORKERS": "1",
    "HOUNSFIELD_STORE_WORKERS": "1",
    "HOUNSFIELD_RELEASE_AFTER_SECONDS": "0",
}
BUCKET = "verified-packs"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path / "data", ENVIRONMENT).start()
    yield process
    process.stop()


@pytest.fixture
def elsewhere(tmp_path: Path, postgresql_url: str, s3: ObjectStore) -> Iterator[ServerProcess]:
    """A server on PostgreSQL with its packs in a bucket."""
    s3.client.create_bucket(Bucket=BUCKET)
    environment = {
        **ENVIRONMENT,
        **s3.environment(),
        "HOUNSFIELD_DATABASE_URL": postgresql_url,
        "HOUNSFIELD_BLOBS_URL": f"s3://{BUCKET}/there",
    }
    process = ServerProcess(tmp_path / "elsewhere", environment).start()
    yield process
    process.stop()


def verified(server: ServerProcess, *options: str) -> tuple[int, dict[str, Any]]:
    result = command(server, "verify", "--json", "--processes", "1", *options)
    return result.exit_code, json.loads(result.stdout)


def test_changes_are_no_damage(server: ServerProcess) -> None:
    passes = 0
    until = time.monotonic() + SECONDS
    with SteadyChanges(server).going_on():
        while passes < 2 or time.monotonic() < until:
            code, report = verified(server)
            assert (code, report["findings"]) == (0, [])
            passes += 1


def test_postgresql_and_a_bucket(elsewhere: ServerProcess, s3: ObjectStore) -> None:
    work = SteadyChanges(elsewhere)
    with work.going_on():
        code, report = verified(elsewhere)
        assert (code, report["findings"]) == (0, [])
    elsewhere.stop()
    # What was under way is not ended yet, and is no damage either.
    code, report = verified(elsewhere)
    assert (code, report["findings"]) == (0, [])
    assert report["checked"]["frames"] > 0
    packs = s3.keys(BUCKET, f"there/packs/{work.datastore}/")
    gone, changed = packs[0], packs[1]
    s3.client.delete_object(Bucket=BUCKET, Key=gone)
    data = bytearray(s3.get(BUCKET, changed))
    data[80] ^= 1
    s3.client.put_object(Bucket=BUCKET, Key=changed, Body=bytes(data))
    code, report = verified(elsewhere)
    assert code == 1
    assert {entry["packId"] for entry in report["findings"]} == {key.rpartition("/")[2] for key in (gone, changed)}
    assert {entry["kind"] for entry in report["findings"]} <= {"pack-missing", "record-damaged"}
