"""FairSlots: nobody has more than a caller may have, nobody is passed over, and no place is lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from hounsfield.gateway.fair_slots import FairSlots
from support.examples import examples

CALLERS = st.sampled_from("abcd")
STEPS = st.one_of(
    st.tuples(st.just("acquire"), CALLERS),
    st.tuples(st.just("release"), st.integers(0, 20)),
    st.tuples(st.just("cancel"), st.integers(0, 20)),
)


async def settle() -> None:
    """Let every task go on as far as it can."""
    for _ in range(4):
        await asyncio.sleep(0)


class Played:
    """FairSlots, and the requests that were made of them."""

    def __init__(self, places: int, each: int) -> None:
        self.turns, self.places, self.each = FairSlots(places, each), places, each
        self.running: list[str] = []
        self.waiting: list[tuple[str, asyncio.Task[None]]] = []
        self.begun: list[str] = []

    async def _one(self, caller: str) -> None:
        await self.turns.acquire(caller)
        self.running.append(caller)
        self.begun.append(caller)

    async def acquire(self, caller: str) -> None:
        self.waiting.append((caller, asyncio.ensure_future(self._one(caller))))
        await self._settled()

    async def release(self, at: int) -> None:
        if self.running:
            self.turns.release(self.running.pop(at % len(self.running)))
            await self._settled()

    async def cancel(self, at: int) -> None:
        if self.waiting:
            _, task = self.waiting.pop(at % len(self.waiting))
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await self._settled()

    async def _settled(self) -> None:
        await settle()
        self.waiting = [(caller, task) for caller, task in self.waiting if not task.done()]

    def check(self) -> None:
        held = Counter(self.running)
        assert len(self.running) <= self.places
        assert all(count <= self.each for count in held.values())
        if len(self.running) < self.places:
            assert all(held[caller] == self.each for caller, _ in self.waiting), (
                "a place is free, and somebody waits for it"
            )


@settings(deadline=None, max_examples=examples(100))
@given(places=st.integers(1, 4), each=st.integers(1, 4), steps=st.lists(STEPS, max_size=60))
def test_places_are_neither_lost_nor_given_twice(
    places: int, each: int, steps: Sequence[tuple[str, str | int]]
) -> None:
    async def play() -> None:
        played = Played(places, each)
        for name, argument in steps:
            await getattr(played, name)(argument)
            played.check()
        while played.running:
            await played.release(0)
            played.check()
        assert not played.waiting

    asyncio.run(play())


@settings(deadline=None, max_examples=examples(100))
@given(lengths=st.dictionaries(CALLERS, st.integers(1, 12), min_size=2), order=st.randoms())
def test_callers_who_wait_are_served_one_after_another(lengths: dict[str, int], order: object) -> None:
    async def play() -> None:
        played = Played(1, 1)
        await played.acquire("first")
        coming = [caller for caller, length in lengths.items() for _ in range(length)]
        order.shuffle(coming)  # type: ignore[attr-defined]
        for caller in coming:
            await played.acquire(caller)
        while played.running:
            await played.release(0)
        left = Counter(lengths)
        for place in range(1, len(played.begun)):
            rounds = played.begun[place : place + len([caller for caller in left if left[caller]])]
            assert len(set(rounds)) == len(rounds), "somebody had two turns while another waited"
            left[played.begun[place]] -= 1

    asyncio.run(play())


def test_a_caller_alone_leaves_places_to_others() -> None:
    async def play() -> None:
        played = Played(3, 2)
        for _ in range(50):
            await played.acquire("burst")
        assert played.running == ["burst", "burst"]
        await played.acquire("other")
        assert played.running == ["burst", "burst", "other"]

    asyncio.run(play())


def test_a_turn_that_comes_as_its_task_is_cancelled_is_given_on() -> None:
    async def play() -> None:
        turns = FairSlots(1, 1)
        await turns.acquire("a")
        second = asyncio.ensure_future(turns.acquire("b"))
        await settle()
        turns.release("a")
        second.cancel()
        with suppress(asyncio.CancelledError):
            await second
        await asyncio.wait_for(turns.acquire("c"), 5)

    asyncio.run(play())
