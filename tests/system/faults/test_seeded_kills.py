"""SIGKILL of any process, again and again, under a mixed load: 200 runs of different seeds.

When all is over, what clients were told is held against what is there, and what the dead left is gone after its grace time.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from support.faults.data_rules import check_nothing_is_left
from support.faults.kills import KILLS
from support.faults.ward import Ward, check_ward
from support.servers import ServerProcess

SEEDS = 200
IN_EVERY_RUN = 1
ENVIRONMENT = {
    "HOUNSFIELD_LEASE_SECONDS": "1.5",
    "HOUNSFIELD_IMPORT_WORKERS": "1",
    "HOUNSFIELD_STORE_WORKERS": "1",
    "HOUNSFIELD_RELEASE_AFTER_SECONDS": "1",
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=[] if seed < IN_EVERY_RUN else pytest.mark.slow) for seed in range(SEEDS)]
)
def test_nothing_acknowledged_is_missing(seed: int, tmp_path: Path) -> None:
    dice = random.Random(seed)
    processes = {"HOUNSFIELD_API_WORKERS": str(dice.choice((1, 2)))}
    server = ServerProcess(tmp_path / "data", {**ENVIRONMENT, **processes}).start()
    try:
        ward = Ward(server, seed)
        ward.work()
        killed = []
        for _ in range(dice.randint(2, 5)):
            time.sleep(dice.uniform(0.05, 1.0))
            kind = dice.choice(list(KILLS))
            if KILLS[kind](server, dice):
                killed.append(kind)
        print(f"seed {seed}: {', '.join(killed)}")
        time.sleep(0.3)
        ward.end()
        check_ward(ward)
    finally:
        server.stop()
    check_nothing_is_left(server)
