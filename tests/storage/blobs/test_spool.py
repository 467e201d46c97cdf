"""Files that were received and are not stored yet, where the disk has no room for them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hounsfield.storage.blobs.spool import MEMORY_BYTES, SpoolWriter
from support.examples import examples
from support.faults.unwritable_disk import files_of_at_most


def finish(writer: SpoolWriter) -> None:
    writer.flush()
    writer.finish()


@settings(max_examples=examples(20), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, MEMORY_BYTES), st.integers(1_000, 60_000))
def test_a_full_disk_keeps_nothing_of_what_it_has_no_room_for(tmp_path: Path, room: int, piece: int) -> None:
    writer = SpoolWriter(tmp_path)
    while not writer.full:
        writer.write(bytes(piece))
    with files_of_at_most(room):
        with pytest.raises(OSError, match="too large"):
            finish(writer)
        writer.abort()
    assert list(tmp_path.iterdir()) == []
