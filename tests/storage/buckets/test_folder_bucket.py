"""The bucket folder: what is below a prefix and nothing else, and no way out of it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hounsfield.storage.buckets.bucket_access import BucketAction, BucketUse
from hounsfield.storage.buckets.buckets import (
    BucketError,
    Buckets,
    FolderBucket,
    ObjectChangedError,
    ObjectEntry,
    S3Uri,
)
from hounsfield.storage.buckets.s3_bucket import S3Bucket, s3_bucket
from support.examples import examples
from support.services.object_store import KEY, ObjectStore

SEGMENTS = st.sampled_from(
    ["", "", ".", "..", "a", "b", "a.b", "...", " ", "~", "%2e%2e", "a%2Fb", "é", "\\", "*", "\0"]
)
KEYS = st.lists(SEGMENTS, min_size=1, max_size=5).map("/".join)
"""Keys as an attacker would spell them."""


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


@pytest.mark.parametrize("name", ["..", ".", "", "../other", "a/../..", "a\0b", "/etc", ".hidden", "a\\..\\b"])
def test_no_bucket_is_outside_of_the_folder_of_buckets(tmp_path: Path, name: str) -> None:
    (tmp_path / "buckets" / "good").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(b"secret")
    with pytest.raises(BucketError):
        Buckets(str(tmp_path / "buckets")).open(name)


def test_links_lead_nowhere(tmp_path: Path) -> None:
    bucket = tmp_path / "buckets" / "good"
    bucket.mkdir(parents=True)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (bucket / "link").symlink_to(outside)
    (bucket / "file").symlink_to(outside / "secret")
    opened = Buckets(str(tmp_path / "buckets")).open("good")
    assert list(opened.list("")) == []
    for prefix in ("link", "link/", "file", "link/secret"):
        with pytest.raises(BucketError):
            list(opened.list(prefix))
    for key in ("link/secret", "file"):
        with pytest.raises(BucketError, match="must not lead over a symbolic link"):
            opened.open(ObjectEntry(key, 6))
    with pytest.raises(BucketError):
        opened.put("link/new", b"x")
    assert [path.name for path in outside.iterdir()] == ["secret"]


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


def files_below(folder: str) -> list[str]:
    return [str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file()]


@settings(max_examples=examples(150), deadline=None)
@given(key=KEYS, prefix=KEYS)
def test_what_is_written_listed_and_opened_is_what_the_key_says(key: str, prefix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "bucket").mkdir()
        buckets = Buckets(folder)
        bucket = buckets.open("bucket")
        try:
            bucket.put(key, b"x")
        except BucketError:
            assert files_below(folder) == []
            with pytest.raises(BucketError):
                bucket.open(ObjectEntry(key, 1))
            return
        assert files_below(folder) == [f"bucket/{key}"]
        assert [entry.key for entry in bucket.list("")] == [key]
        bucket.open(ObjectEntry(key, 1)).close()
        uri = S3Uri("bucket", prefix)
        try:
            listed = [entry.key for entry in bucket.list(prefix)]
        except BucketError:
            with pytest.raises(BucketError):
                buckets.check_prefix(uri)
            return
        buckets.check_prefix(uri)
        asked = BucketUse(BucketAction.LIST, "bucket", prefix).prefixes
        assert listed == ([key] if prefix in (key, "") or key.startswith(asked[-1]) else [])


@pytest.mark.parametrize("key", ["", "/", "a//", "//a", "./a", "a/.", "a/./b", "a//b", "a/../b", ".."])
def test_other_spellings_of_a_key_are_refused(root: Path, key: str) -> None:
    (root / "a").mkdir()
    (root / "a" / "b").write_bytes(b"12345")
    bucket = FolderBucket(root)
    for use in (bucket.put, lambda key, _: bucket.open(ObjectEntry(key, 5))):
        with pytest.raises(BucketError, match="shortest form"):
            use(key, b"x")
    if key:
        with pytest.raises(BucketError, match="shortest form"):
            keys(root, key)
    assert (root / "a" / "b").read_bytes() == b"12345"


@pytest.fixture(scope="module")
def objects(s3: ObjectStore) -> S3Bucket:
    s3.client.create_bucket(Bucket="spelt")
    credentials = {"access_key_id": KEY[0], "secret_access_key": KEY[1]}
    options = {"region": "us-east-1", "endpoint": s3.url, "virtual_hosted_style_request": "false", **credentials}
    return s3_bucket("spelt", tuple(sorted(options.items())))


@pytest.mark.parametrize(
    "key", ["a/b", "/a", "a/", "//a", "a//b", "a/./b", "a/../b", "..", "a%2Fb", "%2e%2e/b", "a b+c", "a?b#c", "é", "*"]
)
def test_keys_of_an_object_store_are_taken_to_the_letter(s3: ObjectStore, objects: S3Bucket, key: str) -> None:
    objects.put(key, b"12345")
    assert s3.keys("spelt") == [key]
    (entry,) = objects.list("")
    reader: Any = objects.open(entry)
    assert (entry.key, reader.read(0, 5)) == (key, b"12345")
    s3.client.delete_object(Bucket="spelt", Key=key)


def test_a_missing_bucket_says_so(tmp_path: Path) -> None:
    with pytest.raises(BucketError, match="nowhere does not exist"):
        list(FolderBucket(tmp_path / "nowhere").list(""))
