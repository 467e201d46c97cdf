"""Listing blobs by age, in a folder and through the object store library."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hounsfield.storage.blobs.blobs import BlobLocation, write_blob
from hounsfield.storage.clock import now_ms

HOUR_MS = 3600 * 1000


@pytest.fixture(params=["folder", "url"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> BlobLocation:
    return BlobLocation(folder=str(tmp_path)) if request.param == "folder" else BlobLocation(url=f"file://{tmp_path}")


def test_only_blobs_written_before_the_moment_are_listed(place: BlobLocation, tmp_path: Path) -> None:
    blobs = BlobLocation(folder=str(tmp_path)).open()
    for name, hours in (("packs/a/11/old", 3), ("packs/a/22/young", 1), ("packs/b/11/other", 3), ("packs/ab/x", 3)):
        write_blob(blobs, name, b"bytes")
        written = (now_ms() - hours * HOUR_MS) / 1000
        os.utime(tmp_path / name, (written, written))
    moment = now_ms() - 2 * HOUR_MS
    found = place.open()
    assert sorted(found.names("packs/a/", before_ms=moment)) == ["packs/a/11/old"]
    assert sorted(found.names("packs/a", before_ms=now_ms())) == ["packs/a/11/old", "packs/a/22/young"]
    assert sorted(found.names("packs/a/")) == ["packs/a/11/old", "packs/a/22/young"]
    assert list(found.names("packs/none/", before_ms=now_ms())) == []
