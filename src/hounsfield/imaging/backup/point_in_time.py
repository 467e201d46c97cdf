"""Point in time: a generation is brought forward to a later moment by the journal.

    newest generation up to the moment ─▶ tables ─┐
    the next one, or the newest ─▶ its journal ───┴─▶ changes up to the moment, in the same transaction ─▶ indexes
                                └─▶ its packs beside those of the first; what no row names then is removed

The journal has what image data is about. Users, roles, policies and keys are as the generation has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from hounsfield.imaging.backup.errors import BackupError, BackupIncompleteError
from hounsfield.imaging.backup.manifests import list_generations, read_manifest
from hounsfield.imaging.backup.place import BackupPlace
from hounsfield.imaging.rebuild.rebuilder import begin_replay, continue_journal, end_replay
from hounsfield.imaging.rebuild.replay import DatastoreSource, Loss, Replay, open_source
from hounsfield.imaging.rebuild.unnamed_records import note_unnamed_records
from hounsfield.storage.blobs.blobs import Blobs
from hounsfield.storage.clock import to_ms
from hounsfield.storage.db.journal_table import highest_sequence
from hounsfield.storage.journal.changes import ChangeRecord
from hounsfield.storage.journal.journal_reader import JournalReader
from hounsfield.storage.keys.data_key_cache import DataKeyCache


def choose_for_moment(place: BackupPlace, moment: datetime) -> tuple[str, str]:
    """Return the newest generation of a moment or before, and the one whose journal leads from there to the moment.

    Raises
    ------
    BackupIncompleteError
        There is no generation of that time or before.
    BackupError
        A manifest cannot be read.
    """
    until = to_ms(moment)
    complete, _ = list_generations(place)
    later = ""
    for generation in reversed(complete):
        try:
            found = read_manifest(place, generation)
        except BackupError:
            # It leads nowhere; older ones may do.
            continue
        if found.moment <= until:
            return generation, later or generation
        later = generation
    raise BackupIncompleteError(
        f"{place.name} holds no complete generation of {moment.isoformat()} or before; `hounsfield backup --list` lists them"
    )


@dataclass(slots=True)
class Forwarded:
    """What came of it: the sequence of the last change that was made, how many records were, and what could not be."""

    sequence: int = 0
    records: int = 0
    losses: list[Loss] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)


def bring_forward(
    connection: Connection,
    journal: Blobs,
    secret: bytes,
    packs: Blobs,
    wrapped_keys: Mapping[str, bytes],
    keys: DataKeyCache,
    moment: int,
    *,
    is_whole: bool,
) -> Forwarded:
    """Make the changes of a journal up to a moment, in the transaction that put the rows of a generation there.

    Parameters
    ----------
    connection : Connection
        In that transaction.
    journal : Blobs
        Where the segments are.
    secret : bytes
        The journal key.
    packs : Blobs
        Where the packs are.
    wrapped_keys : Mapping of str to bytes
        The wrapped data key of each data store.
    keys : DataKeyCache
        Opens them.
    moment : int
        The moment, in milliseconds since 1970-01-01 UTC by the wall clock.
    is_whole : bool
        Whether the backup has all of the journal. Otherwise what no row names is not noted as to be erased: a record that is
        lost may have named it.
    """

    def source_of(datastore_id: str) -> DatastoreSource:
        return open_source(datastore_id, wrapped_keys.get(datastore_id, b""), keys, packs)

    after = highest_sequence(connection)
    done = Forwarded(after)
    replay = Replay(packs, source_of, archived=False)
    last: ChangeRecord | None = None
    with JournalReader(journal, secret) as reader:
        begin_replay(connection)
        for record in reader.records(after, until_ms=moment):
            replay.apply(connection, record)
            last = record
            done.records += 1
        end_replay(connection, replay)
        if is_whole and not replay.losses and not reader.damage:
            note_unnamed_records(connection, replay)
        done.damage = [f"{found.segment}: {found.what}" for found in reader.damage]
    if last is not None:
        done.sequence = last.sequence
        continue_journal(connection, last)
    done.losses = list(replay.losses)
    return done
