"""ZIP archives that are written as they go out (APPNOTE.TXT 6.3, with data descriptors and ZIP64).

files, one after another ─▶ encode_zip ─▶ local header, content, descriptor … central directory

Files are stored as they are: frames are compressed already, and who wants them decoded wants them soon.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator
from typing import Final

_UID: Final = re.compile(r"[0-9]+(?:\.[0-9]+)*", re.ASCII)
_MOST_OF_ZIP32: Final = 1 << 31


class _Sink:
    """What an archive is written into; it cannot be sought in."""

    def __init__(self) -> None:
        self._written: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._written.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Do nothing."""

    def taken(self) -> bytes:
        """Return what was written since the last time."""
        data = b"".join(self._written)
        self._written.clear()
        return data


def encode_zip(files: Iterable[tuple[str, int | None, Iterable[bytes]]]) -> Iterator[bytes]:
    """Write an archive.

    Parameters
    ----------
    files : iterable of (str, int or None, iterable of bytes)
        Name of each file, its size where that is known, and its content.
    """
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]
        for name, size, chunks in files:
            large = size is None or size >= _MOST_OF_ZIP32
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=large) as entry:
                for chunk in chunks:
                    entry.write(chunk)
                    if data := sink.taken():
                        yield data
    yield sink.taken()


def file_name(series_uid: str, sop_uid: str, number: int) -> str:
    """Name the file of an instance by its UIDs; by its place where these are none, as names of files lead elsewhere then."""
    if _UID.fullmatch(series_uid) and _UID.fullmatch(sop_uid):
        return f"{series_uid}/{sop_uid}.dcm"
    return f"instance-{number:06d}.dcm"
