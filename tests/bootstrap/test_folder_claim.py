"""One API and one runner on the folder of an embedded database: a second one is refused, here or on another machine."""

from __future__ import annotations

import dataclasses
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from hounsfield.bootstrap import folder_claim
from hounsfield.bootstrap.folder_claim import API, RUNNER, Holder, claim_folder, lock_file, read_holder
from hounsfield.settings import InstallationError, Settings
from support.programs import hounsfield
from support.servers import ServerProcess, free_port


@pytest.mark.parametrize("command", ["serve", "api", "runner"])
def test_a_second_server_of_the_folder_is_refused(server: ServerProcess, command: str) -> None:
    told = (server.data / "server.json").read_bytes()
    port = () if command == "runner" else ("--port", str(free_port()))
    done = hounsfield(command, "--data", str(server.data), *port)
    assert done.returncode == 1, done.stderr
    process = json.loads(told)["pid"]
    what = "is the runner of" if command == "runner" else "serves"
    assert f"Error: process {process} on " in done.stderr
    assert f"{what} the data folder {server.data}; stop it first" in done.stderr
    assert (server.data / "server.json").read_bytes() == told


def _of_another_machine(data: Path, part: str) -> Path:
    """Leave a lock as a process of another machine has it, which this kernel knows nothing of."""
    data.mkdir()
    file = lock_file(data, part)
    file.write_text(dataclasses.replace(Holder.own(), host="elsewhere", kernel="another").text())
    return file


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_claim, "_SILENT_SECONDS", 0.5)


@pytest.mark.usefixtures("soon")
def test_a_folder_that_another_machine_works_on_is_refused(tmp_path: Path) -> None:
    file = _of_another_machine(tmp_path / "data", API)
    before = file.read_bytes()
    stop = threading.Event()

    def live() -> None:
        while not stop.wait(0.05):
            os.utime(file)

    living = threading.Thread(target=live)
    living.start()
    try:
        with pytest.raises(InstallationError, match=r"process \d+ on elsewhere .* serves the data folder"):
            claim_folder(Settings(data=tmp_path / "data"), (RUNNER, API))
    finally:
        stop.set()
        living.join()
    assert file.read_bytes() == before
    # What was claimed before that one is given back.
    assert read_holder(tmp_path / "data", RUNNER) is None


@pytest.mark.usefixtures("soon")
def test_a_folder_whose_machine_died_is_taken_over(tmp_path: Path) -> None:
    file = _of_another_machine(tmp_path / "data", RUNNER)
    claim = claim_folder(Settings(data=tmp_path / "data"), (RUNNER,))
    assert json.loads(file.read_text())["pid"] == os.getpid()
    claim.release()
    assert file.read_text() == ""


def test_a_held_lock_is_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claim = claim_folder(Settings(data=tmp_path / "data"), (API,))
    file = lock_file(tmp_path / "data", API)
    os.utime(file, (1, 1))
    claim.touch()
    assert file.stat().st_mtime == 1
    monkeypatch.setattr(claim, "_touch_at", 0.0)
    claim.touch()
    assert file.stat().st_mtime > 1
    claim.release()


def test_nodes_of_a_common_database_share_a_folder(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data", database_url="postgresql://nobody@nowhere/nothing")
    for _ in range(2):
        claim_folder(settings, (API, RUNNER))
    assert not settings.data.exists()


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"pid": "x"}', "\x00" * 10_000])
def test_a_lock_file_of_any_content_is_taken(tmp_path: Path, content: str) -> None:
    (tmp_path / "data").mkdir()
    lock_file(tmp_path / "data", API).write_text(content)
    claim_folder(Settings(data=tmp_path / "data"), (API,)).release()


def test_a_network_file_system_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read: Callable[[Path], str] = Path.read_text

    def mounts(path: Path, *arguments: str, **more: str) -> str:
        return (
            f"server:/x {tmp_path} nfs4 rw 0 0\n"
            if path == Path("/proc/self/mounts")
            else read(path, *arguments, **more)
        )

    monkeypatch.setattr(Path, "read_text", mounts)
    claim_folder(Settings(data=tmp_path / "data"), (API,)).release()
    assert "network file system" in capsys.readouterr().out
