"""Backups that are killed, or whose store fails, or beside which much changes: nothing half is restored."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from support.backup.installations import ENVIRONMENT, backed_up, restored, store_study
from support.faults.data_rules import check_data_rules
from support.identities.users import command
from support.imaging.imports import image_sets
from support.imaging.steady_changes import SteadyChanges
from support.programs import environment_of_programs
from support.servers import ServerProcess, active_datastore, wait_for
from support.services.object_store import ObjectStore, proxy


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    environment = {**ENVIRONMENT, "HOUNSFIELD_RELEASE_AFTER_SECONDS": "0"}
    process = ServerProcess(tmp_path_factory.mktemp("faults") / "data", environment).start()
    datastore = active_datastore(process.client())
    for study in range(1, 6):
        store_study(process, datastore, study)
    yield process
    process.stop()


@pytest.mark.slow
def test_killed_at_any_moment(server: ServerProcess, tmp_path: Path, passphrase: tuple[str, str]) -> None:
    target = tmp_path / "backup"
    words = [sys.executable, "-m", "hounsfield", "backup", str(target), "--rate", "30k", *passphrase]
    for moment in range(1, 5):
        process = subprocess.Popen(
            [*words, "--data", str(server.data)], env={**environment_of_programs(), **server.environment}
        )
        wait_for((target / "generations").exists, "the backup to begin")
        time.sleep(0.3 * moment)
        process.kill()
        assert process.wait() != 0
        refused = command(ServerProcess(tmp_path / "none"), "restore", str(target), *passphrase)
        assert (refused.exit_code, "no complete generation" in refused.output) == (3, True), refused.output
    backed_up(server, target)
    (generation,) = (target / "generations").iterdir()
    assert (generation / "manifest.json").exists()
    assert not list(target.rglob(".*"))
    check_data_rules(restored(target, tmp_path / "restored", *passphrase))


@pytest.mark.slow
def test_a_bucket_that_fails(
    server: ServerProcess, tmp_path: Path, passphrase: tuple[str, str], s3: ObjectStore
) -> None:
    s3.client.create_bucket(Bucket="failing-backups")
    refusing = ["/packs/", "manifest.json"]

    def watch(method: str, path: str, _: Mapping[str, str]) -> int | None:
        return 403 if method == "PUT" and any(part in path for part in refusing) else None

    with proxy(s3, watch) as before_it:
        server.environment.update(before_it.environment())
        try:
            while refusing:
                result = command(server, "backup", "s3://failing-backups/ward", *passphrase)
                assert (result.exit_code, "run the command again" in result.output) == (3, True), result.output
                refusing.pop(0)
            backed_up(server, "s3://failing-backups/ward")
            copy = restored(
                "s3://failing-backups/ward", tmp_path / "restored", *passphrase, environment=before_it.environment()
            )
        finally:
            for name in before_it.environment():
                del server.environment[name]
    check_data_rules(copy)
    missing = command(
        ServerProcess(tmp_path / "none", s3.environment()), "restore", "s3://no-such-bucket/ward", *passphrase
    )
    assert missing.exit_code == 3, missing.output


@pytest.mark.slow
def test_beside_changes(server: ServerProcess, tmp_path: Path, passphrase: tuple[str, str]) -> None:
    """All that was acknowledged before the backup began is in it, and it is one state."""
    work = SteadyChanges(server)
    target = tmp_path / "backup"
    with work.going_on():
        for number in range(3):
            tags = f"before-{number}"
            kept = active_datastore(server.client(), datastoreName=tags)
            store_study(server, kept, 1)
            backed_up(server, target, *passphrase)
            copy = restored(target, tmp_path / tags, *passphrase)
            check_data_rules(copy)
            copy.start()
            try:
                assert len(image_sets(copy.client(), kept)) == 1
                assert image_sets(copy.client(), work.datastore)
            finally:
                copy.stop()
            check_data_rules(copy)
