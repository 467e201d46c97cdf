"""Cache of stored frames in memory, for several viewers of one study.

    extent ─▶ kept? ─▶ answer
                └─ no ─▶ one range read ─▶ decrypt ─▶ keep
    large ─▶ somebody reads or has it? ─▶ the same bytes for all

Only bytes that never change are kept, under the place where they lie and under what they were authenticated as, so that a wrong
place in the database shows no other frame here either. Whether a frame may be seen, and where it lies, is found out before,
each time; so is whether the key of its data store may be used.
"""

from __future__ import annotations

import threading
from typing import Final, TypeAlias
from weakref import WeakValueDictionary

from hounsfield.storage.blobs.blobs import Blobs
from hounsfield.storage.blobs.large_reads import LARGE_BYTES, require_room
from hounsfield.storage.blobs.packs import Extent, Label, read_record, read_record_within
from hounsfield.storage.keys.data_key import DataKey
from hounsfield.storage.lru_cache import SharedCache

_ENTRY_BYTES: Final = 512
_Name: TypeAlias = tuple[str, str, int, int, str, str, int]


class FrameCache:
    """Reads frames, and keeps them; for several threads.

    Parameters
    ----------
    capacity : int
        Bytes kept at most; 0 for none. A frame of more than half of that is not kept.
    """

    def __init__(self, capacity: int = 0) -> None:
        self._keeps = capacity > 0
        self._kept: SharedCache[_Name, bytes | bytearray] = SharedCache(capacity, _entry_bytes)
        self._lock = threading.Lock()
        self._large: WeakValueDictionary[_Name, _SharedFrame] = WeakValueDictionary()
        self._reading: dict[_Name, threading.Event] = {}

    def read(self, blobs: Blobs, key: DataKey, extent: Extent, label: Label, before: bytes, after: bytes) -> bytearray:
        """Return a frame between other bytes.

        Parameters
        ----------
        blobs, key, extent, label
            Where it is and what it is, as for `hounsfield.storage.blobs.packs.read_record`.
        before, after : bytes
            What is to stand before and behind it.

        Returns
        -------
        bytearray
            ``before``, the frame, ``after``; the caller's own, to be written to.

        Raises
        ------
        PackDamagedError
            The stored bytes were changed.
        BlobMissingError
            There is no such pack.
        """
        if not self._keeps:
            return read_record_within(blobs, key, extent, label, before, after)
        name = _name(key, extent, label)
        frame = self._kept.get(name)
        if frame is None:
            frame = read_record(blobs, key, extent, label)
            self._kept.put(name, frame)
        return bytearray().join((before, frame, after))

    def shared(self, blobs: Blobs, key: DataKey, extent: Extent, label: Label) -> bytes | bytearray:
        """Return a large frame, read and held once for all who want it at the same time.

        Parameters and errors are those of `read`.

        Returns
        -------
        bytes or bytearray
            The frame, which others hold too: it is not to be written to.
        """
        require_room((extent.pack_id, extent.offset), extent.length)
        name = _name(key, extent, label)
        while True:
            with self._lock:
                found = self._kept.get(name) or self._large.get(name)
                if found is not None:
                    return found
                reading = self._reading.get(name)
                if reading is None:
                    self._reading[name] = threading.Event()
                    break
            # Whoever reads it may fail; then it is tried here.
            reading.wait()
        try:
            frame = read_record_within(blobs, key, extent, label, make=_SharedFrame)
            self._kept.put(name, frame)
            with self._lock:
                self._large[name] = frame
            return frame
        finally:
            with self._lock:
                self._reading.pop(name).set()


def is_large(extent: Extent) -> bool:
    """Return whether a frame is one that `FrameCache.shared` is for."""
    return extent.length >= LARGE_BYTES


def _name(key: DataKey, extent: Extent, label: Label) -> _Name:
    return (key.datastore_id, extent.pack_id, extent.offset, extent.length, label.kind, label.owner, label.ordinal)


def _entry_bytes(frame: bytes | bytearray) -> int:
    return _ENTRY_BYTES + len(frame)


class _SharedFrame(bytearray):
    """A frame that is held for as long as somebody uses it."""
