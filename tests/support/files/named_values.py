"""Real files in which one element at a time says a name that must never be told."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pydicom

FILES = Path(pydicom.__path__[0]) / "data" / "test_files"
MARK = b"ZZDOE^JANE"


@cache
def marked() -> list[tuple[str, bytes]]:
    """Real files in which the value of one element is a name: one for each element of each file."""
    found = []
    for path in sorted(FILES.rglob("*.dcm")):
        data = path.read_bytes()
        if len(data) > 20_000:
            continue
        try:
            elements = list(pydicom.dcmread(path, stop_before_pixels=True, force=True).iterall())
        except Exception:  # what pydicom cannot read is no matter here
            continue
        for element in elements:
            start, value = element.file_tell, element.value
            if not start or not value or element.VR == "SQ":
                continue
            length = int.from_bytes(data[start - 2 : start], "little")
            if 2 <= length <= 64 and start + length <= len(data):
                name = (MARK * 7)[:length]
                found.append((f"{path.name} {element.keyword}", data[:start] + name + data[start + length :]))
    return found
