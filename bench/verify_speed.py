"""Verification of a CT series against what it cannot do without: decoding each frame at each resolution, and a CRC-32 of each.

one file of stored frames ─▶ N processes: decode, CRC     ┐
data folder               ─▶ N processes: hounsfield verify┴─ in turn, several rounds, medians
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import imagecodecs
import orjson

from bench.corpus import write_ct_series
from bench.processes import cost_of
from bench.report import Report, median, median_ratio
from bench.scale import Run
from bench.server import BenchmarkError, Server
from hounsfield.imaging.datastores import fetch_key, get_datastore
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.verify.check_processes import CheckProcesses, start
from hounsfield.imaging.verify.passes import PassKind, begin_pass
from hounsfield.imaging.verify.scopes import Scope
from hounsfield.imaging.verify.verifier import Verifier
from hounsfield.runtime.rate_limit import RateLimit
from hounsfield.runtime.worker_pool import WorkerPool
from hounsfield.storage.blobs.packs import Label, RecordKind, pack_name, read_contents, read_records

LIMIT = 0.8
_FRAMES_AT_ONCE = 64

Place = tuple[int, int, tuple[int, ...]]
"""Offset and length of a frame in the file, and the checksums of its resolutions, the whole image first."""


def run(setting: Run, report: Report) -> None:
    """Measure a whole pass over a data folder."""
    count = setting.scale.series_instances
    folder = setting.folder("verify-speed")
    with Server(folder / "data") as server:
        server.put("series", write_ct_series(setting.corpus / "ct", count))
        datastore_id = server.datastore()
        server.import_prefix(datastore_id, "series")
    image_store = server.image_store()
    try:
        frames = folder / "frames"
        places = _write_frames(image_store, datastore_id, frames)
        if len(places) != count:
            raise BenchmarkError(f"{len(places)} frames were found, {count} were imported")
        processes = os.cpu_count() or 1
        pool, checkers = WorkerPool(processes, start), CheckProcesses(processes)
        pure, passes = [], []
        try:
            # The first round waits for the processes to start.
            for _ in range(setting.scale.rounds + 1):
                pure.append(cost_of(lambda: _decode_all(pool, frames, places)))
                passes.append(cost_of(lambda: _verify_all(checkers, image_store)))
            del pure[0], passes[0]
        finally:
            pool.close()
            checkers.close()
    finally:
        image_store.database.close()
    stored = sum(length for _, length, _ in places)
    report.note(
        f"{count} frames of 512 × 512 pixels, {stored / 1e6:.0f} MB, on {processes} processes; medians of rounds in turn"
    )
    report.figure("decoding and CRC alone, processor time", median([c.processor for c in pure]) / count * 1000, "ms")
    report.figure("verify, processor time of a frame", median([c.processor for c in passes]) / count * 1000, "ms")
    report.figure("verify, frames a second", count / median([c.wall for c in passes]), "1/s")
    report.figure(
        "speed of verify / of decoding and CRC alone, by processor time",
        median_ratio([c.processor for c in pure], [c.processor for c in passes]),
        "×",
        LIMIT,
        at_most=False,
    )
    report.figure("– by wall time", median_ratio([c.wall for c in pure], [c.wall for c in passes]), "×")
    report.details.update(
        alone=[[c.wall, c.processor] for c in pure], verify=[[c.wall, c.processor] for c in passes], frames=count
    )


def _write_frames(image_store: ImageStore, datastore_id: str, path: Path) -> list[Place]:
    """Write all stored frames of a data store into one file."""
    key = fetch_key(image_store, get_datastore(image_store, datastore_id))
    places: list[Place] = []
    with path.open("wb") as file:
        for name in sorted(image_store.blobs.names(f"packs/{datastore_id}/")):
            pack_id = Path(name).name
            if name != pack_name(datastore_id, pack_id):
                continue
            contents = dict(read_contents(image_store.blobs, key, pack_id))
            checksums: dict[Label, tuple[int, ...]] = {}
            for label, extent in contents.items():
                if label.kind is RecordKind.FRAGMENT:
                    document = orjson.loads(read_records(image_store.blobs, key, [(extent, label)])[0])
                    for ordinal, entry in enumerate(document["ImageFrames"]):
                        levels = entry["PixelDataChecksumFromBaseToFullResolution"]
                        found = tuple(level["Checksum"] for level in reversed(levels))
                        checksums[Label(RecordKind.FRAME, label.owner, ordinal)] = found
            for label, wanted in checksums.items():
                data = read_records(image_store.blobs, key, [(contents[label], label)])[0]
                places.append((file.tell(), len(data), wanted))
                file.write(data)
    return places


def _decode_all(pool: WorkerPool, path: Path, places: Sequence[Place]) -> None:
    shares = [places[start : start + _FRAMES_AT_ONCE] for start in range(0, len(places), _FRAMES_AT_ONCE)]
    for future in [pool.submit(decode_share, path, share)[1] for share in shares]:
        future.result()


def decode_share(path: Path, places: Sequence[Place]) -> None:
    """Decode some frames at each resolution, and compare the checksums."""
    with path.open("rb") as file:
        for offset, length, wanted in places:
            file.seek(offset)
            data = file.read(length)
            for halvings, checksum in enumerate(wanted):
                samples = imagecodecs.htj2k_decode(data, planar=False, skipres=halvings or None)
                if imagecodecs.deflate_crc32(samples) != checksum:
                    raise BenchmarkError("a frame has another checksum")


def _verify_all(processes: CheckProcesses, image_store: ImageStore) -> None:
    stop = threading.Event()
    verifier = Verifier(image_store, processes, pace=RateLimit(0, stop).wait, stop=stop)
    current = begin_pass(image_store, PassKind.COMMAND, Scope())
    for unit in verifier.walk(current):
        current = current.with_unit(unit.position, unit.counts, unit.findings)
    if current.findings:
        raise BenchmarkError(f"{len(current.findings)} findings, the first: {current.findings[0].line()}")
