"""The processes of a server: one that has imported what the others need and does nothing else, and those forked from it."""

from __future__ import annotations

from pathlib import Path

import psutil

from processes import api_processes, runners
from servers import ServerProcess, wait_for


def test_the_process_that_forks_has_no_thread_and_no_file_that_the_others_would_share(server: ServerProcess) -> None:
    assert server.process is not None
    first = psutil.Process(server.process.pid)
    assert first.num_threads() == 1
    assert first.net_connections() == []
    assert {Path(opened.path) for opened in first.open_files()} <= {Path(server.log.name)}


def test_processes_are_named_for_what_they_do(server: ServerProcess) -> None:
    (runner,) = wait_for(lambda: runners(server), "the runner to have its name")
    titles = [" ".join(process.cmdline()).strip() for process in (runner, *api_processes(server))]
    api = f"hounsfield api 127.0.0.1:{server.port}"
    assert titles == ["hounsfield runner", api, f"{api} worker-1"]
