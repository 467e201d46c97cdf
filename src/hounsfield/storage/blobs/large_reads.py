"""Memory reservations for large records, made before they are read.

    read_record ─▶ require_room ─┬─ the work has room for it, or is not bounded ─▶ read
                                 └─ RoomNeededError ─▶ whoever runs the work waits for room, and begins it again

Work that answers a request runs `within` the room that the request has; all other work is not bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextvars import ContextVar
from typing import Final, Protocol, TypeVar

from hounsfield.runtime.picklable_error import PicklableError

T = TypeVar("T")

LARGE_BYTES: Final = 1024 * 1024
"""Records from this size on need room."""


class RoomNeededError(PicklableError):
    """There is no room yet for a record of ``size`` bytes; who reads it at the same time by the same ``name`` shares it."""

    def __init__(self, name: Hashable, size: int) -> None:
        super().__init__(f"room for {size} bytes is needed")
        self.name = name
        self.size = size


class Room(Protocol):
    """Room that some work has."""

    def covers(self, name: Hashable, size: int) -> bool:
        """Return whether a record may be read."""
        ...


_room: ContextVar[Room | None] = ContextVar("room", default=None)


def within(room: Room, work: Callable[[], T]) -> T:
    """Do some work that may read large records for which there is room; raises `RoomNeededError` for others."""
    token = _room.set(room)
    try:
        return work()
    finally:
        _room.reset(token)


def require_room(name: Hashable, size: int) -> None:
    """Go on when there is room for a large record; raises `RoomNeededError` when there is none."""
    room = _room.get()
    if room is not None and not room.covers(name, size):
        raise RoomNeededError(name, size)
