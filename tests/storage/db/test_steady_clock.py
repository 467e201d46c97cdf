"""The time of an installation: it never jumps, never goes faster than monotonic clocks, and all runners agree on it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hounsfield.storage.db.database import Database
from hounsfield.storage.db.engines import open_embedded
from hounsfield.storage.db.steady_clock import SteadyClock, steady_ms
from support.examples import examples


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Database:
    return open_embedded(tmp_path_factory.mktemp("clock") / "h.db", bytes(32))


def row(database: Database) -> int:
    with database.read() as connection:
        return steady_ms(connection)


class Machine:
    """Time as it passes, and processes that begin and end on it, each with a monotonic clock of its own."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.seconds = 0.0
        self.processes: list[SteadyClock] = []

    def begin(self, origin: float) -> None:
        started = self.seconds
        self.processes.append(SteadyClock(self.database, lambda: origin + self.seconds - started))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.floats(0.001, 100_000)),
        st.tuples(st.just("begin"), st.floats(0, 1e6)),
        st.tuples(st.just("end"), st.integers(0, 9)),
        st.tuples(st.just("write"), st.integers(0, 9)),
        st.tuples(st.just("look"), st.integers(0, 9)),
    ),
    max_size=30,
)


@given(STEPS)
@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_only_goes_forward_and_never_faster_than_time(database: Database, steps: list[tuple[str, float]]) -> None:
    machine = Machine(database)
    machine.begin(0.0)
    began = row(database)
    latest: dict[SteadyClock, int] = {}
    for step, value in steps:
        clock = machine.processes[int(value) % len(machine.processes)] if machine.processes else None
        if step == "pass":
            machine.seconds += value
        elif step == "begin" or clock is None:
            machine.begin(value)
        elif step == "end":
            machine.processes.remove(clock)
        elif step == "write":
            with database.write() as connection:
                clock.advance(connection)
        else:
            with database.read() as connection:
                clock.follow(connection)
        for known in machine.processes:
            now = known.now()
            assert latest.get(known, began) <= now <= began + machine.seconds * 1000 + 1
            latest[known] = now
        # Whoever looks is at least as far as what is written down.
        with database.read() as connection:
            assert all(known.follow(connection) >= steady_ms(connection) for known in machine.processes)


def test_a_new_installation_begins_with_the_wall_clock(tmp_path: Path) -> None:
    before = time.time() * 1000
    database = open_embedded(tmp_path / "h.db", bytes(32))
    assert before - 1 <= row(database) <= time.time() * 1000
    database.close()


def test_it_is_written_down_now_and_then(database: Database) -> None:
    seconds = [0.0]
    clock = SteadyClock(database, lambda: seconds[0])
    clock.tick()
    written = row(database)
    seconds[0] = 29.0
    clock.tick()
    assert row(database) == written
    seconds[0] = 31.0
    clock.tick()
    assert row(database) == written + 31_000
