"""Byte window: the part of a source that has been read so far; it grows on demand.

source  ────────────────────────────────────────────▶
window      base ├──────── data ────────┤ grows by doubling, never past the limit
"""

from __future__ import annotations

from hounsfield.dicom.io.byte_source import ByteSource
from hounsfield.dicom.values.errors import DicomError

FIRST_READ = 65536
"""Bytes of the first read: the elements before the pixel data of most single-frame files fit in it."""


class ByteWindow:
    """Bytes of a source from `base` on, read in growing steps.

    Parameters
    ----------
    source : ByteSource
        Where the bytes come from.
    base : int
        Offset in the source at which the window starts.
    limit : int
        Largest number of bytes the window may hold.

    Attributes
    ----------
    data : bytes
        What has been read; index 0 is offset `base` of the source.
    """

    __slots__ = ("base", "data", "limit", "source")

    def __init__(self, source: ByteSource, base: int, limit: int) -> None:
        self.source = source
        self.base = base
        self.limit = limit
        self.data = b""

    def read_to(self, end: int) -> bool:
        """Make sure that `data` holds the bytes up to an index.

        Parameters
        ----------
        end : int
            Index into `data`, exclusive.

        Returns
        -------
        bool
            False when the source ends before.

        Raises
        ------
        DicomError
            When the bytes exist but would make the window larger than its limit.
        """
        if end <= len(self.data):
            return True
        available = self.source.size - self.base
        if end > available:
            return False
        if end > self.limit:
            raise DicomError(
                f"The data set is larger than {self.limit} bytes without its pixel data; "
                f"the bytes up to offset {self.base + end} were asked for"
            )
        target = min(max(end, 2 * len(self.data), FIRST_READ), available, self.limit)
        while len(self.data) < target:
            part = self.source.read(self.base + len(self.data), target - len(self.data))
            if not part:
                return False
            self.data += part
        return True

    def remaining(self, index: int) -> int:
        """Count the bytes of the source from an index of the window on."""
        return self.source.size - self.base - index
