"""A machine that has no room for another process for a while: those that are there go on, and the others come back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psutil

from support.faults.failing_forks import failing_while
from support.files.synthetic import slice_of
from support.imaging.import_folders import fill, import_folder, start_job
from support.processes import api_processes, runners, workers
from support.servers import ServerProcess, active_datastore, finished_job, wait_for


def test_processes_that_cannot_be_started_are_started_later(tmp_path: Path) -> None:
    no_memory = tmp_path / "no-memory"
    environment = {
        **failing_while(no_memory),
        "HOUNSFIELD_API_WORKERS": "2",
        "HOUNSFIELD_IMPORT_WORKERS": "1",
        "HOUNSFIELD_STORE_WORKERS": "1",
        "HOUNSFIELD_LEASE_SECONDS": "2",
    }
    server = ServerProcess(tmp_path / "data", environment).start()
    try:
        client = server.client(retrying=True, read_timeout=60)
        datastore = active_datastore(client)
        for name in ("first", "second", "third"):
            fill(server, name, [slice_of(number=len(name))])
        assert import_folder(server, client, datastore, "first").success
        first = psutil.Process(server.process.pid if server.process else 0)
        keeper, *_ = api_processes(server)
        open_before = wait_for_still(lambda: (first.num_fds(), keeper.num_fds()))
        no_memory.touch()
        # A worker that is missed while there is no room for another: the import waits.
        for worker in workers(server):
            worker.kill()
        job = start_job(server, client, datastore, "second")
        # So is the runner afterwards, and one of two that answer.
        lost, staying = api_processes(server)[1:]
        (runner,) = runners(server)
        for process in (runner, lost):
            process.kill()
        tried = wait_for(lambda: server.log_text().count("process cannot be started now") >= 4, "some tries")
        assert tried
        assert all(process.is_running() for process in (first, keeper, staying))
        for _ in range(5):
            assert client.get_datastore(datastoreId=datastore)["datastoreProperties"]["datastoreStatus"] == "ACTIVE"
        no_memory.unlink()
        assert finished_job(client, datastore, job)["jobStatus"] == "COMPLETED"
        wait_for(lambda: len(api_processes(server)) == 3, "two that answer")
        assert staying.is_running()
        assert import_folder(server, client, datastore, "third").success
        # One that ends again and again takes neither the other with it nor those that keep them.
        for _ in range(3):
            mortal = wait_for(lambda: [one for one in api_processes(server)[1:] if one != staying], "it to be there")[0]
            mortal.kill()
            wait_for(lambda dead=mortal: dead not in api_processes(server), "it to be gone")
        wait_for(lambda: len(api_processes(server)) == 3, "two that answer")
        assert all(process.is_running() for process in (first, keeper, staying))
        # Nothing that was opened for a process that never was is open still.
        wait_for(lambda: (first.num_fds(), keeper.num_fds()) == open_before, "the same to be open as before")
    finally:
        server.stop()


def wait_for_still(value: Callable[[], object]) -> object:
    """Wait until a value is twice the same."""
    seen: list[object] = [None]

    def still() -> bool:
        seen.append(value())
        return seen[-1] == seen[-2]

    wait_for(still, "nothing to change any more")
    return seen[-1]
