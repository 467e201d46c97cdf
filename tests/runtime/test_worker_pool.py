"""The pool of transcoding processes: it survives the death of its members and of what makes them, and ends with its process."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from hounsfield.runtime.gc_freeze import defer_collection
from hounsfield.runtime.worker_pool import WorkerPool
from support.servers import wait_for

ENDLESS = """
import os, time
from hounsfield.runtime.gc_freeze import defer_collection
from hounsfield.runtime.worker_pool import WorkerPool
pool = WorkerPool(2)
for _ in range(2):
    pool.submit(time.sleep, 600)
print(pool.submit, flush=True)
time.sleep(600)
"""


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    made = WorkerPool(2)
    yield made
    made.close()


def _end(pid: int) -> None:
    process = psutil.Process(pid)
    process.send_signal(signal.SIGKILL)
    wait_for(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, "the process to end")


@pytest.mark.parametrize("killed", [os.getpid, os.getppid], ids=["worker", "fork server"])
def test_a_pool_is_renewed_when_a_worker_or_the_fork_server_is_killed(
    pool: WorkerPool, killed: Callable[[], int]
) -> None:
    executor, future = pool.submit(killed)
    _end(future.result(60))
    # Whether the pool has noticed already makes no difference to who waits for a result.
    for _ in range(2):
        executor, future = pool.submit(os.getpid)
        try:
            assert future.result(60) != os.getpid()
            break
        except BrokenProcessPool:
            pool.renew(executor)
    else:
        pytest.fail("the pool was not renewed")


def test_a_process_alone_is_not_one_of_the_pool(pool: WorkerPool) -> None:
    others = {pool.submit(os.getpid)[1].result(60) for _ in range(8)}
    with pool.single() as alone:
        assert alone.submit(os.getpid).result(60) not in others


def test_a_closed_pool_leaves_no_worker() -> None:
    pool = WorkerPool(2)
    worker = psutil.Process(pool.submit(os.getpid)[1].result(60))
    pool.close()
    assert not worker.is_running()


def test_nothing_outlives_a_process_that_is_killed() -> None:
    starter = subprocess.Popen([sys.executable, "-c", ENDLESS], stdout=subprocess.PIPE)
    assert starter.stdout is not None
    starter.stdout.readline()
    below = psutil.Process(starter.pid).children(recursive=True)
    starter.kill()
    starter.wait()
    starter.stdout.close()
    # The fork server, two workers, and what Python keeps to remember their resources.
    assert len(below) == 4
    _, alive = psutil.wait_procs(below, timeout=60)
    assert alive == []


def test_a_worker_looks_for_garbage_but_not_among_what_the_fork_server_imported(pool: WorkerPool) -> None:
    assert pool.submit(gc.isenabled)[1].result(60)
    assert pool.submit(gc.get_freeze_count)[1].result(60) > 1000


def test_garbage_is_looked_for_again_after_imports_that_fail() -> None:
    with suppress(ImportError), defer_collection():
        assert not gc.isenabled()
        raise ImportError
    assert gc.isenabled()
    gc.unfreeze()


WORKING = """
import os
from hounsfield.imaging.ingest.worker import warm_up
from hounsfield.runtime.worker_pool import WorkerPool
pool = WorkerPool(1, warm_up)
assert pool.submit(os.getppid)[1].result(60) != os.getpid()
pool.close()
"""


def test_the_name_of_the_folder_for_temporary_files_may_be_long(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 25)
    folder.mkdir()
    run = subprocess.run(
        [sys.executable, "-c", WORKING],
        env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
