"""Staged instances without files, for tests of how instances are grouped."""

from __future__ import annotations

from hounsfield.dicom.healthimaging.record import Grouping
from hounsfield.imaging.staged_instance import PackRange, PixelKind, StagedInstance


def staged(sop: str, series: str = "1.1", study: str = "1", patient: str = "P", number: str = "1") -> StagedInstance:
    """Return an instance without pixels."""
    return StagedInstance(
        key=f"{sop:0>24}",
        sop_uid=sop,
        sop_class_uid="1.2",
        grouping=Grouping("20240101", "A", patient, study, "S", series, number),
        levels="{}",
        stored_transfer_syntax=None,
        pixel_kind=PixelKind.NONE,
        frame_count=0,
        pack_id="0" * 32,
        fragment=PackRange(0, 1),
        dataset=PackRange(1, 1),
        runs=(),
        warnings=(),
    )
