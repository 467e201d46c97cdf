"""The making of a generation: snapshot, packs, grown files, manifest.

    lock ─▶ whose backup? keys there? ─▶ snapshot ─▶ tables ─▶ packs that it names ─▶ grown files ─▶ durable ─▶ manifest
                                            ▲                      │ gone, and no row names it any more
                                            └──────────────────────┘

The tables are of one snapshot. Packs never change, so they are copied after it, while servers go on. A pack may vanish in
between: its image set was released, or it was merged into another pack. Then a new snapshot is taken, which does not name it;
what was copied stays, so each try has only as much to do as happened since the one before. A pack that two snapshots in turn
name and that is nowhere is lost: the generation is completed without it, and says so.
"""

from __future__ import annotations

import threading
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import orjson

from hounsfield.imaging.backup.errors import BackupDamagedError, BackupError, BackupIncompleteError
from hounsfield.imaging.backup.grown_files import GrowingFile, GrownFiles, Part, parts_text, read_parts
from hounsfield.imaging.backup.manifests import (
    GENERATIONS,
    BackupMark,
    Manifest,
    list_generations,
    new_generation,
    read_manifest,
    read_mark,
    write_manifest,
    write_mark,
)
from hounsfield.imaging.backup.named_packs import find_named_packs
from hounsfield.imaging.backup.pack_copies import PackCopier, split_known
from hounsfield.imaging.backup.pack_lists import find_pack_lists, list_name, read_pack_list, write_pack_list
from hounsfield.imaging.backup.place import BackupPlace, ObjectDigest, PackDigest, piece_bytes
from hounsfield.imaging.backup.runs import BackupRun, RunState, begin_run, list_runs, save_run
from hounsfield.imaging.backup.sealed_objects import BackupKey
from hounsfield.imaging.backup.tables import export_tables
from hounsfield.imaging.backup.wrapped_keys import KeyProtection, keep_keys
from hounsfield.imaging.image_store import ImageStore
from hounsfield.jobs.runner import StoppedError
from hounsfield.runtime.rate_limit import RateLimit
from hounsfield.storage.clock import now_ms
from hounsfield.storage.db.database import lift_time_limits
from hounsfield.storage.db.schema import newest_revision
from hounsfield.storage.db.steady_clock import steady_ms
from hounsfield.storage.journal.journal_writer import read_settled_snapshot
from hounsfield.storage.keys.data_key import KeyUnavailableError
from hounsfield.storage.keys.installation_secrets import installation_secret
from hounsfield.storage.keys.master_keys import LocalKeyring

KEY_CONTEXT: Final = "backup"
"""What the key of a backup is bound to, as it is wrapped in manifests, and its name among the secrets."""
_TRIES: Final = 20
_LIST_BYTES: Final = 256 << 20
_LIST_PACKS: Final = 20_000

Progress = Callable[[str, int, int], None]
"""Is told what is under way, how much of it is done, and how much there is: rows, or bytes of packs."""


@dataclass(frozen=True, slots=True)
class SmallFiles:
    """What is kept besides database and packs, as it is at one moment.

    Attributes
    ----------
    small : Mapping of str to bytes
        Small files as a whole, by their paths in the data folder.
    growing : sequence of GrowingFile
        Files that only grow.
    """

    small: Mapping[str, bytes]
    growing: Sequence[GrowingFile]


@dataclass(slots=True)
class _Known:
    """What the place has already."""

    packs: dict[str, PackDigest] = field(default_factory=dict)
    parts: Mapping[str, Sequence[Part]] = field(default_factory=dict)


class BackupWriter:
    """Makes a generation.

    Parameters
    ----------
    image_store : ImageStore
        The installation.
    keyring : LocalKeyring
        Its master keys.
    place : BackupPlace
        Where the backup is.
    installation : str
        Id of the installation.
    software : str
        Version of Hounsfield.
    rate : RateLimit
        Bounds the bytes of packs a second.
    progress : callable
        Is told how far it is.
    stop : threading.Event
        Ends the work; what was copied stays.
    """

    def __init__(
        self,
        image_store: ImageStore,
        keyring: LocalKeyring,
        place: BackupPlace,
        *,
        installation: str,
        software: str,
        rate: RateLimit,
        progress: Progress,
        stop: threading.Event,
    ) -> None:
        self._image_store = image_store
        self._keyring = keyring
        self._place = place
        self._installation = installation
        self._software = software
        self._rate = rate
        self._progress = progress
        self._stop = stop
        self._generation = new_generation()
        self._secret = installation_secret(image_store.database, keyring, KEY_CONTEXT)
        self.key = BackupKey(self._secret)
        """Seals what is written."""
        self._lists: dict[str, ObjectDigest] = {}
        self._waiting: dict[str, PackDigest] = {}
        self._copied_bytes = 0

    def run(self, protection: KeyProtection, files: Callable[[], SmallFiles], *, anew: bool) -> BackupRun:
        """Make a generation; gives the run as it is noted in the database.

        Parameters
        ----------
        protection : KeyProtection
            Wraps the master keys where they are not in the backup yet.
        files : callable
            Reads what is kept besides, after the tables were read.
        anew : bool
            Whether a place that held a backup, and holds none now, is taken for a new one.

        Raises
        ------
        BackupError
            The place is that of another installation, or cannot be one; or packs vanish faster than they are copied.
        OSError
            The place cannot be written, or packs cannot be reached; what was copied stays.
        StoppedError
            The work was ended; what was copied stays.
        """
        database = self._image_store.database
        mark = self._check_place(anew=anew)
        self._place.delete_unfinished()
        # Before anything of patients is written, even sealed: without its keys a backup is worth nothing.
        keys = keep_keys(self._place, mark.backup, self._keyring.content, protection)
        run = begin_run(database, self._generation, self._place.name)
        try:
            manifest = self._make(mark, keys, files)
            write_manifest(self._place, manifest, self.key)
        except BaseException as error:
            reason = str(error) or type(error).__name__
            save_run(
                database, replace(run, state=RunState.FAILED, copied_bytes=self._copied_bytes, message=reason[:1000])
            )
            raise
        return save_run(
            database,
            replace(
                run,
                state=RunState.LOST_PACKS if manifest.lost else RunState.COMPLETE,
                packs=manifest.packs,
                bytes=manifest.pack_bytes,
                copied_bytes=self._copied_bytes,
            ),
        )

    def _check_place(self, *, anew: bool) -> BackupMark:
        mark = read_mark(self._place)
        if mark is not None:
            if mark.installation != self._installation:
                raise BackupError(
                    f"{self._place.name} holds the backup of another installation ({mark.installation}); "
                    "give each installation a folder or prefix of its own"
                )
            return mark
        used = any(run.target == self._place.name and run.packs for run in list_runs(self._image_store.database))
        if used and not anew:
            raise BackupError(
                f"{self._place.name} held a backup, and holds none now: is it mounted, and is it the right one? "
                "Give --new to begin a new backup there"
            )
        if self._place.sizes(""):
            raise BackupError(f"{self._place.name} holds something else than a backup; name an empty folder or prefix")
        return write_mark(self._place, self._installation)

    def _make(self, mark: BackupMark, keys: str, files: Callable[[], SmallFiles]) -> Manifest:
        known = self._read_known()
        lost: set[str] = set()
        for _ in range(_TRIES):
            self._lists, self._waiting = {}, {}
            manifest, named = self._snapshot(mark, keys)
            packs, missing = self._copy_packs(named, known)
            if missing <= lost:
                break
            # Named once more and missing once more, it is lost; otherwise it is not needed any more.
            lost = missing
            known.packs |= packs
        else:
            raise BackupError("packs vanish faster than they are copied; run the command again when less is deleted")
        found = files()
        grown = self._copy_grown(found.growing, known)
        small = self._write_small(found.small)
        self._place.settle()
        return replace(
            manifest,
            pack_lists=self._lists,
            grown=grown,
            files=small,
            packs=len(packs),
            pack_bytes=sum(written.size for written in packs.values()),
            lost=len(missing),
        )

    def _read_known(self) -> _Known:
        """Read what the place has: the newest generation, and what was begun and not ended."""
        known = _Known()
        complete, unfinished = list_generations(self._place)
        for generation in reversed(complete):
            try:
                manifest = read_manifest(self._place, generation, self.key)
                for name in manifest.pack_lists:
                    known.packs.update(read_pack_list(self._place, self.key, name))
                for name in manifest.grown:
                    known.parts = read_parts(self.key.open(self._place.read(name), name))
            except (BackupDamagedError, BackupIncompleteError):
                # What it lists is copied again.
                known.packs, known.parts = {}, {}
                continue
            break
        for generation in unfinished:
            for name in find_pack_lists(self._place, generation):
                try:
                    known.packs.update(read_pack_list(self._place, self.key, name))
                except (BackupDamagedError, BackupIncompleteError):
                    continue
        return known

    def _snapshot(self, mark: BackupMark, keys: str) -> tuple[Manifest, list[str]]:
        """Write the tables of one state of the database, and find the packs that it names."""
        rows: Counter[str] = Counter()
        written: dict[str, ObjectDigest] = {}
        with read_settled_snapshot(self._image_store.database) as connection:
            lift_time_limits(connection)
            steady, moment = steady_ms(connection), now_ms()
            for number, (table, count, text) in enumerate(export_tables(connection), start=1):
                if self._stop.is_set():
                    raise StoppedError
                rows[table] += count
                name = f"{GENERATIONS}/{self._generation}/tables/{number:06d}"
                written[name] = self._write(name, text)
                self._progress("rows", rows.total(), 0)
            try:
                named = find_named_packs(connection, self._image_store.keys.fetch)
            except KeyUnavailableError as error:
                raise BackupError(
                    f"unfinished import jobs cannot be read: {error}; run the command again later"
                ) from error
            engine = connection.dialect.name
        manifest = Manifest(
            generation=self._generation,
            backup=mark.backup,
            installation=mark.installation,
            software=self._software,
            schema=newest_revision(),
            engine=engine,
            moment=moment,
            steady=steady,
            keys=keys,
            wrapped_key=self._keyring.wrap(self._secret, KEY_CONTEXT),
            rows=dict(rows),
            tables=written,
            pack_lists={},
            grown={},
            files={},
            packs=0,
            pack_bytes=0,
            lost=0,
        )
        return manifest, named

    def _copy_packs(self, named: Sequence[str], known: _Known) -> tuple[dict[str, PackDigest], set[str]]:
        """Copy the packs that are not there; gives all that the generation needs, and those that are nowhere."""
        packs, needed = split_known(named, known.packs, self._place.sizes("packs/"))
        piece = piece_bytes(self._image_store.blob_location)
        copier = PackCopier(self._image_store.blobs, piece, self._place, self.key, self._rate, self._stop)
        total, done = len(needed), 0
        listed = 0

        def copied(name: str, written: PackDigest) -> None:
            nonlocal done, listed
            packs[name] = self._waiting[name] = written
            self._copied_bytes += written.size
            done, listed = done + 1, listed + written.size
            self._progress("packs", done, total)
            if listed >= _LIST_BYTES or len(self._waiting) >= _LIST_PACKS:
                # What is listed is durable: should this run end here, the next one need not copy it.
                self._place.settle()
                self._write_list()
                listed = 0

        kept = dict(packs)
        copier.copy(needed, copied)
        self._place.settle()
        self._write_list()
        for name, written in kept.items():
            self._waiting[name] = written
            if len(self._waiting) >= _LIST_PACKS:
                self._write_list()
        self._write_list()
        return packs, copier.missing

    def _write_list(self) -> None:
        if self._waiting:
            name = list_name(self._generation, len(self._lists) + 1)
            self._lists[name] = write_pack_list(self._place, self.key, name, self._waiting)
            self._waiting = {}

    def _copy_grown(self, growing: Iterable[GrowingFile], known: _Known) -> dict[str, ObjectDigest]:
        copier = GrownFiles(self._place, self.key, self._generation, known.parts)
        for file in growing:
            if self._stop.is_set():
                raise StoppedError
            copier.add(file)
        copier.flush()
        self._copied_bytes += copier.copied_bytes
        name = f"{GENERATIONS}/{self._generation}/grown"
        return {name: self._write(name, parts_text(copier.parts))}

    def _write_small(self, small: Mapping[str, bytes]) -> dict[str, ObjectDigest]:
        name = f"{GENERATIONS}/{self._generation}/files"
        text = orjson.dumps({path: b64encode(content).decode() for path, content in small.items()})
        return {name: self._write(name, text)}

    def _write(self, name: str, text: bytes) -> ObjectDigest:
        return self._place.write(name, self.key.seal(text, name), durable=False)
