"""Passes that were interrupted or killed go on and report the same; samples, parts, and options that cannot be."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hounsfield.bootstrap.image_store import open_image_store
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.verify.check_processes import CheckProcesses
from hounsfield.imaging.verify.passes import PassKind, Step, begin_pass, find_unfinished, list_passes, save_pass
from hounsfield.imaging.verify.scopes import Scope
from hounsfield.imaging.verify.verifier import Verifier
from hounsfield.runtime.rate_limit import RateLimit
from hounsfield.settings import load_settings
from support.clients.dicomweb import part10, store
from support.files.synthetic import noise, slice_of
from support.identities.users import command
from support.imaging.imports import image_sets
from support.imaging.stored_series import pack_files
from support.programs import environment_of_programs
from support.servers import ServerProcess, active_datastore, wait_for

TWO_DAYS_AGO = time.time() - 2 * 24 * 3600
SERIES = 70
"""More than are checked at once."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """An installation with one damaged pack, whose server has ended."""
    process = ServerProcess(tmp_path_factory.mktemp("passes") / "data", {"HOUNSFIELD_STORE_WORKERS": "1"}).start()
    datastore = active_datastore(process.client())
    files = [
        part10(slice_of(number, study=1 + number % 7, pixels=noise(16, 16, seed=number))) for number in range(SERIES)
    ]
    assert store(process, datastore, files).status_code == 200
    assert len(image_sets(process.client(), datastore)) == SERIES
    process.stop()
    damaged = min(pack_files(process, datastore))
    data = bytearray(damaged.read_bytes())
    data[80] ^= 1
    damaged.write_bytes(data)
    for path in pack_files(process, datastore):
        os.utime(path, (TWO_DAYS_AGO, TWO_DAYS_AGO))
    return process


@pytest.fixture(scope="module")
def image_store(server: ServerProcess) -> Iterator[ImageStore]:
    opened, _ = open_image_store(load_settings({"HOUNSFIELD_DATA": str(server.data)}))
    yield opened
    opened.database.close()


def verified(server: ServerProcess, *options: str) -> tuple[int, dict[str, Any]]:
    result = command(server, "verify", "--json", "--processes", "1", *options)
    return result.exit_code, json.loads(result.stdout)


def said(report: dict[str, Any]) -> dict[str, Any]:
    """Return what two passes over the same must have in common; commands leave records in the audit trail."""
    checked = {name: count for name, count in report["checked"].items() if name != "auditRecords"}
    return {**{name: report[name] for name in ("scope", "complete", "result", "findings")}, "checked": checked}


def test_a_pass_goes_on_where_it_was_left(server: ServerProcess, image_store: ImageStore) -> None:
    code, whole = verified(server)
    assert code == 1
    assert [entry["kind"] for entry in whole["findings"]] == ["record-damaged"]
    assert whole["checked"]["imageSets"] == whole["checked"]["frames"] + 1 == whole["checked"]["packs"] == SERIES
    stop = threading.Event()
    processes = CheckProcesses(1)
    try:
        verifier = Verifier(image_store, processes, pace=RateLimit(0, stop).wait, stop=stop)
        for units in (2, 4):
            current = begin_pass(image_store, PassKind.COMMAND, Scope())
            for number, unit in enumerate(verifier.walk(current), start=1):
                current = current.with_unit(unit.position, unit.counts, unit.findings)
                if number == units:
                    save_pass(image_store, current)
                    break
            assert find_unfinished(image_store, PassKind.COMMAND, Scope()) is not None
            code, report = verified(server, "--resume")
            assert code == 1
            assert said(report) == said(whole)
            assert report["pass"] == current.id
    finally:
        processes.close()
    assert find_unfinished(image_store, PassKind.COMMAND) is None


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_pass_that_is_ended_goes_on(server: ServerProcess, image_store: ImageStore, number: signal.Signals) -> None:
    words = [
        sys.executable,
        "-m",
        "hounsfield",
        "verify",
        "--data",
        str(server.data),
        "--processes",
        "1",
        "--rate",
        "1",
    ]
    process = subprocess.Popen(words, env=environment_of_programs(), stdout=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: _has_begun(image_store), "the pass to begin")
    finally:
        process.send_signal(number)
    printed, _ = process.communicate(timeout=60)
    if number == signal.SIGTERM:
        assert process.returncode in (1, 3)
        assert "--resume" in printed
    unfinished = find_unfinished(image_store, PassKind.COMMAND, Scope())
    assert unfinished is not None
    status = command(server, "verify", "--status")
    assert status.exit_code == 0
    assert f"{unfinished.id} of everything" in status.stdout
    code, report = verified(server, "--resume")
    assert (code, report["pass"], report["complete"]) == (1, unfinished.id, True)
    assert report["checked"]["imageSets"] == SERIES


def _has_begun(image_store: ImageStore) -> bool:
    current = find_unfinished(image_store, PassKind.COMMAND, Scope())
    return current is not None and current.position.step is not Step.KEYS


def test_parts_and_samples(server: ServerProcess, image_store: ImageStore) -> None:
    code, report = verified(server, "--sample", "5")
    assert code in (0, 1)
    assert (report["checked"]["imageSets"], report["checked"]["packs"]) == (5, 0)
    code, report = verified(server, "--sample", "100%")
    assert (code, report["checked"]["imageSets"]) == (1, SERIES)
    damaged = report["findings"][0]
    code, report = verified(server, "--image-set", damaged["imageSetId"])
    assert (code, report["checked"]["imageSets"], report["findings"]) == (1, 1, [damaged])
    code, report = verified(server, "--datastore", damaged["datastoreId"], "--rate", "100M")
    assert (code, report["checked"]["packs"], report["findings"]) == (1, SERIES, [damaged])
    lines = command(server, "verify", "--image-set", damaged["imageSetId"]).stdout.splitlines()
    assert lines[0].startswith("DAMAGE  record-damaged: frame 0")
    assert lines[-1] == "result: damaged"
    assert len(list_passes(image_store)) <= 20


def test_what_cannot_be_opened_does_not_stop_the_rest(server: ServerProcess, image_store: ImageStore) -> None:
    pack = max(path for path in (server.data / "blobs" / "packs").rglob("*") if path.is_file())
    aside = pack.with_name("aside")
    pack.rename(aside)
    pack.mkdir()
    try:
        _, report = verified(server)
    finally:
        pack.rmdir()
        aside.rename(pack)
    unchecked = [entry for entry in report["findings"] if entry["kind"] == "not-checked"]
    assert unchecked
    assert report["checked"]["imageSets"] == SERIES
    assert "Is a directory" in unchecked[0]["what"]


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--datastore", "x"], 2, "32 hexadecimal digits"),
        (["--image-set", "X" * 32], 2, "32 hexadecimal digits"),
        (["--sample", "0"], 2, "no sample"),
        (["--sample", "1.5"], 2, "no number of image sets"),
        (["--sample", "5", "--image-set", "0" * 32], 2, "exclude each other"),
        (["--rate", "fast"], 2, "no rate"),
        (["--datastore", "0" * 32], 3, "does not exist"),
        (["--image-set", "0" * 32], 3, "does not exist"),
    ],
)
def test_options_that_cannot_be(server: ServerProcess, options: list[str], code: int, words: str) -> None:
    result = command(server, "verify", *options)
    assert (result.exit_code, words in result.stderr) == (code, True)


def test_where_nothing_is(tmp_path: Path) -> None:
    result = command(ServerProcess(tmp_path / "nothing"), "verify")
    assert result.exit_code == 3
    assert "is not a data folder" in result.stderr
    assert not (tmp_path / "nothing").exists()
