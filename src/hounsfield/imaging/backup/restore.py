"""The restore of a generation into an empty folder, an empty database and an empty place of packs.

    manifest, keys ─▶ packs, each checked by its checksum ─▶ tables, one transaction ─▶ small and grown files
                                                                                     ─▶ checks ─▶ master.json, last

The master keys get their name last: until then no server starts there. What ends a restore early leaves a note, by which the
same restore goes on where it was; nothing that is there without such a note is ever written over.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson
from sqlalchemy import Connection, select, update

from hounsfield.imaging.backup.copying_threads import copy_by_threads
from hounsfield.imaging.backup.errors import BackupDamagedError, BackupError, BackupIncompleteError
from hounsfield.imaging.backup.grown_files import GrownFileReader, Part, read_parts
from hounsfield.imaging.backup.journal_copies import read_records, write_records
from hounsfield.imaging.backup.manifests import (
    BackupMark,
    Manifest,
    list_generations,
    read_manifest,
    read_mark,
)
from hounsfield.imaging.backup.named_packs import find_named_packs
from hounsfield.imaging.backup.pack_lists import parse_pack_list
from hounsfield.imaging.backup.place import BackupPlace, ObjectDigest, PackDigest, piece_bytes
from hounsfield.imaging.backup.point_in_time import bring_forward
from hounsfield.imaging.backup.sealed_objects import BackupKey
from hounsfield.imaging.backup.tables import count_rows, import_tables
from hounsfield.imaging.backup.wrapped_keys import KeyProtection, open_keys
from hounsfield.imaging.backup.writer import KEY_CONTEXT, Progress
from hounsfield.imaging.states import StorageTier
from hounsfield.jobs.runner import StoppedError
from hounsfield.storage.blobs.blobs import BlobMissingError, Blobs
from hounsfield.storage.blobs.location_marker import forget_location
from hounsfield.storage.db.database import Database, lift_time_limits
from hounsfield.storage.db.image_set_tables import blob_places, datastores, image_sets
from hounsfield.storage.db.journal_table import highest_sequence
from hounsfield.storage.db.schema import is_known, newest_revision
from hounsfield.storage.keys.data_key import KeyUnavailableError
from hounsfield.storage.keys.data_key_cache import DataKeyCache
from hounsfield.storage.keys.kms import is_of_service
from hounsfield.storage.keys.master_keys import KeyringContent, LocalKeyring
from hounsfield.storage.keys.pack_keys import write_pack_key

_THREADS: Final = 4


@dataclass(frozen=True, slots=True)
class ChosenGeneration:
    """A generation that is to be restored, with what opens it.

    Attributes
    ----------
    mark : BackupMark
        Whose backup it is.
    manifest : Manifest
        What it consists of.
    keyring : KeyringContent
        The master keys.
    key : BackupKey
        Opens its parts.
    """

    mark: BackupMark
    manifest: Manifest
    keyring: KeyringContent
    key: BackupKey


def choose_generation(place: BackupPlace, name: str | None) -> str:
    """Return the generation of a name, or the newest.

    Raises
    ------
    BackupIncompleteError
        There is none, or it is not complete.
    BackupError
        The place holds no backup.
    """
    if read_mark(place) is None:
        raise BackupIncompleteError(f"{place.name} holds no backup of Hounsfield")
    complete, begun = list_generations(place)
    if name is not None:
        if name in complete:
            return name
        what = "was cut short, and cannot be restored" if name in begun else "is not there"
        raise BackupIncompleteError(f"generation {name} {what}; {_listed(complete)}")
    if not complete:
        cut = f"; {len(begun)} were cut short" if begun else ""
        raise BackupIncompleteError(f"{place.name} holds no complete generation{cut}; {_listed(complete)}")
    return complete[-1]


def _listed(complete: list[str]) -> str:
    return f"complete are: {', '.join(complete[-10:])}" if complete else "none is complete"


def open_generation(
    place: BackupPlace, generation: str, protection: Callable[[bytes, str], KeyProtection]
) -> ChosenGeneration:
    """Open a generation with its keys.

    Parameters
    ----------
    place : BackupPlace
        Where it is.
    generation : str
        Its name.
    protection : callable
        Returns what opens the master keys, by the content and the name of their object.

    Raises
    ------
    BackupError
        A newer version wrote it, or its keys do not open.
    BackupDamagedError
        Something is not as it was written.
    BackupIncompleteError
        Something is not there.
    """
    mark = read_mark(place)
    manifest = read_manifest(place, generation)
    if mark is None or manifest.backup != mark.backup:
        raise BackupDamagedError(f"generation {generation} is of another backup than {place.name}")
    if not is_known(manifest.schema):
        raise BackupError(
            f"generation {generation} has tables of revision {manifest.schema}, this Hounsfield knows {newest_revision()}; "
            f"restore it with Hounsfield {manifest.software} or newer"
        )
    document = place.read(manifest.keys)
    keyring = open_keys(document, manifest.keys, mark.backup, protection(document, manifest.keys))
    try:
        secret = keyring.unwrap(manifest.wrapped_key, KEY_CONTEXT)
    except KeyUnavailableError as error:
        raise BackupDamagedError(
            f"the master keys in the backup do not open generation {generation}: {error}"
        ) from error
    key = BackupKey(secret)
    return ChosenGeneration(mark, read_manifest(place, generation, key), keyring, key)


@dataclass(slots=True)
class RestoreResult:
    """What a restore brought back.

    Attributes
    ----------
    packs, bytes : int
        Packs, and their bytes.
    rows : int
        Rows of all tables.
    records : int
        Records of the journal by which they were brought forward.
    problems : list of str
        What is not as it should be, for people.
    """

    packs: int = 0
    bytes: int = 0
    rows: int = 0
    records: int = 0
    problems: list[str] = field(default_factory=list)


class Restorer:
    """Brings a generation back, step by step.

    Parameters
    ----------
    place : BackupPlace
        Where the backup is.
    chosen : ChosenGeneration
        The generation.
    progress : callable
        Is told how far it is.
    stop : threading.Event
        Ends the work.
    later : ChosenGeneration or None
        The generation whose packs, journal and audit trail are taken too; None for no other.
    """

    def __init__(
        self,
        place: BackupPlace,
        chosen: ChosenGeneration,
        progress: Progress,
        stop: threading.Event,
        later: ChosenGeneration | None = None,
    ) -> None:
        self._place = place
        self._chosen = chosen
        self._later = later or chosen
        self._progress = progress
        self._stop = stop
        self.result = RestoreResult()
        self._piece = piece_bytes(place.location)
        self._grown_reader = GrownFileReader(place, chosen.key)

    def restore_packs(self, target: Blobs) -> None:
        """Copy the packs into their place; those that an earlier try brought there are read and checked instead.

        Raises
        ------
        BackupDamagedError
            The list of packs is not as it was written.
        OSError
            The place cannot be written, or the backup cannot be read.
        """
        manifest = self._chosen.manifest

        def ended(pack: tuple[str, PackDigest], problem: str | None) -> None:
            if problem is not None:
                self.result.problems.append(problem)
            else:
                self.result.packs += 1
                self.result.bytes += pack[1].size
            self._progress("packs", self.result.packs, manifest.packs)

        copy_by_threads(self._packs(), lambda pack: self._restore_pack(target, *pack), _THREADS, ended)
        if manifest.lost:
            self.result.problems.append(
                f"{manifest.lost} packs were lost already when the generation was made; "
                "`hounsfield verify` names their image sets"
            )

    def _packs(self) -> Iterator[tuple[str, PackDigest]]:
        seen: set[str] = set()
        for name, written in {**self._chosen.manifest.pack_lists, **self._later.manifest.pack_lists}.items():
            for pack, digest in parse_pack_list(self._open(name, written), name):
                if pack not in seen:
                    seen.add(pack)
                    yield pack, digest

    def _restore_pack(self, target: Blobs, name: str, written: PackDigest) -> str | None:
        """Copy one pack; gives what is wrong with it."""
        if self._is_there(target, name, written):
            return None
        code = self._chosen.key.begin_code(written.code)
        writer = target.create(name)
        try:
            for offset in range(0, written.size, self._piece):
                if self._stop.is_set():
                    raise StoppedError
                data = self._place.blobs.read(name, offset, min(self._piece, written.size - offset))
                code.update(data)
                writer.write(data)
            if not secrets.compare_digest(code.text(), written.code):
                return f"{name} of the backup is damaged, and was left out"
            writer.publish()
        except BlobMissingError:
            return f"{name} of the backup is missing or cut short, and was left out"
        finally:
            writer.abort()
        return None

    def _is_there(self, target: Blobs, name: str, written: PackDigest) -> bool:
        try:
            if target.size(name) != written.size:
                return False
            code = self._chosen.key.begin_code(written.code)
            for offset in range(0, written.size, self._piece):
                code.update(target.read(name, offset, min(self._piece, written.size - offset)))
        except BlobMissingError:
            return False
        return secrets.compare_digest(code.text(), written.code)

    def restore_tables(self, database: Database, then: Callable[[Connection], None] | None = None) -> None:
        """Put the rows into an empty database with tables of the newest schema, in one transaction.

        Parameters
        ----------
        database : Database
            The database.
        then : callable or None
            Does something more in the same transaction.

        Raises
        ------
        BackupDamagedError
            A part of the tables is not as it was written; nothing is there then.
        """
        manifest = self._chosen.manifest
        total = sum(manifest.rows.values())
        done = 0

        def progress(rows: int) -> None:
            nonlocal done
            if self._stop.is_set():
                raise StoppedError
            done += rows
            self._progress("rows", done, total)

        with database.write() as connection:
            lift_time_limits(connection)
            import_tables(connection, manifest.schema, self._chunks(), progress)
            if done != total:
                raise BackupDamagedError(
                    f"the tables in the backup have {done} rows, not the {total} of their manifest"
                )
            if manifest.schema == newest_revision() and count_rows(connection) != dict(manifest.rows):
                raise BackupDamagedError("the tables in the backup have other rows than their manifest says")
            _adapt_locations(connection)
            if then is not None:
                then(connection)
        self.result.rows = total

    def _chunks(self) -> Iterator[bytes]:
        for name, written in self._chosen.manifest.tables.items():
            yield self._open(name, written)

    def small_files(self) -> dict[str, bytes]:
        """Return the small files, by their paths in the data folder; raises `BackupDamagedError`."""
        return {
            path: b64decode(content)
            for name, written in self._later.manifest.files.items()
            for path, content in orjson.loads(self._open(name, written)).items()
        }

    def grown_files(self) -> Mapping[str, list[Part]]:
        """Return the parts of the files that only grow, by their names in the backup; raises `BackupDamagedError`."""
        parts: dict[str, list[Part]] = {}
        for name, written in self._later.manifest.grown.items():
            parts.update(read_parts(self._open(name, written)))
        return parts

    def read_grown(self, parts: Sequence[Part]) -> Iterator[bytes]:
        """Yield the bytes of a file that only grows; raises `BackupDamagedError`."""
        return self._grown_reader.read(parts)

    def restore_journal(self, database: Database, target: Blobs, secret: bytes) -> None:
        """Write the journal up to what the database has; raises OSError."""
        with database.read() as connection:
            until = highest_sequence(connection)
        self._write_journal(target, secret, until)

    def _write_journal(self, target: Blobs, secret: bytes, until: int | None) -> bool:
        """Write the journal up to a sequence, and return whether nothing is wrong with it."""
        damage: list[str] = []
        write_records(read_records(self.grown_files(), self._grown_reader, secret, damage), target, secret, until)
        told = [f"the journal in the backup: {what}" for what in damage]
        self.result.problems += [problem for problem in told if problem not in self.result.problems]
        return not damage

    def bring_forward(
        self, connection: Connection, scratch: Blobs, packs: Blobs, secret: bytes, keys: DataKeyCache, moment: int
    ) -> None:
        """Make the changes of the journal up to a moment, in the transaction of `restore_tables`.

        Parameters
        ----------
        connection : Connection
            The transaction.
        scratch : Blobs
            An empty place, for the journal.
        packs : Blobs
            Where the packs are.
        secret : bytes
            The journal key.
        keys : DataKeyCache
            Opens data keys.
        moment : int
            The moment, in milliseconds since 1970-01-01 UTC.
        """
        is_whole = self._write_journal(scratch, secret, None)
        wrapped = {**self._wrapped_keys(self._later), **self._wrapped_keys(self._chosen)}
        done = bring_forward(connection, scratch, secret, packs, wrapped, keys, moment, is_whole=is_whole)
        self.result.records = done.records
        self.result.problems += (
            f"not brought forward: {loss.what} ({' '.join(filter(None, (loss.datastore_id, loss.image_set_id)))})"
            for loss in done.losses
        )
        self.result.problems += (f"not brought forward: {what}" for what in done.damage)

    def _wrapped_keys(self, of: ChosenGeneration) -> dict[str, bytes]:
        """Return the wrapped data keys in the tables of a generation."""
        for name, written in of.manifest.tables.items():
            content = orjson.loads(self._open(name, written))
            if content["table"] == datastores.name:
                rows = (dict(zip(content["columns"], row, strict=True)) for row in content["rows"])
                return {row["id"]: b64decode(row["wrapped_key"]) for row in rows}
        return {}

    def remove_unnamed_packs(self, database: Database, target: Blobs, keys: DataKeyCache) -> None:
        """Remove packs that the moment has no use for; raises OSError."""
        with database.read_snapshot() as connection:
            named = set(find_named_packs(connection, keys.fetch))
        for name in [name for name in target.names("packs/") if name not in named]:
            target.delete(name)

    def write_pack_keys(self, database: Database, target: Blobs) -> None:
        """Write the wrapped data key of each data store beside the packs."""
        with database.read() as connection:
            datastore_ids = connection.execute(select(datastores.c.id)).scalars().all()
        for datastore_id in datastore_ids:
            write_pack_key(database, target, datastore_id)

    def check_keys(self, database: Database, keyring: LocalKeyring) -> None:
        """Make sure that the master keys open the data keys that they wrap; what does not is a problem of the result."""
        with database.read() as connection:
            rows = connection.execute(select(datastores.c.id, datastores.c.wrapped_key)).all()
        for datastore_id, wrapped in rows:
            if not is_of_service(bytes(wrapped)):
                try:
                    keyring.unwrap(bytes(wrapped), datastore_id)
                except KeyUnavailableError as error:
                    self.result.problems.append(f"the key of data store {datastore_id} does not open: {error}")

    def _open(self, name: str, written: ObjectDigest) -> bytes:
        sealed = self._place.read(name)
        found = hashlib.sha256(sealed).hexdigest()
        if len(sealed) != written.size or not secrets.compare_digest(found, written.sha256):
            raise BackupDamagedError(f"{name} of the backup is not as it was written; restore another generation")
        return self._chosen.key.open(sealed, name)


def _adapt_locations(connection: Connection) -> None:
    """Change what says where packs are: all of them are in the first place now."""
    forget_location(connection)
    connection.execute(blob_places.delete())
    frequent = StorageTier.FREQUENT_ACCESS
    connection.execute(update(image_sets).where(image_sets.c.placed_tier != frequent).values(placed_tier=frequent))
