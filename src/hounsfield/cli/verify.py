"""``hounsfield verify``: everything that is stored is as it was written.

options ─▶ pass, begun or gone on with ─▶ walk ─▶ saved again and again ─▶ audit trail ─▶ report, exit code
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from hounsfield.bootstrap.audit_verification import verify_audit_trail
from hounsfield.bootstrap.backup import backup_location
from hounsfield.bootstrap.cluster import FALL_BACK_SECONDS, open_cluster, pool_of
from hounsfield.cli.audit_record import record_command
from hounsfield.cli.installation import InvalidError
from hounsfield.cli.long_work import NotCarriedOutError, opened_installation, stopped_by_signals
from hounsfield.cli.output import Output
from hounsfield.imaging.backup.errors import BackupError
from hounsfield.imaging.backup.manifests import read_mark
from hounsfield.imaging.backup.pack_repair import PackRepairer, Repair, RepairSource
from hounsfield.imaging.backup.place import BackupPlace
from hounsfield.imaging.errors import NotFoundError
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.verify.check_processes import CheckProcesses
from hounsfield.imaging.verify.findings import Finding, FindingKind
from hounsfield.imaging.verify.passes import (
    Pass,
    PassKind,
    PassState,
    begin_pass,
    find_unfinished,
    list_passes,
    save_pass,
)
from hounsfield.imaging.verify.reports import report_json, report_lines, result_of, status_line
from hounsfield.imaging.verify.scopes import Sample, Scope
from hounsfield.imaging.verify.verifier import Verifier
from hounsfield.jobs.runner import StoppedError
from hounsfield.runtime.rate_limit import RateLimit
from hounsfield.settings import Settings
from hounsfield.storage.blobs.blobs import BlobsUnreachableError
from hounsfield.storage.clock import now_ms
from hounsfield.storage.db.errors import DatabaseDamagedError, DatabaseTroubleError
from hounsfield.storage.identifiers import new_id
from hounsfield.storage.keys.master_keys import LocalKeyring

if TYPE_CHECKING:
    # What it needs is installed only where there is a cluster.
    from hounsfield.runtime.cluster.remote_pool import RemotePool

EXIT_CODES: Final = {"intact": 0, "damaged": 1, "incomplete": NotCarriedOutError.exit_code}
"""Exit codes by results; 2 is for options that cannot be."""
SOURCE: Final = "medical-imaging.amazonaws.com"
"""Service that repairs are recorded under."""
REPAIRED: Final = "RepairPacks"
_SAVE_SECONDS: Final = 2.0
_ID: Final = re.compile(r"[0-9a-f]{32}")


def parse_scope(datastore: str | None, image_set: str | None, sample: str | None) -> Scope:
    """Return what is to be verified; raises `InvalidError`."""
    for name, value in (("--datastore", datastore), ("--image-set", image_set)):
        if value is not None and not _ID.fullmatch(value):
            raise InvalidError(f"{name} {value!r} is no id: it has 32 hexadecimal digits")
    if image_set is not None and sample is not None:
        raise InvalidError("--sample and --image-set exclude each other")
    if sample is not None:
        try:
            Sample.parse(sample)
        except ValueError as error:
            raise InvalidError(f"--sample: {error}") from error
    return Scope(datastore or "", image_set or "", sample or "")


@dataclass(frozen=True, slots=True)
class RepairOrder:
    """What is to be done about damaged packs: nothing, or healing them, from a backup too.

    Attributes
    ----------
    wanted : bool
        Whether they are.
    backup : str or None
        Folder or URL of the backup.
    """

    wanted: bool = False
    backup: str | None = None

    def check(self) -> None:
        """Raise `InvalidError` for a backup without anything to do."""
        if self.backup is not None and not self.wanted:
            raise InvalidError("--from is for --repair")


def verify(
    data: Path,
    scope: Scope,
    repair: RepairOrder,
    *,
    rate: int,
    processes: int | None,
    resume: bool,
    output: Output,
) -> int:
    """Verify an installation, repair what is to be, print the report, and return the exit code.

    Raises
    ------
    NotCarriedOutError
        There is no installation, or it cannot be opened; or what is to be verified is not there.
    """
    with opened_installation(data) as (settings, image_store, keyring), stopped_by_signals() as stop:
        current = find_unfinished(image_store, PassKind.COMMAND, scope) if resume else None
        if current is None:
            current = begin_pass(image_store, PassKind.COMMAND, scope)
        cluster = None if processes else _joined_cluster(settings)
        checkers = CheckProcesses(processes or os.cpu_count() or 1, cluster=cluster)
        try:
            verifier = Verifier(image_store, checkers, pace=RateLimit(rate, stop).wait, stop=stop)
            current = _run(settings, image_store, keyring, verifier, current)
            repairs: list[Repair] = []
            if repair.wanted and current.state is PassState.ENDED and current.damages:
                with record_command(
                    settings, image_store.database, keyring, click.get_current_context(), SOURCE, REPAIRED
                ):
                    current = _repair(settings, image_store, verifier, current, repair, repairs)
        finally:
            checkers.close()
            if cluster is not None:
                cluster.close()
        document = report_json(current)
        if repair.wanted:
            document["repairs"] = [one.to_json() for one in repairs]
        output.say(document, [*(one.line() for one in repairs), *report_lines(current)])
        return EXIT_CODES[result_of(current)]


def _repair(
    settings: Settings,
    image_store: ImageStore,
    verifier: Verifier,
    current: Pass,
    order: RepairOrder,
    repairs: list[Repair],
) -> Pass:
    """Heal packs, adding what became of each, and return the pass with what is still wrong."""
    try:
        backups = []
        if order.backup is not None:
            place = BackupPlace(backup_location(settings, order.backup), make=False)
            if read_mark(place) is None:
                raise NotCarriedOutError(f"{place.name} holds no backup of Hounsfield; nothing was repaired")
            backups.append(RepairSource(place.name, place.blobs))
        repairs.extend(PackRepairer(image_store, backups).repair(current.findings))
    except BackupError as error:
        raise NotCarriedOutError(f"{error}; nothing was repaired") from error
    except OSError as error:
        raise NotCarriedOutError(f"{error}; run the command again, what was healed stays") from error
    healed = {(one.datastore_id, one.pack_id) for one in repairs if one.is_healed}
    left = {one for one in current.findings if (one.datastore_id, one.pack_id) not in healed}
    # Healed is what verifies now.
    for image_set_id in sorted({each for one in repairs if one.is_healed for each in one.image_set_ids}):
        again = Pass(new_id(), PassKind.COMMAND, Scope(image_set_id=image_set_id), now_ms(), 0)
        left.update(finding for unit in verifier.walk(again) for finding in unit.findings)
    unlisted = current.counts["findings"] - len(current.findings)
    counts = Counter({**current.counts, "findings": len(left) + unlisted})
    current = dataclasses.replace(current, findings=tuple(sorted(left)), counts=counts)
    save_pass(image_store, current)
    return current


def show_status(data: Path, output: Output) -> None:
    """Print how the last passes stand; raises `NotCarriedOutError`."""
    with opened_installation(data) as (_, image_store, _):
        passes = list_passes(image_store)
        output.say([report_json(one) for one in passes], [status_line(one) for one in passes] or ["no pass yet"])


def _run(settings: Settings, image_store: ImageStore, keyring: LocalKeyring, verifier: Verifier, current: Pass) -> Pass:
    began, before = time.monotonic(), current.seconds
    saved = -math.inf
    try:
        for unit in verifier.walk(current):
            current = current.with_unit(unit.position, unit.counts, unit.findings)
            now = time.monotonic()
            current = dataclasses.replace(current, seconds=before + now - began)
            if now - saved >= _SAVE_SECONDS or unit.findings:
                save_pass(image_store, current)
                saved = now
        if current.scope.is_everything:
            findings, counts = verify_audit_trail(settings, image_store.database, keyring)
            current = current.with_unit(current.position, counts, findings)
        current = dataclasses.replace(current, state=PassState.ENDED, seconds=before + time.monotonic() - began)
    except StoppedError:
        pass
    except NotFoundError as error:
        raise NotCarriedOutError(str(error)) from error
    except DatabaseDamagedError as error:
        finding = Finding(kind=FindingKind.DATABASE_DAMAGED, what=str(error))
        return current.with_unit(current.position, Counter(), [finding])
    except BlobsUnreachableError as error:
        save_pass(image_store, current)
        raise NotCarriedOutError(f"{error}; `hounsfield verify --resume` goes on") from error
    except DatabaseTroubleError as error:
        raise NotCarriedOutError(f"{error}; `hounsfield verify --resume` goes on") from error
    save_pass(image_store, current)
    return current


def _joined_cluster(settings: Settings) -> RemotePool | None:
    """Return the workers of the cluster that the settings name, where there are any."""
    cluster = open_cluster(settings)
    if cluster is not None and not cluster.wait_ready(FALL_BACK_SECONDS):
        click.echo(f"The cluster is not used, processes of this machine are: {cluster.state.fault}", err=True)
    return pool_of(cluster, wait_seconds=FALL_BACK_SECONDS)
