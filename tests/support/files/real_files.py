"""Real DICOM files: those of pydicom and those beside the project."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pydicom

SHARED = Path(__file__).parents[4] / "shared" / "data"
INSTALLED = Path(pydicom.__path__[0]) / "data"
NOT_DICOM = {".txt", ".py", ".pyc", ".json", ".gz", ".md", ".jpeg", ".dump", ".icc", ".dat"}


REFUSED = {
    "ExplVR_BigEndNoMeta.dcm": "DICOM attribute TransferSyntaxUID does not exist",
    "ExplVR_LitEndNoMeta.dcm": "DICOM attribute TransferSyntaxUID does not exist",
    "OT-PAL-8-face.dcm": "DICOM attribute TransferSyntaxUID does not exist",
    "meta_missing_tsyntax.dcm": "DICOM attribute TransferSyntaxUID does not exist",
    "rtstruct.dcm": "DICOM attribute TransferSyntaxUID does not exist",
    "no_meta.dcm": "DICOM attributes does not exist",
    "MR_truncated.dcm": "(7FE0,0010) at offset 1488",
    "rtplan_truncated.dcm": "(300A,00B0) at offset 1410",
}
"""Files that are no instances, with words of the message."""


@cache
def dicom_files() -> tuple[Path, ...]:
    """The files that both tests and their parameters are made of, looked for once."""
    return tuple(_found())


def _found() -> Iterable[Path]:
    for root in (INSTALLED / "test_files", INSTALLED / "charset_files", SHARED):
        for path in sorted(root.rglob("*")) if root.exists() else ():
            if path.is_file() and path.suffix not in NOT_DICOM and path.name not in {"README", "LICENSE", "metadata"}:
                yield path


def refusal_of(path: Path) -> str | None:
    """Say why a file is refused; None for instances."""
    return "index of a medium" if path.name.startswith("DICOMDIR") else REFUSED.get(path.name)
