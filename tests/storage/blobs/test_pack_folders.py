"""The folders that packs are spread over."""

from __future__ import annotations

import shutil
from pathlib import Path

from hounsfield.storage.blobs.blobs import FolderBlobs

ALL = {f"{number:02x}" for number in range(256)}


def write(blobs: FolderBlobs, name: str) -> None:
    writer = blobs.create(name)
    writer.write(name.encode())
    writer.publish()


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_few_packs_have_a_few_folders_and_more_have_all(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    names = [f"packs/store/{number:02x}/{number:02x}aa" for number in range(0, 240, 8)]
    for count, name in enumerate(names, start=1):
        write(blobs, name)
        assert names_in(tmp_path / "packs" / "store") in ({name.split("/")[2] for name in names[:count]}, ALL)
    assert names_in(tmp_path / "packs" / "store") == ALL
    assert sorted(blobs.names("packs")) == sorted(names)
    assert [blobs.read(name, 0, len(name)) for name in names] == [name.encode() for name in names]


def test_folders_of_other_names_stay_alone(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    names = [f"{number:03x}/blob" for number in range(20)]
    for name in names:
        write(blobs, name)
    assert names_in(tmp_path) == {name.split("/")[0] for name in names}


def test_a_folder_that_somebody_removed_is_made_again(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    for number in range(12):
        write(blobs, f"packs/store/{number:02x}/one")
    shutil.rmtree(tmp_path / "packs" / "store" / "05")
    write(blobs, "packs/store/05/two")
    assert blobs.read("packs/store/05/two", 0, 5) == b"packs"
