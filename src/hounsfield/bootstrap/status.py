"""Status of an installation: what works, what waits, and what needs a person.

    locks, health route ─┐
    database             ├─▶ sections ─▶ facts for programs, lines for people, problems ─▶ exit code
    disks, keys, trail   ─┘

Each section is read by itself: one that cannot be read is a problem, and the others are shown. Nothing here names a patient.
"""

from __future__ import annotations

import dataclasses
import json
import platform
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from cryptography import x509
from sqlalchemy import func, select
from sqlalchemy.engine import make_url

from hounsfield.audit.chain_files import chain_files
from hounsfield.audit.s3_delivery import DeliveryProgress
from hounsfield.bootstrap.cluster import read_cluster_state
from hounsfield.bootstrap.folder_claim import API, RUNNER, read_holder
from hounsfield.bootstrap.image_store import read_cache_folder, written_folders
from hounsfield.bootstrap.installation import audit_folder
from hounsfield.bootstrap.server_file import read_server_url
from hounsfield.bootstrap.start_faults import database_file, database_key_file
from hounsfield.imaging.backup.runs import RunState, list_runs
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.imports.jobs import JobStatus
from hounsfield.imaging.search.usage import UsageReader
from hounsfield.imaging.tiering.compaction_status import read_compaction_status
from hounsfield.imaging.verify.passes import Pass, PassKind, PassState, list_passes
from hounsfield.imaging.verify.reports import result_of, status_line
from hounsfield.settings import Settings
from hounsfield.storage.blobs.read_cache import read_counts
from hounsfield.storage.clock import now_ms, to_datetime
from hounsfield.storage.db.image_set_tables import datastores
from hounsfield.storage.db.job_tables import import_jobs, work_items
from hounsfield.storage.db.journal_table import journal_outbox
from hounsfield.storage.db.orphan_pack_table import orphan_packs
from hounsfield.storage.db.schema import read_schema
from hounsfield.storage.free_space import DiskTrouble, read_disk_states
from hounsfield.storage.journal.checkpoint_files import checkpoint_names
from hounsfield.storage.keys.master_keys import LocalKeyring
from hounsfield.storage.keys.rotation import WrappedKeys

Facts: TypeAlias = "dict[str, Any]"
_ANSWER_SECONDS: Final = 5.0
_OVERDUE_SECONDS: Final = 600.0
"""How long a piece of work may wait for a runner before somebody should look."""
_MANY_ATTEMPTS: Final = 5
_LAST_FAILURES: Final = 5
_CERTIFICATE_DAYS: Final = 14
_BACKUP_DAYS: Final = 7
"""How old the last complete backup may be, once there was one."""
_JOURNAL_RECORDS: Final = 10_000
"""Records of the journal that may be in the database only; they are written every second."""
_DAY_MS: Final = 86_400_000
_REPLICA_SECONDS: Final = 2.0
"""How long the read replica is waited for to catch up."""
_REPLICA_LOOK_SECONDS: Final = 0.05
_LATEST_DELIVERY: Final = 12
"""Deliveries of the audit trail that may fail in a row, and the least time for it, before somebody should look."""
_LEAST_DELIVERY_SECONDS: Final = 3600.0


@dataclass(slots=True)
class StatusSection:
    """What is known of one side of an installation.

    Attributes
    ----------
    name : str
        What it is about.
    facts : dict
        For programs.
    lines : list of str
        For people.
    problems : list of str
        What needs a person, each with what to do.
    """

    name: str
    facts: Facts = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class OpenInstallation:
    """What the status is read from.

    Attributes
    ----------
    settings : Settings
        The installation.
    image_store : ImageStore
        Its stores.
    keyring : LocalKeyring
        Its master keys.
    """

    settings: Settings
    image_store: ImageStore
    keyring: LocalKeyring


def read_status(opened: OpenInstallation) -> Iterator[StatusSection]:
    """Yield the sections of the status, in their order."""
    for name, read in _SECTIONS.items():
        section = StatusSection(name)
        try:
            read(opened, section)
        except Exception as error:  # noqa: BLE001 - whatever keeps one section from being read must not hide the others
            section.problems.append(
                f"{name} cannot be read now: {type(error).__name__}; the log of the server may say why"
            )
        yield section


def describe_server(settings: Settings, section: StatusSection) -> None:
    """Say which processes have the data folder, and what they answer; needs neither keys nor a database."""
    told = read_server_url(settings.data)
    holders = {part: read_holder(settings.data, part) for part in (API, RUNNER)}
    section.facts["version"] = version("hounsfield")
    section.facts["python"] = platform.python_version()
    section.facts["data"] = str(settings.data.absolute())
    section.lines.append(
        f"Hounsfield {version('hounsfield')}, Python {platform.python_version()}, {settings.data.absolute()}"
    )
    for part, holder in holders.items():
        section.facts[part] = (
            None if holder is None else {"pid": holder.pid, "host": holder.host, "version": holder.version}
        )
        if holder is not None:
            section.lines.append(f"{part}: process {holder.pid} on {holder.host}, version {holder.version}")
            if holder.version != version("hounsfield"):
                section.problems.append(
                    f"the {part} that runs is version {holder.version}, and {version('hounsfield')} is installed: restart it"
                )
    if told is not None:
        _describe_answer(settings, told, section, holders[API] is not None)
    elif not any(holders.values()):
        section.facts["running"] = None if settings.database_url else False
        section.lines.append("no server of this folder runs on this machine")
    if not settings.database_url and holders[API] is not None and holders[RUNNER] is None:
        section.problems.append(
            "no runner has the data folder, so import jobs and changes wait: start `hounsfield runner`"
        )


def _describe_answer(settings: Settings, url: str, section: StatusSection, running: bool) -> None:
    try:
        ready, reasons = _ask(settings, f"{url}/readyz")
    except ssl.SSLCertVerificationError as error:
        section.facts.update({"url": url, "running": True, "ready": None, "reasons": []})
        section.problems.append(
            f"{url} runs, but the certificate that it shows is refused: {error.verify_message}; put a valid certificate and "
            "its key there, they are taken at once"
        )
        return
    section.facts.update({"url": url, "running": running, "ready": ready, "reasons": reasons})
    if ready:
        section.lines.append(f"{url} answers, and is ready")
    elif reasons:
        section.problems.append(f"{url} is not ready: {', '.join(reasons)}; its log says more")
    elif running or settings.database_url:
        section.problems.append(f"{url} does not answer within {_ANSWER_SECONDS:.0f} s; its log says why")
    else:
        section.problems.append(
            f"the server of {url} was not stopped in order, and does not run: start it; its log says why it ended"
        )


def _ask(settings: Settings, url: str) -> tuple[bool, list[str]]:
    """Return whether a server is ready, and why not; nothing where it does not answer."""
    context = None if settings.tls is None else settings.tls.own_context()
    try:
        with urlopen(url, timeout=_ANSWER_SECONDS, context=context) as answer:  # noqa: S310 - of our own making
            return answer.status == 200, []
    except HTTPError as error:
        try:
            return False, [str(reason) for reason in json.loads(error.read(65_536))["reasons"]]
        except (ValueError, KeyError, TypeError, OSError):
            return False, [f"HTTP {error.code}"]
    except URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise error.reason from None
        return False, []
    except (OSError, HTTPException):
        return False, []


def _database(opened: OpenInstallation, section: StatusSection) -> None:
    settings = opened.settings
    with opened.image_store.database.read() as connection:
        revision, maker = read_schema(connection)
    section.facts.update({"schema": revision, "schema_made_by": maker})
    if settings.database_url:
        url = make_url(settings.database_url)
        kind = f"PostgreSQL {url.database} on {url.host}"
    else:
        log = opened.image_store.database.log
        log_bytes = log.stat().st_size if log is not None and log.exists() else 0
        sizes = {"bytes": database_file(settings).stat().st_size, "log_bytes": log_bytes}
        section.facts.update(sizes)
        kind = f"embedded, {_bytes(sizes['bytes'])}, write-ahead log {_bytes(sizes['log_bytes'])}"
    section.lines.append(f"{kind}; schema {revision}{'' if maker is None else f' made by version {maker}'}")
    replica = opened.image_store.database.replica
    if replica is not None:
        until = time.monotonic() + min(settings.database_replica_seconds, _REPLICA_SECONDS)
        while not (is_fresh := replica.is_fresh()) and time.monotonic() < until:
            time.sleep(_REPLICA_LOOK_SECONDS)
        section.facts["replica_is_used"] = is_fresh
        section.lines.append(f"read replica {'answers searches' if is_fresh else 'is not used'}")
        if not is_fresh:
            section.problems.append(
                f"the read replica of HOUNSFIELD_DATABASE_REPLICA_URL is not used ({replica.reason}), and searches ask the "
                "database itself: mend the replication"
            )


def _cache(opened: OpenInstallation, section: StatusSection) -> None:
    capacity = opened.settings.read_cache_bytes
    kept, counts = read_counts(read_cache_folder(opened.settings))
    reads = counts.hits + counts.misses
    ratio = round(counts.hits / reads, 3) if reads else None
    section.facts.update({"bytes": kept, "capacity_bytes": capacity, "hit_ratio": ratio, **dataclasses.asdict(counts)})
    if not reads:
        section.lines.append("nothing was read of packs in an object store")
        return
    section.lines.append(
        f"{_bytes(kept)} of {_bytes(capacity)}; {counts.hits} of {reads} reads of packs were answered here "
        f"({_bytes(counts.hit_bytes)}), the others by the object store ({_bytes(counts.missed_bytes)})"
    )


def _work(opened: OpenInstallation, section: StatusSection) -> None:
    columns = work_items.c
    now = opened.image_store.queue.clock.now()
    with opened.image_store.database.read() as connection:
        rows = connection.execute(
            select(columns.kind, columns.subject_id, columns.available_at, columns.lease_owner, columns.attempts)
        ).all()
    kinds: dict[str, Facts] = {}
    for row in rows:
        facts = kinds.setdefault(row.kind, {"leased": 0, "waiting": 0, "later": 0, "longest_wait_seconds": 0.0})
        if row.available_at > now:
            facts["leased" if row.lease_owner is not None else "later"] += 1
        else:
            facts["waiting"] += 1
            facts["longest_wait_seconds"] = max(facts["longest_wait_seconds"], (now - row.available_at) / 1000)
        if row.attempts >= _MANY_ATTEMPTS:
            section.problems.append(
                f"{row.kind} of {row.subject_id} was begun {row.attempts} times and never ended; the log of the runner says why"
            )
    section.facts["kinds"] = dict(sorted(kinds.items()))
    for kind, facts in sorted(kinds.items()):
        if facts["leased"] or facts["waiting"]:
            waits = (
                f", {facts['waiting']} wait, the longest {_age(facts['longest_wait_seconds'])}"
                if facts["waiting"]
                else ""
            )
            section.lines.append(f"{kind}: {facts['leased']} under way{waits}")
        if facts["longest_wait_seconds"] > _OVERDUE_SECONDS:
            section.problems.append(
                f"{kind} has waited {_age(facts['longest_wait_seconds'])} for a runner: see that one runs, and what it does"
            )
    section.lines = section.lines or ["nothing waits"]


def _disk(opened: OpenInstallation, section: StatusSection) -> None:
    archive = opened.image_store.archive_location
    folders = [*written_folders(opened.settings), *([Path(archive.folder)] if archive and archive.folder else [])]
    floor = opened.settings.free_space_floor_bytes
    states = read_disk_states(folders)
    section.facts["floor_bytes"] = floor
    section.facts["file_systems"] = [
        {
            "folder": str(state.folder),
            "total_bytes": state.total_bytes,
            "free_bytes": state.free_bytes,
            "free_files": state.free_files,
            "read_only": state.is_read_only,
        }
        for state in states
    ]
    for state in states:
        section.lines.append(f"{state.folder}: {_bytes(state.free_bytes)} of {_bytes(state.total_bytes)} free")
        trouble = state.trouble(floor)
        if trouble is DiskTrouble.READ_ONLY:
            section.problems.append(
                f"{state.folder} is read-only, so nothing is stored: see the log of the system, then mount it anew"
            )
        elif trouble is DiskTrouble.FULL:
            section.problems.append(
                f"{state.folder} has {_bytes(state.free_bytes)} left, below HOUNSFIELD_FREE_SPACE_FLOOR_BYTES or without "
                "room for files, so nothing is stored: make room outside the data folder, or enlarge the disk"
            )
    if floor:
        section.lines.append(f"nothing is stored where less than {_bytes(floor)} is free")


def _journal(opened: OpenInstallation, section: StatusSection) -> None:
    with opened.image_store.database.read() as connection:
        count, last = connection.execute(select(func.count(), func.max(journal_outbox.c.sequence))).one()
    # The newest row stays in the table, so that sequences go on.
    behind = max(0, count - 1)
    section.facts.update({"last_sequence": last, "records_behind": behind})
    section.lines.append(f"{last or 0} records, {behind} of them in the database only")
    if behind > _JOURNAL_RECORDS:
        section.problems.append(
            f"{behind} records of the journal are in the database only: see that a server or runner works, and if its log says "
            "`the journal cannot be written`"
        )
    newest = next(iter(checkpoint_names(opened.image_store.new_blobs)), None)
    section.facts["checkpoint_sequence"] = None if newest is None else newest.base
    section.lines.append("no checkpoint" if newest is None else f"newest checkpoint at record {newest.base}")


def _backup(opened: OpenInstallation, section: StatusSection) -> None:
    runs = list_runs(opened.image_store.database)
    good = next((run for run in runs if run.state in {RunState.COMPLETE, RunState.LOST_PACKS}), None)
    for name, run in (("last", runs[0] if runs else None), ("last_complete", good)):
        section.facts[name] = (
            None
            if run is None
            else {
                "generation": run.id,
                "target": run.target,
                "state": run.state.value,
                "began": _moment(run.began_at),
                "updated": _moment(run.updated_at),
                "packs": run.packs,
                "bytes": run.bytes,
                "message": run.message,
            }
        )
    if not runs:
        section.lines.append("never backed up by `hounsfield backup`")
        return
    last = runs[0]
    section.lines.append(
        f"last {last.id} to {last.target}: {last.state.value}, {last.packs} packs, {_bytes(last.bytes)}"
    )
    if last.state is RunState.FAILED:
        section.problems.append(f"the last backup failed {_moment(last.updated_at)}: {last.message}")
    elif last.state is RunState.LOST_PACKS:
        section.problems.append(
            "the last backup lacks packs that this installation has lost: `hounsfield verify` names them"
        )
    if good is None or now_ms() - good.began_at > _BACKUP_DAYS * _DAY_MS:
        since = "ever" if good is None else f"since {_moment(good.began_at)}"
        section.problems.append(
            f"no backup was completed {since}: run `hounsfield backup`, or see why its timer does not"
        )


def _imports(opened: OpenInstallation, section: StatusSection) -> None:
    columns = import_jobs.c
    with opened.image_store.database.read() as connection:
        counts = {
            row[0]: row[1] for row in connection.execute(select(columns.status, func.count()).group_by(columns.status))
        }
        failed = connection.execute(
            select(columns.id, columns.datastore_id, columns.ended_at, columns.failed_files)
            .where(columns.status == JobStatus.FAILED.value)
            .order_by(columns.ended_at.desc())
            .limit(_LAST_FAILURES)
        ).all()
    section.facts["jobs"] = {status.value: counts.get(status.value, 0) for status in JobStatus}
    section.facts["last_failed"] = [
        {"job": row.id, "datastore": row.datastore_id, "ended": _moment(row.ended_at), "failed_files": row.failed_files}
        for row in failed
    ]
    section.lines.append(", ".join(f"{count} {name}" for name, count in section.facts["jobs"].items()))
    section.lines += [
        f"failed {_moment(row.ended_at)}: job {row.id} of data store {row.datastore_id}" for row in failed
    ]


def _stored(opened: OpenInstallation, section: StatusSection) -> None:
    with opened.image_store.database.read() as connection:
        states = {
            row[0]: row[1]
            for row in connection.execute(select(datastores.c.status, func.count()).group_by(datastores.c.status))
        }
        orphans = connection.execute(select(func.count()).select_from(orphan_packs)).scalar_one()
    usage = UsageReader(opened.image_store).read()
    total = usage.total
    section.facts.update(
        {
            "datastores": states,
            "image_sets": total.image_sets,
            "studies": usage.studies,
            "instances": total.instances,
            "frames": total.frames,
            "bytes": total.bytes,
            "orphan_packs": orphans,
        }
    )
    section.lines.append(
        f"{states.get('ACTIVE', 0)} data stores, {usage.studies} studies, {total.image_sets} image sets, "
        f"{total.instances} instances, {total.frames} frames, {_bytes(total.bytes)}"
    )
    if orphans:
        section.lines.append(f"{orphans} packs that no image set names")


def _compaction(opened: OpenInstallation, section: StatusSection) -> None:
    statuses = read_compaction_status(opened.image_store)
    section.facts["data_stores"] = [dataclasses.asdict(one) for one in statuses]
    section.facts["on"] = opened.settings.compaction_after_seconds > 0
    small, dead, old = (
        sum(getattr(one, name) for one in statuses) for name in ("small_packs", "dead_bytes", "waiting_packs")
    )
    section.lines.append(
        f"{small} packs below 64 MiB, {_bytes(dead)} to erase from packs that others use, {old} old packs to be deleted"
    )
    written, taken_in = (sum(getattr(one, name) for one in statuses) for name in ("bytes_written", "bytes_taken_in"))
    section.lines.append(f"{_bytes(written)} written so far for {_bytes(taken_in)} of small packs")
    latest = opened.image_store.queue.clock.now() - int(opened.settings.erase_after_seconds * 1000) - _DAY_MS
    late = sum(one.dead_since is not None and one.dead_since < latest for one in statuses)
    if late and section.facts["on"]:
        section.problems.append(
            f"released records of {late} data stores should have been erased a day ago: the log says what keeps it, "
            "such as a damaged pack, a key that is not there, or a full disk"
        )


def _verification(opened: OpenInstallation, section: StatusSection) -> None:
    passes = list_passes(opened.image_store)
    last: dict[PassKind, Pass] = {}
    for one in passes:
        last.setdefault(one.kind, one)
    section.facts["last"] = {
        kind.value: {
            "pass": one.id,
            "began": _moment(one.began_at),
            "updated": _moment(one.updated_at),
            "ended": one.state is PassState.ENDED,
            "result": result_of(one),
            "damages": one.damages,
            "not_looked_at": one.unchecked,
        }
        for kind, one in last.items()
    }
    section.lines += [status_line(one) for one in last.values()] or ["never verified"]
    newest = max(last.values(), key=lambda one: one.updated_at, default=None)
    if newest is not None and newest.damages:
        section.problems.append(
            f"verification found {newest.damages} damages: `hounsfield verify --status --json` names them"
        )
    days = opened.settings.verify_days
    ended = [one.updated_at for one in passes if one.kind is PassKind.BACKGROUND and one.state is PassState.ENDED]
    if days > 0 and ended and now_ms() - max(ended) > 2 * days * _DAY_MS:
        section.problems.append(
            f"the last full verification ended {_moment(max(ended))}, although HOUNSFIELD_VERIFY_DAYS is {days:g}: "
            "see that a runner runs, or allow more days"
        )


def _keys(opened: OpenInstallation, section: StatusSection) -> None:
    keyring = opened.keyring
    keys = WrappedKeys(opened.image_store.database, database_key_file(opened.settings))
    uses = keys.uses()
    current = keyring.current.id
    names = [key.id for key in keyring.keys]
    prepared = len(names) - 1 - names.index(current)
    old = sum(sum(counts.values()) for key, counts in uses.items() if key != current)
    since = keyring.current_since
    section.facts.update(
        {
            "master_keys": len(names),
            "current": current.hex(),
            "current_since": None if since is None else since.astimezone(UTC).isoformat(),
            "prepared": prepared,
            "wrapped_by_others": old,
            "key_service_keys": len(keys.service_uses()),
        }
    )
    section.lines.append(
        f"{len(names)} master keys, the current one {current.hex()[:8]}"
        f"{'' if since is None else f' since {since.astimezone(UTC):%Y-%m-%d}'}"
        f"{f', {prepared} prepared' if prepared else ''}"
    )
    if missing := [key for key in uses if key not in names]:
        section.problems.append(
            f"{len(missing)} master keys that wrap something are missing: put keys/master.json back; "
            "`hounsfield master-key list` names them"
        )
    elif old:
        section.problems.append(f"an older master key still wraps {old} keys: run `hounsfield master-key rotate` again")


def _audit(opened: OpenInstallation, section: StatusSection) -> None:
    settings, folder = opened.settings, audit_folder(opened.settings)
    files = list(chain_files(folder))
    section.facts.update({"files": len(files), "bytes": sum(file.path.stat().st_size for file in files)})
    section.lines.append(f"{len(files)} files, {_bytes(section.facts['bytes'])}")
    if not settings.audit_s3_uri:
        section.facts["delivery"] = None
        return
    progress = DeliveryProgress.read(folder)
    late = [file.path.stat().st_mtime for file in files if not progress.has(file)]
    behind = max(0.0, time.time() - min(late)) if late else 0.0
    section.facts["delivery"] = {"files_behind": len(late), "seconds_behind": round(behind)}
    section.lines.append(f"delivery: {len(late)} files not to their end" if late else "delivery: all is delivered")
    if behind > max(_LEAST_DELIVERY_SECONDS, _LATEST_DELIVERY * settings.audit_s3_seconds):
        section.problems.append(
            f"the audit trail has not been delivered for {_age(behind)}: `hounsfield audit deliver` says why"
        )


def _certificate(opened: OpenInstallation, section: StatusSection) -> None:
    tls = opened.settings.tls
    if tls is None:
        section.lines.append("no TLS: plain HTTP")
        section.facts["ends"] = None
        return
    ends = x509.load_pem_x509_certificates(tls.certificate.read_bytes())[0].not_valid_after_utc
    section.facts["ends"] = ends.isoformat()
    section.lines.append(f"{tls.certificate}, valid until {ends:%Y-%m-%dT%H:%M:%SZ}")
    left = ends - datetime.now(UTC)
    if left < timedelta(days=_CERTIFICATE_DAYS):
        when = f"ended {ends:%Y-%m-%d}" if left < timedelta(0) else f"ends in {left.days} days"
        section.problems.append(f"the certificate {tls.certificate} {when}: put a new one there, it is taken at once")


def _executor(opened: OpenInstallation, section: StatusSection) -> None:
    settings = opened.settings
    state = read_cluster_state(settings)
    if state is None:
        section.facts["kind"] = "processes"
        section.lines.append("processes of the machines of the servers")
        return
    workers = [dataclasses.asdict(worker) for worker in state.workers]
    section.facts.update(
        {"kind": "dask", "scheduler": state.scheduler, "dashboard": state.dashboard or None, "threads": state.threads}
    )
    section.facts["workers"] = workers
    section.lines.append(
        f"Dask scheduler {state.scheduler}{f', dashboard {state.dashboard}' if state.dashboard else ''}"
    )
    for worker in state.workers:
        fit = "is asked" if worker.fault is None else "gets no work" if worker.fault else f"{worker.threads} threads"
        section.lines.append(f"worker {worker.name}: {fit}")
        if worker.fault:
            section.problems.append(f"the worker {worker.name} at {worker.address} gets no work: {worker.fault}")
    if state.fault:
        section.problems.append(
            f"the Dask cluster at {state.scheduler} is not used, and import jobs wait: {state.fault}; "
            "see that its scheduler and workers run"
        )


def _server(opened: OpenInstallation, section: StatusSection) -> None:
    describe_server(opened.settings, section)


_SECTIONS: Final[Mapping[str, Callable[[OpenInstallation, StatusSection], None]]] = {
    "server": _server,
    "database": _database,
    "work": _work,
    "imports": _imports,
    "executor": _executor,
    "stored": _stored,
    "disk": _disk,
    "cache": _cache,
    "journal": _journal,
    "backup": _backup,
    "compaction": _compaction,
    "verification": _verification,
    "keys": _keys,
    "audit": _audit,
    "certificate": _certificate,
}
"""How each section is read; the table of docs/reference/cli.md is compared with the names."""

SECTIONS: Final[Sequence[str]] = tuple(_SECTIONS)


def _bytes(number: int) -> str:
    size = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _age(seconds: float) -> str:
    for unit, name in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"


def _moment(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else f"{to_datetime(milliseconds):%Y-%m-%dT%H:%M:%SZ}"
