"""The processes of a server: one that has imported what the others need and does nothing else, and those forked from it."""

from __future__ import annotations

import re
import resource
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from support.faults.unprivileged_user import as_any_user
from support.processes import api_processes, runners, store_workers, workers
from support.servers import ServerProcess, wait_for


def test_the_process_that_forks_has_no_thread_and_no_file_that_the_others_would_share(server: ServerProcess) -> None:
    assert server.process is not None
    first = psutil.Process(server.process.pid)
    assert first.num_threads() == 1
    assert first.net_connections() == []
    # Locks of the kernel that belong to a process are not shared with what it forks.
    locks = {server.data / "api.lock", server.data / "runner.lock"}
    assert {Path(opened.path) for opened in first.open_files()} <= {Path(server.log.name), *locks}


def test_fork_servers_have_what_their_parents_imported_and_none_of_their_files(server: ServerProcess) -> None:
    for parent in (runners(server)[0], api_processes(server)[-1]):
        (forked,) = (child for child in parent.children() if "multiprocessing.forkserver" in " ".join(child.cmdline()))
        assert " ".join(forked.cmdline()).strip() == "hounsfield multiprocessing.forkserver"
        assert forked.net_connections() == []
        assert {Path(opened.path) for opened in forked.open_files()} <= {Path(server.log.name)}


def test_processes_are_named_for_what_they_do(server: ServerProcess) -> None:
    (runner,) = wait_for(lambda: runners(server), "the runner to have its name")
    titles = [" ".join(process.cmdline()).strip() for process in (runner, *api_processes(server))]
    api = f"hounsfield api 127.0.0.1:{server.port}"
    assert titles == ["hounsfield runner", api, f"{api} worker-1"]


def _may_be_looked_into(process: int) -> bool:
    """Return whether another process of the same user may read the memory of a process."""
    seen = subprocess.run(["cat", f"/proc/{process}/auxv"], capture_output=True, check=False, preexec_fn=as_any_user)
    assert seen.returncode == 0 or b"denied" in seen.stderr, seen.stderr
    return seen.returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_no_process_writes_a_core_dump_or_is_looked_into(tmp_path: Path) -> None:
    settings = {"HOUNSFIELD_IMPORT_WORKERS": "1", "HOUNSFIELD_STORE_WORKERS": "1", "HOUNSFIELD_CORE_DUMPS": "false"}
    server = ServerProcess(tmp_path / "data", settings)
    server.prepare = as_any_user
    server.start()
    try:
        _check_processes(server)
    finally:
        server.stop()


def _check_processes(server: ServerProcess) -> None:
    assert server.process is not None
    assert wait_for(lambda: workers(server) and store_workers(server), "the workers to be there")
    first = psutil.Process(server.process.pid)
    # Server, two API processes, runner, their fork servers, workers; what only counts names for the standard library holds
    # nothing of ours.
    tree, ours = wait_for(lambda: _processes(first, 7), "all processes to be there")
    for process in tree:
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE), process
    assert [process for process in ours if _may_be_looked_into(process.pid)] == []
    # The eyes are good: any other process is seen.
    other = subprocess.Popen(["sleep", "60"], preexec_fn=as_any_user)  # noqa: PLW1509 - no threads are about
    try:
        assert wait_for(lambda: _may_be_looked_into(other.pid), "another process to be seen")
    finally:
        other.kill()
        other.wait()


def _processes(first: psutil.Process, least: int) -> tuple[list[psutil.Process], list[psutil.Process]] | None:
    tree = [first, *first.children(recursive=True)]
    ours = [process for process in tree if "multiprocessing.resource_tracker" not in " ".join(process.cmdline())]
    return (tree, ours) if len(ours) >= least else None


ALLOWED = """
import os, resource
from hounsfield.cli import main as cli
cli.cli = lambda: print(resource.getrlimit(resource.RLIMIT_CORE)[1], os.environ.get("HOUNSFIELD_CORE_DUMPS"))
cli.main()
"""


def test_core_dumps_can_be_allowed_in_the_file_of_settings(tmp_path: Path) -> None:
    (tmp_path / "hounsfield.toml").write_text("core_dumps = true\n")
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    for config, said in ((tmp_path / "hounsfield.toml", f"{hard} true"), ("", "0 None")):
        run = subprocess.run(
            [sys.executable, "-c", ALLOWED],
            env={"HOUNSFIELD_CONFIG": str(config)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout.split("\n")[0] == said
