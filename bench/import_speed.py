"""Import of a CT series against the codec alone on the same frames in as many processes.

codec alone ─┐
import job  ─┴─ in turn, several rounds ─▶ medians ─▶ ratio, and where the rest goes
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from sqlalchemy import select

from bench import codec
from bench.corpus import link_into, write_ct_series
from bench.costs import CODEC, WHOLE, costs_per_file
from bench.processes import Cost, processor_seconds
from bench.report import Report, median, median_ratio
from bench.scale import Run
from bench.server import Server
from hounsfield.imaging.imports.batches import FILES_PER_SHARE
from hounsfield.storage.db.job_tables import import_jobs

LIMIT = 1.35


def run(setting: Run, report: Report) -> None:
    """Measure the import of a CT series."""
    count = setting.scale.series_instances
    paths = write_ct_series(setting.corpus / "ct", count)
    folder = setting.folder("import-speed")
    frames = codec.write_frames(folder / "frames.npy", count)
    codec.check_same_as_import()
    processes = os.cpu_count() or 1
    report.note(f"{count} CT files of 512 × 512, {processes} processes each way, rounds in turn, medians")
    with (
        Server(folder / "data", import_workers=processes) as server,
        ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool,
    ):
        server.put("warm", paths[: 2 * processes])
        server.put("series", paths)
        server.import_prefix(server.datastore(), "warm")
        list(pool.map(codec.work, [frames] * processes, range(processes), range(1, processes + 1)))
        alone, imports, phases = [], [], []
        for _ in range(setting.scale.rounds):
            os.sync()
            alone.append(_codec_alone(pool, processes, frames, count))
            os.sync()
            datastore_id = server.datastore()
            before = processor_seconds(server.pid)
            job = server.import_prefix(datastore_id, "series")
            imports.append(Cost(job.seconds, processor_seconds(server.pid) - before))
            phases.append(_phases(server, datastore_id, job.job_id))
        _figures(report, alone, imports)
        costs = _costs(setting, pool, processes, paths, folder)
    _phase_figures(report, phases)
    _table(report, costs, median([taken.processor for taken in imports]) / count)
    report.details.update(
        codec=[vars(taken) for taken in alone], imports=[vars(taken) for taken in imports], phases=phases
    )


def _codec_alone(pool: ProcessPoolExecutor, processes: int, frames: Path, count: int) -> Cost:
    step = max(1, min(FILES_PER_SHARE, count // (processes * 8)))
    firsts = range(0, count, step)
    lasts = [min(count, first + step) for first in firsts]
    begin = time.perf_counter()
    processor = sum(pool.map(codec.work, [frames] * len(firsts), firsts, lasts))
    return Cost(time.perf_counter() - begin, processor)


def _phases(server: Server, datastore_id: str, job_id: str) -> dict[str, float]:
    """Cut the time of a job by the time stamps of its row and of its last pack."""
    image_store = server.image_store()
    with image_store.database.read() as connection:
        row = connection.execute(select(import_jobs).where(import_jobs.c.id == job_id)).one()
    image_store.database.close()
    packs = server.settings.data / "blobs" / "packs" / datastore_id
    last_pack = max(path.stat().st_mtime for path in packs.rglob("*") if path.is_file())
    return {
        "claim and scan": (row.scanned_at - row.submitted_at) / 1000,
        "transcode, to the last pack": last_pack - row.scanned_at / 1000,
        "organise, output files, commit": row.ended_at / 1000 - last_pack,
    }


def _figures(report: Report, alone: Sequence[Cost], imports: Sequence[Cost]) -> None:
    report.figure("codec alone, wall time", median([taken.wall for taken in alone]), "s")
    report.figure("import, submitted to COMPLETED, wall time", median([taken.wall for taken in imports]), "s")
    ratio = median_ratio([taken.wall for taken in imports], [taken.wall for taken in alone])
    report.figure("wall time, import / codec alone", ratio, "×", LIMIT)
    report.figure("codec alone, processor time", median([taken.processor for taken in alone]), "s")
    report.figure("import, processor time of all processes", median([taken.processor for taken in imports]), "s")
    ratio = median_ratio([taken.processor for taken in imports], [taken.processor for taken in alone])
    report.figure("processor time, import / codec alone", ratio, "×")


def _phase_figures(report: Report, phases: Sequence[dict[str, float]]) -> None:
    for name in phases[0]:
        report.figure(f"phase: {name}", median([phase[name] for phase in phases]), "s")


def _costs(
    setting: Run, pool: ProcessPoolExecutor, processes: int, paths: list[Path], folder: Path
) -> dict[str, float]:
    """Time the steps in all processes at once, so that they get in each other's way as in an import."""
    sample = paths[: setting.scale.sampled_files]
    link_into(folder / "sample", sample)
    names = [path.name for path in sample]
    places = [folder / f"packs-{number}" for number in range(processes)]
    found = list(pool.map(costs_per_file, places, [folder / "sample"] * processes, [names] * processes))
    return {step: median([costs[step] for costs in found]) for step in found[0]}


def _table(report: Report, costs: dict[str, float], import_seconds: float) -> None:
    """Print the steps of one file, with their share of the processor time that a file takes in the import."""
    report.note("processor time of one file by steps, measured in all processes at once, and its share in the import")
    whole = costs[WHOLE]
    rows = [(step, seconds) for step, seconds in sorted(costs.items(), key=lambda entry: -entry[1]) if step != WHOLE]
    rows += [(WHOLE, whole), ("runner, API process, hand-over", import_seconds - whole)]
    for step, seconds in rows:
        kind = "codec" if step in CODEC else ""
        print(f"    {kind:<6}{step:<44} {seconds * 1000:>8.3f} ms {seconds / import_seconds:>7.1%}")
    report.details.update(seconds_per_file=costs, import_seconds_per_file=import_seconds)
