"""Calls of whom nobody knows: how many leave a record of their own, and that every other is counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield.audit.unknown_callers import BURST_SECONDS, MOST_BY_ALL, TELL_SECONDS, UnknownCallers, network_of

NETWORKS = st.sampled_from([f"203.0.113.{number}" for number in range(12)])


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@given(
    rate=st.sampled_from([0.0, 0.5, 2.0, 5.0]),
    calls=st.lists(st.tuples(st.integers(0, 40).map(lambda pause: pause / 8), NETWORKS), max_size=300),
)
def test_every_call_is_recorded_or_counted_and_never_too_many_are_recorded(
    rate: float, calls: list[tuple[float, str]]
) -> None:
    clock = Clock()
    unknown_callers = UnknownCallers(rate, clock)
    recorded: Counter[str] = Counter()
    counted = 0
    named: Counter[str] = Counter()
    for pause, address in calls:
        clock.now += pause
        if unknown_callers.admit(address):
            recorded[address] += 1
        elif unknown_callers.due_in == 0 and (told := unknown_callers.take()) is not None:
            counted += told.count
            named.update(told.networks)
    rest = unknown_callers.take()
    if rest is not None:
        counted += rest.count
        named.update(rest.networks)
    assert recorded.total() + counted == len(calls)
    assert named.total() == counted
    passed = clock.now - 1000.0
    assert all(count <= rate * (BURST_SECONDS + passed) + 1e-6 for count in recorded.values())
    assert recorded.total() <= rate * MOST_BY_ALL * (BURST_SECONDS + passed) + 1e-6
    assert unknown_callers.due_in is None


def test_a_count_is_told_some_seconds_after_its_first_call() -> None:
    clock = Clock()
    unknown_callers = UnknownCallers(0, clock)
    assert unknown_callers.due_in is None
    assert not unknown_callers.admit("192.0.2.1")
    clock.now += 4
    assert not unknown_callers.admit("192.0.2.2")
    assert unknown_callers.due_in == TELL_SECONDS - 4
    clock.now += 100
    assert unknown_callers.due_in == 0
    told = unknown_callers.take()
    assert told is not None
    assert (told.count, dict(told.networks)) == (2, {"192.0.2.1": 1, "192.0.2.2": 1})
    assert unknown_callers.take() is None


def test_addresses_without_end_are_counted_in_little_room() -> None:
    unknown_callers = UnknownCallers(1, Clock())
    admitted = sum(unknown_callers.admit(f"2001:db8:{number:x}::1") for number in range(20_000))
    told = unknown_callers.take()
    assert told is not None
    assert admitted + told.count == 20_000
    assert admitted <= MOST_BY_ALL * BURST_SECONDS
    assert len(told.networks) <= 32


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.7", "203.0.113.8", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:203.0.113.7", "203.0.113.7", True),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("", "not an address", True),
    ],
)
def test_what_counts_as_one_caller(one: str, other: str, same: bool) -> None:
    assert (network_of(one) == network_of(other)) is same
