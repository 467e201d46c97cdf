"""What a worker does with the shares of several storing requests: each has its own packs, failures and error."""

from __future__ import annotations

from pathlib import Path

import pytest

from hounsfield.imaging.errors import BusyError
from hounsfield.imaging.image_set_access import UNLIMITED
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.ingest.context import IngestContext
from hounsfield.imaging.ingest.files import InputFile, Share
from hounsfield.imaging.ingest.worker import ingest
from hounsfield.imaging.receive.receiver import Receiver
from hounsfield.storage.blobs.spool import SpooledFile
from support.clients.dicomweb import part10
from support.faults.unwritable_disk import files_of_at_most
from support.files.synthetic import slice_of, uid
from support.imaging.image_stores import new_datastore


@pytest.fixture(scope="module")
def context(image_store: ImageStore) -> IngestContext:
    return Receiver(image_store, 1).context(new_datastore(image_store))


def share(*contents: bytes | SpooledFile, study_uid: str | None = None) -> Share:
    spooled = [one if isinstance(one, SpooledFile) else SpooledFile(len(one), one) for one in contents]
    return Share(tuple(InputFile(ordinal, one) for ordinal, one in enumerate(spooled)), study_uid)


def packs(context: IngestContext) -> set[str]:
    assert context.blob_location.folder is not None
    return {path.name for path in Path(context.blob_location.folder).rglob("packs/**/*") if path.is_file()}


def test_what_befalls_one_request_does_not_befall_those_beside_it(context: IngestContext, tmp_path: Path) -> None:
    gone = SpooledFile(4096, None, str(tmp_path / "gone"), bytes(32))
    shares = [
        share(part10(slice_of(number=1)), part10(slice_of(number=2))),
        share(part10(slice_of(number=3)), gone),
        share(b"no DICOM at all", part10(slice_of(number=4))),
        share(part10(slice_of(number=5)), study_uid=uid(2)),
        share(part10(slice_of(number=6))),
    ]
    first, second, third, fourth, fifth = ingest(context, shares)
    assert isinstance(second, FileNotFoundError)
    told = [
        [(result.ordinal, result.instance.sop_uid if result.instance else None) for result in outcome]
        for outcome in (first, third, fourth, fifth)
        if not isinstance(outcome, Exception)
    ]
    assert [sorted(entry, key=lambda one: one[0]) for entry in told] == [
        [(0, uid(1, 1, 1)), (1, uid(1, 1, 2))],
        [(0, None), (1, uid(1, 1, 4))],
        [(0, None)],
        [(0, uid(1, 1, 6))],
    ]
    named = {
        result.instance.pack_id
        for outcome in (first, third, fifth)
        if not isinstance(outcome, Exception)
        for result in outcome
        if result.instance is not None
    }
    assert len(named) == 3, "each request has a pack of its own"
    assert packs(context) == named, "nothing is left of the request that failed"


def test_request_that_finds_the_disk_full_leaves_nothing_and_tells_nobody_else(context: IngestContext) -> None:
    before = packs(context)
    small = [share(part10(slice_of(number=number))) for number in (11, 12)]
    large = share(*(part10(slice_of(number=number)) for number in range(20, 60)))
    with files_of_at_most(24 * 1024):
        first, second, third = ingest(context, [small[0], large, small[1]])
    assert isinstance(second, OSError)
    stored = [
        result.instance
        for outcome in (first, third)
        if not isinstance(outcome, Exception)
        for result in outcome
        if result.instance is not None
    ]
    assert [instance.sop_uid for instance in stored] == [uid(1, 1, 11), uid(1, 1, 12)]
    assert packs(context) - before == {instance.pack_id for instance in stored}, "nothing of the one that failed"


def test_request_that_is_ready_once_the_server_stops_leaves_nothing(
    context: IngestContext, image_store: ImageStore
) -> None:
    before = packs(context)
    (results,) = ingest(context, [share(part10(slice_of(number=70)))])
    assert not isinstance(results, Exception)
    assert packs(context) != before
    receiver = Receiver(image_store, 1)
    receiver.close()
    with pytest.raises(BusyError):
        receiver.commit(
            context, UNLIMITED, "caller", {one.ordinal: one.instance for one in results if one.instance is not None}
        )
    assert packs(context) == before
