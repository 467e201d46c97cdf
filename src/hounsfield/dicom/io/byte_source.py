"""Byte sources: anything that can read a range.

The reader of this package does no I/O itself; the caller hands it a source over a file, an object store or bytes.
"""

from __future__ import annotations

from typing import Protocol


class ByteSource(Protocol):
    """Bytes of known size that are read by range."""

    @property
    def size(self) -> int:
        """Size of the whole source in bytes."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """Read a range.

        Parameters
        ----------
        offset : int
            First byte wanted, from the start of the source.
        length : int
            Number of bytes wanted.

        Returns
        -------
        bytes
            The range; shorter only where the source ends.
        """
        ...


class BytesSource:
    """A source over bytes in memory.

    Parameters
    ----------
    data : bytes or bytearray or memoryview
        The bytes; they are not copied, so they must not change while the source is in use.
    """

    __slots__ = ("_view",)

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._view = memoryview(data)

    @property
    def size(self) -> int:
        """Number of bytes."""
        return len(self._view)

    def read(self, offset: int, length: int) -> bytes:
        """Read a range; see `ByteSource.read`."""
        return bytes(self._view[offset : offset + length])
