"""Rebuild of a database that was lost: instances a second of processor time.

series of 100 instances with small records ─▶ packs, rows, journal, as they are stored ─▶ database deleted ─▶ hounsfield rebuild
"""

from __future__ import annotations

import gc
import time
from typing import Final

from pydicom.uid import generate_uid

from bench.report import Report, median
from bench.scale import Run
from bench.server import BenchmarkError
from hounsfield.bootstrap.image_store import open_image_store
from hounsfield.bootstrap.rebuild import rebuild_installation
from hounsfield.dicom.healthimaging.document import Levels
from hounsfield.imaging.datastores import (
    SETTLE_DATASTORE,
    DatastoreSettler,
    NewDatastore,
    create_datastore,
    fetch_key,
    get_datastore,
)
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.ingest.content import KnownSizes
from hounsfield.imaging.ingest.grouping import group_instances
from hounsfield.imaging.ingest.image_set_writer import plan_versions, read_existing_image_sets, write_versions
from hounsfield.imaging.instance_columns import read_columns
from hounsfield.imaging.levels import grouping_of, index_entry
from hounsfield.imaging.staged_instance import FrameRun, PackRange, PixelKind, StagedInstance
from hounsfield.settings import Settings
from hounsfield.storage.blobs.packs import Label, PackWriter, RecordKind
from hounsfield.storage.identifiers import new_id, new_instance_key
from hounsfield.storage.keys.data_key import DataKey

LIMIT: Final = 20_000
_SERIES_INSTANCES: Final = 100
_SERIES: Final = {"quick": 2, "real": 400}
_CT: Final = "1.2.840.10008.5.1.4.1.1.2"
_HTJ2K: Final = "1.2.840.10008.1.2.4.202"


def run(setting: Run, report: Report) -> None:
    """Measure rebuilds of a data folder."""
    count = _SERIES["quick" if setting.scale.quick else "real"]
    folder = setting.folder("rebuild-speed") / "data"
    settings = Settings(data=folder)
    _fill(settings, count)
    instances = count * _SERIES_INSTANCES
    walls, processors = [], []
    # As the command does after its imports.
    gc.freeze()
    for _ in range(min(3, setting.scale.rounds)):
        for path in folder.glob("hounsfield.db*"):
            path.unlink()
        wall, processor = time.monotonic(), time.process_time()
        made = rebuild_installation(settings)
        walls.append(time.monotonic() - wall)
        processors.append(time.process_time() - processor)
        if not made.is_whole or made.counts["instances"] != instances:
            raise BenchmarkError(f"the rebuild is not whole: {made.lines()}")
    report.note(f"{instances} instances in {count} image sets, a pack for each; medians of rounds")
    report.figure(
        "rebuild, instances a second of processor time", instances / median(processors), "1/s", LIMIT, at_most=False
    )
    report.figure("– by wall time", instances / median(walls), "1/s")
    report.details.update(wall=walls, processor=processors, instances=instances)


def _fill(settings: Settings, count: int) -> None:
    image_store, _ = open_image_store(settings)
    try:
        datastore_id = create_datastore(image_store, NewDatastore(new_id())).id
        settler = DatastoreSettler(image_store)
        while (item := image_store.queue.claim([SETTLE_DATASTORE], "bench")) is not None:
            settler.run(item)
        key = fetch_key(image_store, get_datastore(image_store, datastore_id))
        for number in range(count):
            _store(image_store, key, number)
        if image_store.database.recorder is not None:
            # What began the journal is brought into it by the first server.
            image_store.database.recorder.look()
    finally:
        image_store.database.close()


def _store(image_store: ImageStore, key: DataKey, number: int) -> None:
    """Store a series, as an import job does in the end."""
    staged = dict(enumerate(_series(image_store, key, number)))
    with image_store.database.write() as connection:
        existing = read_existing_image_sets(connection, key.datastore_id, list(staged.values()))
        plan = group_instances(list(staged.items()), existing)
        versions = plan_versions(connection, key, plan, staged, new_id(), KnownSizes())
        write_versions(connection, key, versions, staged)


def _series(image_store: ImageStore, key: DataKey, number: int) -> list[StagedInstance]:
    levels = Levels(
        {"PatientID": f"P{number}", "PatientName": f"Smith^{number}", "PatientSex": "F"},
        {"StudyDate": "20240229", "StudyID": "1", "StudyInstanceUID": generate_uid()},
        {"Modality": "CT", "SeriesInstanceUID": generate_uid(), "SeriesNumber": "1"},
    )
    writer = PackWriter(image_store.blobs, key)
    made: list[tuple[str, FrameRun]] = []
    for _ in range(_SERIES_INSTANCES):
        name = new_instance_key()
        frame = writer.add(Label(RecordKind.FRAME, name), bytes(256))
        made.append((name, FrameRun(0, writer.pack_id, frame.offset, (frame.length,))))
    places = {
        kind: [writer.add(Label(kind, name), bytes(3000)) for name, _ in made]
        for kind in (RecordKind.FRAGMENT, RecordKind.DATASET)
    }
    writer.close()
    found = []
    for at, (name, run_) in enumerate(made):
        fragment, dataset = places[RecordKind.FRAGMENT][at], places[RecordKind.DATASET][at]
        attributes = {"InstanceNumber": at + 1, "Rows": 512, "Columns": 512, "BitsAllocated": 16}
        found.append(
            StagedInstance(
                key=name,
                sop_uid=generate_uid(),
                sop_class_uid=_CT,
                grouping=grouping_of(index_entry(levels)),
                levels=levels.to_json().decode(),
                stored_transfer_syntax=_HTJ2K,
                pixel_kind=PixelKind.FRAMES,
                frame_count=1,
                pack_id=writer.pack_id,
                fragment=PackRange(fragment.offset, fragment.length),
                dataset=PackRange(dataset.offset, dataset.length),
                runs=(run_,),
                warnings=(),
                fragment_bytes=3000,
                index=read_columns(attributes),
            )
        )
    return found
