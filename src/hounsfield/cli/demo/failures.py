"""Why files were not imported, in words: one line for each reason, with the files that it kept out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any, Final

_NOT_DICOM: Final = "DICOM attributes does not exist"
_MISSING: Final = re.compile(r"DICOM attribute (\w+) does not exist")
_REASONS_SHOWN: Final = 8
_NAMES_SHOWN: Final = 3


def failure_lines(failures: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Return a line for each reason, the most frequent first.

    Parameters
    ----------
    failures : iterable of dict
        Lines of ``failure.ndjson``.
    """
    reasons: dict[str, list[str]] = {}
    for failure in failures:
        reasons.setdefault(_words(failure["exception"]["message"]), []).append(PurePosixPath(failure["inputFile"]).name)
    ordered = sorted(reasons.items(), key=lambda reason: -len(reason[1]))
    for words, names in ordered[:_REASONS_SHOWN]:
        shown = ", ".join(names[:_NAMES_SHOWN]) + (", …" if len(names) > _NAMES_SHOWN else "")
        yield f"{len(names):>4}  {words}: {shown}"
    rest = sum(len(names) for _, names in ordered[_REASONS_SHOWN:])
    if rest:
        yield f"{rest:>4}  for other reasons"


def _words(message: str) -> str:
    """Return what the message of a manifest, which AWS words so, means."""
    if message == _NOT_DICOM:
        return "not a DICOM file"
    missing = _MISSING.fullmatch(message)
    return message if missing is None else f"has no {missing[1]}"
