"""Free space of real folders, against floors that they are above or below."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hounsfield.storage.free_space import DiskTrouble, DiskTroubleError, FreeSpace, read_disk_states

MORE_THAN_ANY = 1 << 60


def test_a_file_system_counts_once_and_by_what_is_there_of_a_folder(tmp_path: Path) -> None:
    (state,) = read_disk_states([tmp_path / "not" / "yet", tmp_path])
    assert state.folder == tmp_path
    found = os.statvfs(tmp_path)
    assert state.total_bytes == found.f_blocks * found.f_frsize
    assert 0 < state.free_bytes <= state.total_bytes
    assert not state.is_read_only


def test_what_is_below_the_floor_takes_nothing_more(tmp_path: Path) -> None:
    space = FreeSpace([tmp_path], MORE_THAN_ANY)
    assert space.look() is DiskTrouble.FULL
    with pytest.raises(DiskTroubleError) as refused:
        space.require()
    assert refused.value.trouble is DiskTrouble.FULL
    assert str(tmp_path) not in str(refused.value)


def test_what_is_larger_than_the_room_above_the_floor_is_refused_alone(tmp_path: Path) -> None:
    space = FreeSpace([tmp_path], 1)
    assert space.look() is None
    space.require()
    space.require(1)
    with pytest.raises(DiskTroubleError):
        space.require(MORE_THAN_ANY)


@pytest.mark.parametrize("folders", [0, 1])
def test_without_a_floor_or_a_folder_everything_is_taken(tmp_path: Path, folders: int) -> None:
    space = FreeSpace([tmp_path] * folders, 0 if folders else MORE_THAN_ANY)
    assert space.look() is None
    space.require(MORE_THAN_ANY)
