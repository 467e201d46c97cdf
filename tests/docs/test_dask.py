"""The page on Dask: what it shows makes a cluster, and its log lines are those that are written."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from support.as_installed import as_installed
from support.doc_pages import ROOT, Page, codes
from support.files.synthetic import slice_of
from support.imaging.import_folders import fill, import_folder
from support.programs import environment_of_programs, path_of_programs
from support.servers import ServerProcess, active_datastore, free_port

PAGE = Page.of("docs/how-to/dask.md")
HOST = "scheduler.example.org:8786"


def test_log_lines_are_written() -> None:
    source = (ROOT / "src/hounsfield/runtime/cluster/cluster.py").read_text()
    written = set(re.findall(r'_log\.\w+\(\s*"([^"]+)"', source))
    told = {line for row in PAGE.rows("log line") for line in codes(row["log line"])}
    assert told == written


@pytest.mark.slow
def test_what_it_shows_makes_a_cluster(tmp_path: Path) -> None:
    port = free_port()
    environment = {**environment_of_programs(), **as_installed("dask"), "PATH": path_of_programs()}
    certificates = PAGE.section("## Make certificates").block("sh")
    subprocess.run(["bash", "-euc", certificates], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    scheduler, worker = PAGE.section("## Start the cluster").blocks("sh")
    started = []
    try:
        for command in (scheduler.replace("8786", str(port)), worker.replace(HOST, f"127.0.0.1:{port}")):
            with (tmp_path / "cluster.log").open("ab") as log:
                started.append(
                    subprocess.Popen(
                        ["bash", "-euc", f"exec {command}"], cwd=tmp_path, env=environment, stdout=log, stderr=log
                    )
                )
        exports = dict(re.findall(r"export (\w+)=(\S+)", PAGE.section("## Use it").block("sh")))
        settings = {name: value.replace(HOST, f"127.0.0.1:{port}") for name, value in exports.items()}
        paths = {name: str(tmp_path / value) for name, value in settings.items() if value.endswith((".pem", ".key"))}
        server = ServerProcess(tmp_path / "data", {**as_installed("dask"), **settings, **paths}).start()
        try:
            client = server.client()
            fill(server, "series", (slice_of(number=number) for number in range(1, 6)))
            assert len(import_folder(server, client, active_datastore(client), "series", 240.0).success) == 5
        finally:
            server.stop()
    finally:
        for process in reversed(started):
            os.kill(process.pid, signal.SIGTERM)
            process.wait(60)
