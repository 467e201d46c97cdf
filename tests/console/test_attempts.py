"""Waits after failed sign-ins, by a clock that a test moves."""

from __future__ import annotations

import pytest

from hounsfield.console.sessions.attempts import Attempts


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def fail(attempts: Attempts, clock: Clock, address: str, key: str, times: int) -> list[int]:
    """Fail as soon as one may; gives how long was waited before each attempt, and before the next."""
    waits = []
    for _ in range(times):
        wait = attempts.wait_seconds(address, key)
        waits.append(wait)
        clock.now += wait
        attempts.note(address, key)
    return [*waits, attempts.wait_seconds(address, key)]


def test_waits_double_up_to_a_minute() -> None:
    clock = Clock()
    attempts = Attempts(clock=clock)
    assert fail(attempts, clock, "a", "key", 10) == [0, 0, 0, 2, 3, 5, 9, 17, 33, 61, 61]
    clock.now += 900
    assert attempts.wait_seconds("a", "key") == 0


def test_a_key_is_kept_from_nobody_for_long_by_failures_elsewhere() -> None:
    clock = Clock()
    attempts = Attempts(clock=clock)
    for number in range(100):
        attempts.note(f"192.0.2.{number}", "key")
    assert attempts.wait_seconds("198.51.100.1", "key") <= 11
    assert attempts.wait_seconds("198.51.100.1", "other") == 0


def test_an_address_that_tries_many_keys_waits_for_all() -> None:
    clock = Clock()
    attempts = Attempts(clock=clock)
    for number in range(30):
        attempts.note("192.0.2.1", f"key {number}")
    assert attempts.wait_seconds("192.0.2.1", "another") > 9
    assert attempts.wait_seconds("192.0.2.1") > 9
    assert attempts.wait_seconds("192.0.2.2", "another") == 0


@pytest.mark.parametrize("processes", [2, 3, 8])
def test_several_processes_together_let_through_as_many_as_one(processes: int) -> None:
    clock = Clock()
    attempts = Attempts(processes, clock)
    waits = fail(attempts, clock, "a", "key", 12)
    assert sum(wait == 0 for wait in waits) * processes <= max(3, processes)
    assert waits[-1] == 60 * processes + 1


def test_who_signs_in_begins_anew() -> None:
    clock = Clock()
    attempts = Attempts(clock=clock)
    fail(attempts, clock, "a", "key", 5)
    attempts.forget("a", "key")
    assert attempts.wait_seconds("a", "key") == 0


def test_what_is_kept_is_bounded() -> None:
    attempts = Attempts(clock=Clock())
    for number in range(30_000):
        attempts.note("192.0.2.1", f"key {number}")
    assert len(attempts._failed) <= 20_000
    assert attempts.wait_seconds("192.0.2.1", "another") > 9, "the address is not forgotten over its many keys"
