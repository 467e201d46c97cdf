"""Runs of records: what follows each other in an instance and in a pack is one row."""

from __future__ import annotations

from hounsfield.imaging.frame_runs import frame_runs_of
from hounsfield.storage.blobs.packs import Extent


def test_runs_follow_each_other_in_a_pack() -> None:
    a, b, c, d = Extent("p", 0, 10), Extent("p", 10, 5), Extent("p", 20, 5), Extent("q", 25, 5)
    pixels = [(0, a), (1, b), (2, c), (3, d)]
    assert list(frame_runs_of(pixels, 1024)) == [(0, a, [10, 5]), (2, c, [5]), (3, d, [5])]
    assert list(frame_runs_of(pixels[:2], 1)) == [(0, a, [10]), (1, b, [5])]
    assert list(frame_runs_of([], 1024)) == []
