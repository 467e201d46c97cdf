"""Everything at once, and something that fails: what was acknowledged is there, what was not is not half there.

    storing · importing · updating · copying · deleting · rotating keys          of one data store, by threads of a client
    killed processes · a log that takes nothing · a locked database · a full disk · clocks that jump     drawn by the seed

Sixty runs of different seeds; each prints its seed and what befell it. When all faults are over, what clients were told is held
against what is there.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.faults.data_rules import check_data_rules
from support.faults.kills import KILLS, kill_server
from support.faults.locked_database import locked_for_writing
from support.faults.shifted_clock import ShiftedClock
from support.faults.small_disk import SmallDisk, small_disk
from support.faults.standard_error import FAULTS
from support.faults.ward import Ward, check_ward
from support.servers import ServerProcess

ENVIRONMENT = {
    "HOUNSFIELD_LEASE_SECONDS": "2",
    "HOUNSFIELD_IMPORT_WORKERS": "1",
    "HOUNSFIELD_STORE_WORKERS": "1",
    "HOUNSFIELD_FREE_SPACE_FLOOR_BYTES": str(16 << 20),
}
DISK_BYTES = 192 << 20
WORK_SECONDS = 4.0
HOUR, DAY = 3600, 86_400


@dataclass
class Trouble:
    """What can befall a server, one after another, as its seed has it."""

    server: ServerProcess
    dice: random.Random
    disk: SmallDisk
    clock: ShiftedClock

    def worker(self) -> None:
        KILLS["worker"](self.server, self.dice)

    def runner(self) -> None:
        KILLS["runner"](self.server, self.dice)

    def api(self) -> None:
        KILLS["api"](self.server, self.dice)

    def server_itself(self) -> None:
        kill_server(self.server, self.dice)

    def lock(self) -> None:
        with locked_for_writing(self.server):
            time.sleep(self.dice.uniform(0.2, 1.5))

    def full_disk(self) -> None:
        self.disk.fill()
        try:
            time.sleep(self.dice.uniform(0.2, 1.0))
        finally:
            self.disk.empty()

    def clock_ahead(self) -> None:
        self.clock.move(self.dice.choice((HOUR, DAY)))

    def clock_back(self) -> None:
        self.clock.move(-HOUR)

    def clock_right(self) -> None:
        self.clock.move(0)


KINDS = ("worker", "runner", "api", "server_itself", "lock", "full_disk", "clock_ahead", "clock_back", "clock_right")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", DISK_BYTES) as found:
        yield found


@pytest.fixture(scope="session")
def clock(tmp_path_factory: pytest.TempPathFactory) -> ShiftedClock:
    return ShiftedClock(tmp_path_factory.mktemp("clock"))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(60))
def test_nothing_acknowledged_is_missing(seed: int, disk: SmallDisk, clock: ShiftedClock, tmp_path: Path) -> None:
    dice = random.Random(seed)
    clock.move(0)
    with ExitStack() as stack:
        errors = dice.choice(["the log", *FAULTS])
        server = ServerProcess(disk.folder / "data", {**ENVIRONMENT, **clock.environment})
        server.standard_error = None if errors == "the log" else stack.enter_context(FAULTS[errors]())
        server.start()
        stack.callback(server.stop)
        ward = Ward(server, seed, rotates=True)
        befell = [dice.choice(KINDS) for _ in range(dice.randint(2, 4))]
        print(f"seed {seed}: standard error is {errors}; {', '.join(befell)}")
        ward.work()
        for kind in befell:
            time.sleep(dice.uniform(0.1, WORK_SECONDS / len(befell)))
            getattr(Trouble(server, dice, disk, clock), kind)()
        time.sleep(0.5)
        ward.end()
        # Requests are signed with the time that the server has.
        clock.move(0)
        check_ward(ward)
        check_data_rules(server)
