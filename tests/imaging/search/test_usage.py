"""Usage: what is counted is what there is, whatever was imported, edited, copied and deleted before."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select

from hounsfield.bootstrap.image_store import open_image_store
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.search.usage import Amount, ImageSetGroup, ImportDay, Usage, UsageReader
from hounsfield.imaging.states import StorageTier
from hounsfield.settings import load_settings
from hounsfield.storage.db.image_set_tables import frame_runs, image_sets, instances
from support.files.bad_files import FAILING
from support.files.synthetic import noise, slice_of
from support.imaging.import_folders import fill, start_job
from support.imaging.stored_series import deleted
from support.imaging.updates import Store, instance
from support.servers import ServerProcess, active_datastore, finished_job


@pytest.fixture(scope="module", params=["embedded", "postgresql"])
def own_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    environment = {}
    if request.param == "postgresql":
        environment["HOUNSFIELD_DATABASE_URL"] = request.getfixturevalue("postgresql_url")
    process = ServerProcess(tmp_path_factory.mktemp("usage") / "data", environment).start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def image_store(own_server: ServerProcess) -> Iterator[ImageStore]:
    """The stores of the server, opened beside it."""
    settings = load_settings({**own_server.environment, "HOUNSFIELD_DATA": str(own_server.data)})
    opened, _ = open_image_store(settings)
    yield opened
    opened.database.close()


@pytest.fixture
def store(own_server: ServerProcess) -> Store:
    return Store(own_server, own_server.client())


def recounted(image_store: ImageStore, datastore_id: str) -> dict[str, Amount]:
    """Count each image set anew, from the rows of its instances and frames."""
    found: dict[str, Amount] = {}
    with image_store.database.read() as connection:
        pixels: dict[str, int] = {}
        for run in connection.execute(select(frame_runs)):
            pixels[run.source_key] = pixels.get(run.source_key, 0) + sum(array("I", run.lengths))
        current = (image_sets.c.datastore_id == datastore_id, image_sets.c.deleted_at.is_(None))
        for identifier in connection.execute(select(image_sets.c.id).where(*current)).scalars():
            rows = connection.execute(
                select(instances).where(instances.c.image_set_id == identifier, instances.c.last_version.is_(None))
            ).all()
            size = sum(r.fragment_length + r.dataset_length + pixels.get(r.source_key, 0) for r in rows)
            found[identifier] = Amount(1, len(rows), sum(r.frame_count for r in rows), size)
    return found


def check(image_store: ImageStore, datastore_id: str) -> Usage:
    """Check that the usage of a data store is what a recount gives, and return it."""
    usage = UsageReader(image_store).read(datastore_id)
    assert usage.total == sum(recounted(image_store, datastore_id).values(), Amount())
    return usage


def test_counts_follow_all_that_changes_image_sets(store: Store, image_store: ImageStore) -> None:
    assert check(image_store, store.id).total == Amount()
    image_set = store.imported(*(slice_of(number=number) for number in (1, 2, 3)))[0]
    usage = check(image_store, store.id)
    assert (usage.total.image_sets, usage.total.instances, usage.total.frames, usage.studies) == (1, 3, 3, 1)
    assert usage.total.bytes > 0
    # Another file for an instance that is there, one with many frames, and one twice in the same job.
    store.imported(slice_of(number=2, pixels=noise(32, 32, seed=5)), slice_of(number=2, pixels=noise(32, 32, seed=6)))
    store.imported(slice_of(number=4, pixels=noise(16, 16, seed=1)[None].repeat(5, axis=0)))
    usage = check(image_store, store.id)
    assert (usage.total.instances, usage.total.frames) == (4, 8)
    store.updated(image_set, store.get(image_set)["versionId"], remove=instance(4, {}), force=True)
    assert check(image_store, store.id).total.frames == 3
    store.updated(
        image_set, store.get(image_set)["versionId"], update=instance(1, {"DICOM": {"ImageType": "LONGER"}}), force=True
    )
    check(image_store, store.id)
    store.updated(image_set, store.get(image_set)["versionId"], revert="1")
    usage = check(image_store, store.id)
    assert (usage.total.instances, usage.primary) == (3, usage.total)


def test_copies_and_deletions_are_counted(store: Store, image_store: ImageStore) -> None:
    image_set = store.series(2)
    other = store.imported(slice_of(PatientID="P-OTHER"))[0]
    information = {"sourceImageSet": {"latestVersionId": "1"}}
    copy = store.client.copy_image_set(
        datastoreId=store.id, sourceImageSetId=other, copyImageSetInformation=information
    )["destinationImageSetProperties"]["imageSetId"]
    store.settled(copy)
    usage = check(image_store, store.id)
    assert (usage.total.image_sets, usage.primary.image_sets, usage.total.instances) == (3, 1, 4)
    assert list(usage.by_tier) == ["FREQUENT_ACCESS"]
    deleted(store.client, store.id, image_set)
    assert check(image_store, store.id).total.image_sets == 2


def test_import_jobs_tell_how_many_files_they_imported(own_server: ServerProcess, image_store: ImageStore) -> None:
    client = own_server.client()
    datastore_id = active_datastore(client)
    folder = fill(own_server, "usage-of-jobs", [slice_of(1), slice_of(2), slice_of(2)])
    (folder / "bad.dcm").write_bytes(FAILING["truncated-in-pixels.dcm"][0]())
    before = datetime.now(UTC).date()
    for name in ("usage-of-jobs", "usage-nowhere"):
        finished_job(client, datastore_id, start_job(own_server, client, datastore_id, name))
    usage = UsageReader(image_store).read(datastore_id)
    days = [day for day in usage.import_days(2) if day.jobs]
    assert sum(days, ImportDay(before)) == ImportDay(before, 2, 1, 1, 3, 1)
    assert list(UsageReader(image_store).read("0" * 32).imports) == []


def test_counts_are_kept_for_a_minute(store: Store, image_store: ImageStore) -> None:
    now = [100.0]
    reader = UsageReader(image_store, lambda: now[0])
    before = reader.read(store.id)
    store.imported(slice_of())
    now[0] += 59
    assert reader.read(store.id).counted_at == before.counted_at
    assert reader.read(store.id).total.image_sets == 0
    now[0] += 2
    assert reader.read(store.id).total.image_sets == 1


def group(day: date, modality: str, tier: StorageTier, size: int, *, is_primary: bool = True) -> ImageSetGroup:
    return ImageSetGroup("1" * 32, is_primary, tier, modality, day, Amount(1, 2, 3, size))


def test_usage_is_summed_by_what_is_asked() -> None:
    today = date(2026, 3, 14)
    groups = [
        group(today, "CT", StorageTier.FREQUENT_ACCESS, 10),
        group(today - timedelta(days=1), "MR", StorageTier.ARCHIVE_INSTANT_ACCESS, 30),
        group(today - timedelta(days=400), "CT", StorageTier.ARCHIVE_INSTANT_ACCESS, 5, is_primary=False),
    ]
    imports = [ImportDay(today, 1, 1, 0, 7, 2), ImportDay(today, 1, 0, 1, 0, 1)]
    usage = Usage(datetime(2026, 3, 14, 9, tzinfo=UTC), groups, 2, imports)
    assert usage.total == Amount(3, 6, 9, 45)
    assert usage.primary == Amount(2, 4, 6, 40)
    assert {name: amount.bytes for name, amount in usage.by_modality.items()} == {"MR": 30, "CT": 15}
    grown = list(usage.growth(3))
    assert [(day.day.day, day.added.bytes, day.total.bytes) for day in grown] == [
        (12, 0, 5),
        (13, 30, 35),
        (14, 10, 45),
    ]
    assert list(usage.import_days(2)) == [ImportDay(today - timedelta(days=1)), ImportDay(today, 2, 1, 1, 7, 3)]
