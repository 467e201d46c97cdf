"""The rebuilder: a new database is filled from packs and journal, and what could not be made again is reported."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Final

from sqlalchemy import Connection, func, insert, select, update

from hounsfield.imaging.rebuild.replay import DatastoreSource, Loss, Replay
from hounsfield.imaging.rebuild.unnamed_records import note_unnamed_records
from hounsfield.storage.blobs.blobs import Blobs
from hounsfield.storage.db.clock_table import steady_clock
from hounsfield.storage.db.database import Database
from hounsfield.storage.db.image_set_tables import (
    datastores,
    image_set_versions,
    image_sets,
    instances,
    secrets,
)
from hounsfield.storage.db.job_tables import import_jobs
from hounsfield.storage.db.journal_table import continue_sequence, journal_outbox
from hounsfield.storage.journal.changes import ChangeKind, ChangeRecord, pack_changes
from hounsfield.storage.journal.checkpoint_files import CheckpointReader
from hounsfield.storage.journal.journal_reader import JournalDamage, JournalReader

NOT_REBUILT: Final = (
    "users, roles, policies and access keys",
    "sessions and links of the console",
    "client tokens of earlier requests",
    "passes of verification",
    "anchors of the audit trail, whose files stay",
)
"""What packs and journal do not hold."""
_CHANGES_AT_ONCE: Final = 5000
_COUNTED: Final = {
    "datastores": datastores,
    "image_sets": image_sets,
    "versions": image_set_versions,
    "instances": instances,
    "import_jobs": import_jobs,
}


@dataclass(slots=True)
class RebuildReport:
    """What came of a rebuild.

    Attributes
    ----------
    counts : dict of str to int
        Rows that were made, records that were read, packs.
    losses : list of Loss
        What could not be made again.
    damage : list of JournalDamage
        What is wrong with the journal.
    seconds : float
        How long it took.
    """

    counts: dict[str, int] = field(default_factory=dict)
    losses: list[Loss] = field(default_factory=list)
    damage: list[JournalDamage] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def is_whole(self) -> bool:
        """Whether everything was made again."""
        return not self.losses and not self.damage

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "result": "rebuilt" if self.is_whole else "incomplete",
            "seconds": round(self.seconds, 3),
            "counts": self.counts,
            "losses": [
                {
                    "datastoreId": loss.datastore_id,
                    "imageSetId": loss.image_set_id,
                    "instanceKey": loss.instance_key,
                    "packId": loss.pack_id,
                    "what": loss.what,
                }
                for loss in self.losses
            ],
            "journalDamage": [{"segment": damage.segment, "what": damage.what} for damage in self.damage],
            "notRebuilt": list(NOT_REBUILT),
        }

    def lines(self) -> list[str]:
        """Return it in words."""
        counts = self.counts
        made = (
            f"rebuilt {counts['datastores']} data stores, {counts['image_sets']} image sets in {counts['versions']} versions, "
            f"{counts['instances']} instances and {counts['import_jobs']} import jobs "
            f"from {counts['packs']} packs and {counts['records']} records of the journal in {self.seconds:.1f} s"
        )
        lines = [made]
        # Of an image set there can be thousands; the document has each.
        told = Counter(replace(loss, instance_key="") for loss in self.losses)
        for loss, count in told.items():
            named = (("data store", loss.datastore_id), ("image set", loss.image_set_id), ("pack", loss.pack_id))
            where = ", ".join(f"{what} {name}" for what, name in named if name)
            times = f" ({count} instances)" if count > 1 else ""
            lines.append(f"not rebuilt: {where + ': ' if where else ''}{loss.what}{times}")
        lines += (f"journal: {damage.segment + ': ' if damage.segment else ''}{damage.what}" for damage in self.damage)
        lines.append(f"not in packs and journal: {'; '.join(NOT_REBUILT)}")
        return lines


def rebuild(
    database: Database,
    blobs: Blobs,
    reader: JournalReader,
    checkpoint: CheckpointReader | None,
    source_of: Callable[[str], DatastoreSource],
    *,
    archived: bool,
) -> RebuildReport:
    """Fill a new database.

    Parameters
    ----------
    database : Database
        Holds nothing but its tables.
    blobs : Blobs
        The packs.
    reader : JournalReader
        The journal.
    checkpoint : CheckpointReader or None
        What to begin with; None where there is no checkpoint.
    source_of : callable
        Gives what a data store is made of.
    archived : bool
        Whether packs can be in two places.
    """
    began = time.monotonic()
    replay = Replay(blobs, source_of, archived=archived)
    report = RebuildReport()
    with database.write() as connection:
        begin_replay(connection)
    base = 0 if checkpoint is None else checkpoint.name.base
    before = iter(()) if checkpoint is None else checkpoint.records()
    for some in _in_batches(chain(before, reader.records(base))):
        with database.write() as connection:
            for record in some:
                replay.apply(connection, record)
            replay.write_waiting(connection)
        report.counts["records"] = report.counts.get("records", 0) + len(some)
    with database.write() as connection:
        end_replay(connection, replay)
        continue_journal(connection, _last_record(reader, base))
        for name, table in _COUNTED.items():
            report.counts[name] = int(connection.execute(select(func.count()).select_from(table)).scalar_one())
    for datastore_id, source in replay.sources.items():
        report.counts["packs"] = report.counts.get("packs", 0) + source.places.pack_count
        report.losses += (
            Loss(f"the pack cannot be read: {why}", datastore_id, pack_id=pack_id)
            for pack_id, why in source.places.damaged.items()
        )
    report.counts = {"records": 0, "packs": 0} | report.counts
    report.losses += replay.losses
    report.damage += reader.damage
    if checkpoint is None and not reader.begins_with_database:
        report.damage.append(JournalDamage("", "it does not go back to the beginning of the installation"))
    report.damage += (
        JournalDamage("", f"records {first} to {last} are not there") for first, last in reader.missing(max(base, 1))
    )
    if report.is_whole:
        with database.write() as connection:
            note_unnamed_records(connection, replay)
    report.seconds = time.monotonic() - began
    return report


def write_installation_secrets(connection: Connection, wrapped: Mapping[str, bytes]) -> None:
    """Write the secrets of the installation, wrapped as they stand beside the packs, so that it is the one it was."""
    connection.execute(insert(secrets), [{"name": name, "wrapped": value} for name, value in wrapped.items()])


def _in_batches(records: Iterator[ChangeRecord]) -> Iterator[list[ChangeRecord]]:
    """Put records together that are made in one transaction."""
    some: list[ChangeRecord] = []
    size = 0
    for record in records:
        some.append(record)
        size += sum(len(change[-1]) if change[0] == ChangeKind.BEGUN else 1 for change in record.changes)
        if size >= _CHANGES_AT_ONCE:
            yield some
            some, size = [], 0
    if some:
        yield some


def _last_record(reader: JournalReader, base: int) -> ChangeRecord:
    last = next(iter(reader.records(reader.last_sequence - 1)), None)
    if last is None or last.sequence < base:
        # A checkpoint that is the last there is: a record of nothing keeps its place.
        return ChangeRecord(base, 0, 0, [])
    return last


def continue_journal(connection: Connection, last: ChangeRecord) -> None:
    """Let the journal go on behind a record: its row is the one that the sequence is counted from."""
    content = pack_changes(last.changes, last.wall_ms, last.steady_ms)
    connection.execute(journal_outbox.delete())
    connection.execute(insert(journal_outbox).values(sequence=last.sequence, content=content))
    continue_sequence(connection)


def _indexes_of(*tables: Any) -> Sequence[Any]:
    # The one that rows of instances are found by meanwhile.
    return [
        index for table in tables for index in sorted(table.indexes, key=str) if index.name != "ix_instances_image_set"
    ]


def begin_replay(connection: Connection) -> None:
    """Remove the indexes that rows are only searched by: until `end_replay` rows may say what indexes forbid."""
    for index in (*_indexes_of(image_sets), *_indexes_of(instances)):
        index.drop(connection)


def end_replay(connection: Connection, replay: Replay) -> None:
    """Make the indexes, and what follows from the changes that were made."""
    replay.write_waiting(connection)
    # What is made of the changes tells when it was made.
    connection.execute(update(steady_clock).where(steady_clock.c.ms < replay.latest_ms).values(ms=replay.latest_ms))
    for index in _indexes_of(instances):
        index.create(connection)
    replay.derive_image_sets(connection)
    for index in _indexes_of(image_sets):
        index.create(connection)
    replay.derive_others(connection)
