"""The bucket folder: what is below a prefix and nothing else, and no way out of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hounsfield.storage.buckets import BucketError, FolderBucket, ObjectChangedError, ObjectEntry


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("study-1/a.dcm", "study-1/deep/er/b.dcm", "study-10/c.dcm", "study-1.txt", "top.dcm"):
        path = tmp_path / "bucket" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345")
    (tmp_path / "outside.dcm").write_bytes(b"secret")
    return tmp_path / "bucket"


def keys(root: Path, prefix: str) -> list[str]:
    return sorted(entry.key for entry in FolderBucket(root).list(prefix))


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("study-1", ["study-1/a.dcm", "study-1/deep/er/b.dcm"]),
        ("study-1/", ["study-1/a.dcm", "study-1/deep/er/b.dcm"]),
        ("study-1/deep", ["study-1/deep/er/b.dcm"]),
        ("top.dcm", ["top.dcm"]),
        ("nowhere", []),
    ],
)
def test_a_prefix_is_an_object_or_a_folder(root: Path, prefix: str, expected: list[str]) -> None:
    assert keys(root, prefix) == expected


def test_an_empty_prefix_is_the_whole_bucket(root: Path) -> None:
    assert len(keys(root, "")) == 5


def test_links_are_not_followed(root: Path) -> None:
    (root / "study-1" / "link.dcm").symlink_to(root.parent / "outside.dcm")
    assert "study-1/link.dcm" not in keys(root, "study-1")
    with pytest.raises(BucketError, match="must not lead over a symbolic link"):
        FolderBucket(root).open(ObjectEntry("study-1/link.dcm", 6))


@pytest.mark.parametrize("key", ["../outside.dcm", "study-1/../../outside.dcm", "/etc/passwd", "a\0b"])
def test_nothing_outside_is_reached(root: Path, key: str) -> None:
    bucket = FolderBucket(root)
    with pytest.raises(BucketError):
        bucket.open(ObjectEntry(key, 1))
    with pytest.raises(BucketError):
        bucket.put(key, b"x")
    with pytest.raises(BucketError):
        list(bucket.list(key))


def test_a_name_that_is_no_text_is_listed_so_that_it_is_reported(root: Path) -> None:
    Path(os.fsdecode(os.fsencode(root) + b"/study-1/\xff.dcm")).write_bytes(b"x")
    assert "study-1/\\xff.dcm" in keys(root, "study-1")


def test_a_file_that_shrinks_while_it_is_read_is_an_error(root: Path) -> None:
    reader = FolderBucket(root).open(ObjectEntry("top.dcm", 5))
    (root / "top.dcm").write_bytes(b"1")
    with pytest.raises(BucketError, match="shorter"):
        reader.read(0, 5)
    reader.close()


def test_a_file_that_is_not_the_one_that_was_listed_is_an_error(root: Path) -> None:
    bucket = FolderBucket(root)
    before, under_way = (next(bucket.list(key)) for key in ("top.dcm", "study-1/a.dcm"))
    (root / "top.dcm").write_bytes(b"54321")
    os.utime(root / "top.dcm", ns=(1, 1))
    with pytest.raises(ObjectChangedError):
        bucket.open(before)
    reader = bucket.open(under_way)
    assert reader.read(0, 5) == b"12345"
    (root / "study-1" / "a.dcm").write_bytes(b"54321")
    os.utime(root / "study-1" / "a.dcm", ns=(1, 1))
    with pytest.raises(ObjectChangedError):
        reader.read(0, 5)
    reader.close()


def test_a_missing_bucket_says_so(tmp_path: Path) -> None:
    with pytest.raises(BucketError, match="nowhere does not exist"):
        list(FolderBucket(tmp_path / "nowhere").list(""))
