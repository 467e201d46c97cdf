"""Memory for large answers: bounded, by turns, and none of it lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hounsfield.aws.protocol.errors import ServiceUnavailableException
from hounsfield.gateway import response_memory
from hounsfield.gateway.response_memory import ResponseMemory, ResponseRoom
from support.examples import examples

MOST = 100
STEPS = st.one_of(
    st.tuples(st.just("take"), st.sampled_from("abc"), st.integers(1, 130), st.integers(0, 12)),
    st.tuples(st.just("give"), st.integers(0, 20)),
    st.tuples(st.just("cancel"), st.integers(0, 20)),
)


async def settle() -> None:
    for _ in range(4):
        await asyncio.sleep(0)


class Played:
    """Memory, and the requests that were made of it; a name stands for a record of one size."""

    def __init__(self) -> None:
        self.memory = ResponseMemory(MOST)
        self.sizes: dict[int, int] = {}
        self.held: list[tuple[str, int]] = []
        self.waiting: list[tuple[str, int, asyncio.Task[None]]] = []

    async def _one(self, caller: str, name: int) -> None:
        await self.memory.take(caller, name, self.sizes[name])
        self.held.append((caller, name))

    async def take(self, caller: str, size: int, name: int) -> None:
        self.sizes.setdefault(name, size)
        self.waiting.append((caller, name, asyncio.ensure_future(self._one(caller, name))))

    async def give(self, at: int) -> None:
        if self.held:
            self.memory.give_back(self.held.pop(at % len(self.held))[1])

    async def cancel(self, at: int) -> None:
        if self.waiting:
            _, _, task = self.waiting.pop(at % len(self.waiting))
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def step(self, name: str, *arguments: object) -> None:
        await getattr(self, name)(*arguments)
        await settle()
        self.waiting = [entry for entry in self.waiting if not entry[2].done()]
        names = {name for _, name in self.held}
        total = sum(self.sizes[name] for name in names)
        assert total <= MOST or len(names) == 1
        if not self.held:
            assert not self.waiting, "all is free, and somebody waits"


@settings(deadline=None, max_examples=examples(100))
@given(steps=st.lists(STEPS, max_size=50))
def test_what_is_held_is_bounded_and_nobody_waits_for_nothing(steps: Sequence[tuple[str, object]]) -> None:
    async def play() -> None:
        played = Played()
        for name, *arguments in steps:
            await played.step(name, *arguments)
        while played.held:
            await played.step("give", 0)
        assert not played.waiting

    asyncio.run(play())


def test_one_caller_leaves_half_to_others_and_a_record_is_shared() -> None:
    async def play() -> None:
        played = Played()
        for name in range(6):
            await played.step("take", "burst", 20, name)
        assert len(played.held) == 2
        await played.step("take", "other", 50, 100)
        assert played.held[-1] == ("other", 100)
        await played.step("take", "third", 20, 1)
        assert played.held[-1] == ("third", 1)
        await played.step("take", "burst", 50, 100)
        assert played.held[-1] == ("burst", 100)
        while played.held:
            await played.step("give", 0)

    asyncio.run(play())


def test_a_request_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response_memory, "WAIT_SECONDS", 0.0)

    async def play() -> None:
        memory = ResponseMemory(MOST)
        with ResponseRoom(memory, "a") as room:
            room.hold(MOST)
            with ResponseRoom(memory, "b") as other:
                with pytest.raises(ServiceUnavailableException) as refused:
                    await other.grow("x", 10)
                assert ("Retry-After", "1") in refused.value.headers
        with ResponseRoom(memory, "b") as room:
            await room.grow("x", MOST)

    asyncio.run(play())
