"""PostgreSQL that is stopped at once (``pg_ctl stop -m immediate``) in the middle of commits, and started again."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.faults.data_rules import check_nothing_is_left
from support.faults.ward import Ward, check_ward
from support.servers import ServerProcess
from support.services.postgresql import PostgresqlServer

ENVIRONMENT = {
    "HOUNSFIELD_LEASE_SECONDS": "2",
    "HOUNSFIELD_IMPORT_WORKERS": "1",
    "HOUNSFIELD_STORE_WORKERS": "1",
    "HOUNSFIELD_RELEASE_AFTER_SECONDS": "1",
    "HOUNSFIELD_DATABASE_WAIT_SECONDS": "5",
}


@pytest.fixture(scope="module")
def mortal_postgresql() -> Iterator[PostgresqlServer]:
    server = PostgresqlServer()
    try:
        yield server.start()
    finally:
        server.remove()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(8))
def test_nothing_acknowledged_is_missing(seed: int, mortal_postgresql: PostgresqlServer, tmp_path: Path) -> None:
    dice = random.Random(seed)
    environment = {**ENVIRONMENT, "HOUNSFIELD_DATABASE_URL": mortal_postgresql.new_database()}
    server = ServerProcess(tmp_path / "data", environment).start()
    try:
        ward = Ward(server, seed)
        ward.work()
        for _ in range(4):
            time.sleep(dice.uniform(0.3, 1.5))
            mortal_postgresql.stop(immediately=True)
            time.sleep(dice.uniform(0.0, 1.0))
            mortal_postgresql.start()
        time.sleep(0.5)
        ward.end()
        check_ward(ward)
    finally:
        server.stop()
    check_nothing_is_left(server)
