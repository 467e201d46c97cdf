"""A server whose standard error takes nothing: it answers, records and changes as any other, and tells that it does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psutil
import pytest
from botocore.exceptions import ClientError

from support.audit_trail import records, run_audit
from support.clients.dicomweb import part10, store
from support.faults.standard_error import FAULTS, full_pipe
from support.files.synthetic import slice_of
from support.imaging.import_folders import fill, import_folder
from support.processes import api_processes, runners
from support.servers import ServerProcess, active_datastore, wait_for


@pytest.fixture(params=FAULTS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServerProcess]:
    with FAULTS[request.param]() as descriptor:
        process = ServerProcess(tmp_path / "data", {"HOUNSFIELD_IMPORT_WORKERS": "1", "HOUNSFIELD_LEASE_SECONDS": "2"})
        process.standard_error = descriptor
        process.start()
        yield process
        process.stop()


def answers(server: ServerProcess, path: str) -> tuple[int, bytes]:
    with urlopen(f"{server.url}{path}", timeout=30) as answer:
        return answer.status, answer.read()


def works(server: ServerProcess, client: Any, name: str) -> str:
    """Change something, import, and be refused as usual; gives the data store."""
    datastore = active_datastore(client, datastoreName=name)
    fill(server, name, [slice_of()])
    assert len(import_folder(server, client, datastore, name).success) == 1
    with pytest.raises(ClientError) as refused:
        client.get_datastore(datastoreId="0" * 32)
    assert refused.value.response["Error"]["Code"] == "ResourceNotFoundException"
    return datastore


def test_nothing_is_missed_where_standard_error_takes_nothing(server: ServerProcess) -> None:
    client = server.client(read_timeout=60)
    works(server, client, "before")
    # Each of these is said in the log, by the process that keeps them going.
    (runner,) = runners(server)
    first, *_, answering = api_processes(server)
    for process in (runner, answering):
        process.kill()
        process.wait(60)
    wait_for(lambda: runners(server) not in ([], [runner]), "another runner")
    wait_for(lambda: api_processes(server)[1:] not in ([], [answering]), "another API process")
    again = server.client(retrying=True, read_timeout=60)
    wait_for(lambda: _answers(again), "the other API process to answer")
    datastore = works(server, again, "after")
    assert first.is_running()
    assert answers(server, "/healthz") == (200, b"ok\n")
    status, told = answers(server, "/readyz")
    assert (status, json.loads(told)) == (200, {"status": "ready"})

    def recorded() -> bool:
        named = [record["eventName"] for record in records(server) if datastore in json.dumps(record)]
        return {"CreateDatastore", "StartDICOMImportJob", "ImportJobCompleted"} <= set(named)

    wait_for(recorded, "what was changed to be in the audit trail")
    server.stop()
    assert server.process is not None
    assert server.process.returncode == 0
    assert run_audit(server.data, "verify").exit_code == 0


def test_nothing_outlives_a_killed_server(server: ServerProcess) -> None:
    assert store(server, active_datastore(server.client()), [part10(slice_of())]).status_code == 200
    assert server.process is not None
    family = psutil.Process(server.process.pid).children(recursive=True)
    server.process.kill()
    server.process.wait(60)
    _, alive = psutil.wait_procs(family, timeout=60)
    assert alive == []


def _answers(client: Any) -> bool:
    try:
        client.list_datastores()
    except Exception:
        return False
    return True


WRITING = """
import os, signal, sys
from hounsfield.runtime.standard_error import guard_standard_error, retry_standard_error

guard_standard_error()
if sys.argv[1] == "beside":
    retry_standard_error()
signal.signal(signal.SIGUSR1, lambda *_: print("now it is read", file=sys.stderr))
for number in range(20_000):
    print(f"line {number:0100}", file=sys.stderr)
os.write(1, b"!")
while True:
    signal.pause()
"""


@pytest.mark.parametrize("how", ["with the next line", "beside"])
def test_lines_that_were_lost_are_counted_once_lines_are_taken_again(how: str) -> None:
    with full_pipe() as (reading, writing):
        process = subprocess.Popen([sys.executable, "-c", WRITING, how], stderr=writing, stdout=subprocess.PIPE)
        try:
            assert process.stdout is not None
            # It has written all without waiting for anybody.
            assert process.stdout.read(1) == b"!"
            os.set_blocking(reading, False)
            found = b""
            begun = time.monotonic()
            while b"lost" not in found or not found.endswith(b"\n"):
                assert time.monotonic() - begun < 60
                taken = _taken(reading)
                found += taken
                if not taken and how == "with the next line":
                    process.send_signal(signal.SIGUSR1)
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
    lines = [line for line in found.lstrip(b".").splitlines() if not line.startswith(b"now")]
    told = json.loads(next(line for line in lines if line.startswith(b"{")))
    kept = [line for line in lines if line.startswith(b"line")]
    assert told["event"] == "log lines were lost"
    # Those that came first, whole and in their order, and the others counted.
    assert kept == [f"line {number:0100}".encode() for number in range(len(kept))]
    assert len(kept) + told["count"] >= 20_000


def _taken(reading: int) -> bytes:
    try:
        return os.read(reading, 1 << 20)
    except BlockingIOError:
        return b""


HOLDING = """
import os, sys
from hounsfield.runtime.standard_error import guard_standard_error

guard_standard_error()
with open(sys.argv[1], "xb") as file:
    print("for nobody", file=sys.stderr)
    os.write(2, b"for nobody either")
    file.write(b"kept")
"""


def test_a_file_never_takes_the_place_of_a_closed_standard_error(tmp_path: Path) -> None:
    file = tmp_path / "pack"
    command = ["sh", "-c", 'exec "$0" -c "$1" "$2" 0<&- 1>&- 2>&-', sys.executable, HOLDING, str(file)]
    assert subprocess.run(command, check=False, timeout=60).returncode == 0
    assert file.read_bytes() == b"kept"
