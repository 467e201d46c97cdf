"""Backup of an installation against a plain copy of its packs: ``cp -r`` and ``sync``.

packs of random bytes ─▶ cp -r, made durable       ┐
the same packs        ─▶ backup, with its manifest ┴─ in turn, several rounds, medians
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
import threading
from pathlib import Path

from sqlalchemy import select, update

from bench.corpus import write_ct_series
from bench.processes import cost_of
from bench.report import Report, median, median_ratio
from bench.scale import Run
from bench.server import BenchmarkError, Server
from hounsfield.bootstrap.backup import BackupOrder, back_up
from hounsfield.bootstrap.image_store import open_image_store
from hounsfield.imaging.backup.pruning import Retention
from hounsfield.imaging.backup.runs import RunState
from hounsfield.imaging.backup.wrapped_keys import KeyProtection
from hounsfield.imaging.image_store import ImageStore
from hounsfield.settings import Settings
from hounsfield.storage.blobs.packs import pack_name
from hounsfield.storage.db.image_set_tables import instances
from hounsfield.storage.identifiers import new_id

LIMIT = 0.7
_PACK_BYTES = 16 << 20


def run(setting: Run, report: Report) -> None:
    """Measure a backup that copies everything."""
    count, packs = (16, 2) if setting.scale.quick else (200, 64)
    folder = setting.folder("backup-speed")
    data, target, copy = folder / "data", folder / "backup", folder / "copy"
    with Server(data) as server:
        server.put("series", write_ct_series(setting.corpus / "ct", count))
        server.import_prefix(server.datastore(), "series")
    settings = Settings(data=data, free_space_floor_bytes=0)
    image_store, keyring = open_image_store(settings)
    try:
        _add_packs(image_store, data / "blobs", packs)
        stored = sum(path.stat().st_size for path in (data / "blobs/packs").rglob("*") if path.is_file())

        def backup() -> None:
            # Without the passphrase, as every backup but the first: to try one takes the same time whatever is copied.
            passphrase = None if target.exists() else "a passphrase of the bench"
            order = BackupOrder(KeyProtection(passphrase), anew=False, rate=0, retention=Retention())
            run, _ = back_up(settings, image_store, keyring, str(target), order, lambda *_: None, threading.Event())
            if run.state is not RunState.COMPLETE or run.bytes != stored:
                raise BenchmarkError(f"the backup is {run.state}, with {run.bytes} of {stored} bytes")

        def cp() -> None:
            subprocess.run(["cp", "-r", data / "blobs", copy], check=True)
            subprocess.run(["sync", "-f", copy], check=True)

        backup()
        copies, backups = [], []
        # The first round reads the packs into memory.
        for _ in range(setting.scale.rounds + 1):
            for part in ("packs", "generations", "grown"):
                shutil.rmtree(target / part)
            copies.append(cost_of(cp))
            shutil.rmtree(copy)
            backups.append(cost_of(backup))
        del copies[0], backups[0]
    finally:
        image_store.database.close()
    report.note(f"{stored / 1e6:.0f} MB in {packs} packs and those of {count} instances; medians of rounds in turn")
    report.figure("cp -r and sync", stored / 1e6 / median([cost.wall for cost in copies]), "MB/s")
    report.figure("backup with all its parts", stored / 1e6 / median([cost.wall for cost in backups]), "MB/s")
    report.figure(
        "speed of a backup / of cp -r, by wall time",
        median_ratio([cost.wall for cost in copies], [cost.wall for cost in backups]),
        "×",
        LIMIT,
        at_most=False,
    )
    report.figure(
        "– by processor time",
        median_ratio([cost.processor for cost in copies], [cost.processor for cost in backups]),
        "×",
    )
    report.details.update(
        cp=[[cost.wall, cost.processor] for cost in copies],
        backup=[[cost.wall, cost.processor] for cost in backups],
        bytes=stored,
    )


def _add_packs(image_store: ImageStore, blobs: Path, count: int) -> None:
    """Write packs of random bytes, each named by a row: what is in packs is nothing to a backup."""
    with image_store.database.write() as connection:
        rows = connection.execute(select(instances.c.key, instances.c.datastore_id).limit(count)).all()
        if len(rows) != count:
            raise BenchmarkError(f"there are {len(rows)} instances, {count} are needed")
        for key, datastore_id in rows:
            pack_id = new_id()
            path = blobs / pack_name(datastore_id, pack_id)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(secrets.token_bytes(_PACK_BYTES))
            connection.execute(update(instances).where(instances.c.key == key).values(dataset_pack_id=pack_id))
