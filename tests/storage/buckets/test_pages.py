"""Pages of a listing: a bucket folder shows what S3 would show of the same keys, in the same order."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hounsfield.storage.buckets.bucket import Bucket, BucketError, NoSuchBucketError
from hounsfield.storage.buckets.buckets import Buckets, FolderBucket
from support.examples import examples
from support.services.object_store import KEY, ObjectStore

NAMES = st.sampled_from(["a", "b", "a.b", "a b", "a-b", "ab", "é", "~", "1", "%2e", "A"])
KEYS = st.sets(st.lists(NAMES, min_size=1, max_size=4).map("/".join), max_size=12)


def read_all(bucket: Bucket, prefix: str, *, by_folder: bool, limit: int) -> Iterator[str]:
    """Yield what all pages show, each in its order."""
    after = None
    while True:
        page = bucket.read_page(prefix, by_folder=by_folder, after=after, limit=limit)
        shown = sorted([*(listed.key for listed in page.objects), *page.folders])
        assert len(shown) <= limit
        yield from shown
        if page.end is None:
            return
        after = page.end


def expected(keys: set[str], prefix: str, *, by_folder: bool) -> list[str]:
    """Return what S3 shows: every key that begins with the prefix, cut after the next slash where folders are told."""
    found = {key for key in keys if key.startswith(prefix)}
    if by_folder:
        cut = {key: key.find("/", len(prefix)) for key in found}
        found = {key if cut[key] < 0 else key[: cut[key] + 1] for key in found}
    return sorted(found)


@settings(max_examples=examples(200), deadline=None)
@given(KEYS, st.sampled_from(["", "a", "a/", "a/b", "a/b/", "ab", "a.", "é/", "a/a/a", "none/"]), st.integers(1, 4))
def test_a_folder_is_listed_as_s3_lists_a_bucket(keys: set[str], prefix: str, limit: int) -> None:
    # In a file system no name is both a file and a folder.
    keys = {key for key in keys if not any(other.startswith(f"{key}/") for other in keys)}
    with tempfile.TemporaryDirectory() as root:
        for key in keys:
            path = Path(root, key)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"12345")
        for by_folder in (True, False):
            shown = list(read_all(FolderBucket(Path(root)), prefix, by_folder=by_folder, limit=limit))
            assert shown == expected(keys, prefix, by_folder=by_folder)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "buckets" / "good"
    (root / "deep").mkdir(parents=True)
    (root / "deep" / "a.dcm").write_bytes(b"12345")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"secret")
    (root / "link").symlink_to(tmp_path / "outside")
    (root / "file-link").symlink_to(tmp_path / "outside" / "secret")
    os.mkfifo(root / "pipe")
    return root


def test_links_and_special_files_are_not_shown(root: Path) -> None:
    bucket = FolderBucket(root)
    assert list(read_all(bucket, "", by_folder=True, limit=10)) == ["deep/"]
    assert list(read_all(bucket, "", by_folder=False, limit=10)) == ["deep/a.dcm"]
    with pytest.raises(BucketError, match="symbolic link"):
        bucket.read_page("link/", by_folder=True, after=None, limit=10)
    with pytest.raises(BucketError, match="symbolic link"):
        bucket.find("link/secret")


@pytest.mark.parametrize("prefix", ["../", "../outside/", "/", "/etc/", "deep/../../", "deep//", "./", "a\0/"])
def test_no_prefix_leads_out(root: Path, prefix: str) -> None:
    with pytest.raises(BucketError, match="shortest form"):
        FolderBucket(root).read_page(prefix, by_folder=True, after=None, limit=10)


def test_one_object_is_found_by_its_key(root: Path) -> None:
    bucket = FolderBucket(root)
    entry = bucket.find("deep/a.dcm")
    assert entry is not None
    assert (entry.key, entry.size) == ("deep/a.dcm", 5)
    assert bucket.find("deep/b.dcm") is None
    assert bucket.find("deep") is None


def test_a_file_tells_its_size_and_when_it_was_written(root: Path) -> None:
    (listed,) = FolderBucket(root).read_page("deep/", by_folder=True, after=None, limit=10).objects
    assert listed.size == 5
    assert listed.modified_at.timestamp() == pytest.approx((root / "deep" / "a.dcm").stat().st_mtime)


def test_the_buckets_of_the_folder_are_listed(root: Path) -> None:
    buckets = Buckets(str(root.parent))
    (root.parent / ".hidden").mkdir()
    (root.parent / "a file").write_bytes(b"")
    (root.parent / "another").mkdir()
    assert [bucket.name for bucket in buckets.list_all()] == ["another", "good"]
    with pytest.raises(NoSuchBucketError, match="bucket nowhere does not exist"):
        buckets.open("nowhere").read_page("", by_folder=True, after=None, limit=10)


def test_a_bucket_of_an_object_store_is_listed_by_its_pages(s3: ObjectStore) -> None:
    credentials = {"access_key_id": KEY[0], "secret_access_key": KEY[1]}
    buckets = Buckets("", endpoint_url=s3.url, region="us-east-1", options=credentials)
    s3.client.create_bucket(Bucket="paged")
    keys = {"a.dcm", "a/1.dcm", "a/2.dcm", "a/deep/3.dcm", "b c/4.dcm", "é.dcm"}
    for key in keys:
        s3.client.put_object(Bucket="paged", Key=key, Body=b"12345")
    assert "paged" in [bucket.name for bucket in buckets.list_all()]
    bucket = buckets.open("paged")
    for prefix in ("", "a", "a/", "b"):
        for by_folder in (True, False):
            shown = list(read_all(bucket, prefix, by_folder=by_folder, limit=2))
            assert shown == expected(keys, prefix, by_folder=by_folder)
    found: Any = bucket.find("b c/4.dcm")
    assert (found.key, found.size) == ("b c/4.dcm", 5)
    assert bucket.find("b c/5.dcm") is None
    with pytest.raises(NoSuchBucketError, match="bucket unmade does not exist"):
        buckets.open("unmade").read_page("", by_folder=True, after=None, limit=2)
