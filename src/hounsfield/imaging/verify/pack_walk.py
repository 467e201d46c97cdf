"""Walk over the packs of a data store: what no row names of them.

    packs older than a day ─▶ contents ─▶ keys of the records ─▶ rows ─┬─ name all of them
                                                                   ├─ name some: the others decrypt, and are counted
                                                                   └─ name none: an orphan

Records that rows name are checked with their image sets (`hounsfield.imaging.verify.record_check`).
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import PurePosixPath
from typing import Final

from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.tiering.noted_packs import list_noted_ids
from hounsfield.imaging.tiering.orphan_packs import a_day_ago, list_packs_of_jobs
from hounsfield.imaging.tiering.pack_references import find_named_records, is_named
from hounsfield.imaging.verify.findings import Finding, FindingKind
from hounsfield.runtime.batches import in_batches
from hounsfield.storage.blobs.blobs import BlobMissingError, has_blob
from hounsfield.storage.blobs.packs import (
    Extent,
    Label,
    PackDamagedError,
    check_structure,
    pack_name,
    read_contents,
    read_records,
)
from hounsfield.storage.keys.data_key import DataKey

SHARDS: Final = tuple(f"{number:02x}" for number in range(256))
"""Folders of the packs of a data store."""
_FEW: Final = 1000
_BATCH_BYTES: Final = 8 << 20


@dataclass(slots=True)
class PackWalk:
    """What was found in some packs."""

    findings: list[Finding] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


class PackWalker:
    """Walks over the packs of a data store.

    Parameters
    ----------
    image_store : ImageStore
        Where everything is.
    key : DataKey
        The key of the data store.
    """

    def __init__(self, image_store: ImageStore, key: DataKey) -> None:
        self._image_store = image_store
        self._key = key
        self._datastore_id = key.datastore_id

    def list_few(self) -> list[str] | None:
        """Return the names of all packs that are older than a day, sorted; None where they are many."""
        names = list(islice(self._names(""), _FEW + 1))
        return None if len(names) > _FEW else sorted(names)

    def list_shard(self, shard: str) -> list[str]:
        """Return the names of packs in one folder that are older than a day, sorted."""
        return sorted(self._names(f"{shard}/"))

    def _names(self, folder: str) -> Iterator[str]:
        # Those of today may not have their rows yet; when they have, they are checked with their image sets.
        before = a_day_ago(self._image_store)
        return self._image_store.blobs.names(f"packs/{self._datastore_id}/{folder}", before_ms=before)

    def walk(self, names: Iterable[str]) -> PackWalk:
        """Walk over packs that are older than a day."""
        result = PackWalk()
        for name in names:
            found = self._check(name, result.counts)
            if found:
                # Meanwhile it may have been deleted, or have got its rows.
                again = self._check(name, Counter())
                result.findings += [finding for finding in found if finding in again]
        return result

    def _finding(self, pack_id: str, kind: FindingKind, what: str) -> Finding:
        return Finding(self._datastore_id, "", "", 0, pack_id, kind, what)

    def _check(self, name: str, counts: Counter[str]) -> list[Finding]:
        pack_id = PurePosixPath(name).name
        if name != pack_name(self._datastore_id, pack_id) or pack_id.startswith("."):
            what = "a file among the packs that is none, left behind by a process that ended"
            is_there = has_blob(self._image_store.blobs, name)
            return [self._finding(pack_id, FindingKind.ORPHANED_PACK, what)] if is_there else []
        try:
            contents = read_contents(self._image_store.blobs, self._key, pack_id)
            check_structure(self._image_store.blobs, self._key, pack_id, contents)
        except BlobMissingError:
            return []
        except (PackDamagedError, ValueError, zlib.error) as error:
            what = error.damage.what if isinstance(error, PackDamagedError) else "it cannot be read"
            # The image sets that lie in it name it too.
            return [] if self._has_rows(pack_id) else [self._finding(pack_id, FindingKind.PACK_DAMAGED, what)]
        counts["packs"] += 1
        with self._image_store.database.read_snapshot() as connection:
            named = find_named_records(connection, {pack_id}, {label.owner for label, _ in contents})
        unnamed = [(extent, label) for label, extent in contents if (label, extent) not in named]
        if not unnamed:
            return []
        counts["records"] += len(unnamed)
        counts["bytes"] += sum(extent.length for extent, _ in unnamed)
        found = self._read(pack_id, unnamed)
        if named:
            counts["unnamed_records"] += len(unnamed)
        elif pack_id not in self._list_other_packs():
            what = f"no row names the pack, which has {len(contents)} records and is older than a day"
            found.append(self._finding(pack_id, FindingKind.ORPHANED_PACK, what))
        return found

    def _list_other_packs(self) -> set[str]:
        """Return the packs that no row of an instance names, but others: unfinished import jobs and compaction."""
        of_jobs = list_packs_of_jobs(self._image_store, self._datastore_id)
        return of_jobs | list_noted_ids(self._image_store, self._datastore_id)

    def _has_rows(self, pack_id: str) -> bool:
        with self._image_store.database.read() as connection:
            return is_named(connection, self._datastore_id, pack_id)

    def _read(self, pack_id: str, records: Sequence[tuple[Extent, Label]]) -> list[Finding]:
        """Decrypt records that no row names."""
        found = []
        for batch in in_batches(records, lambda record: record[0].length, _BATCH_BYTES):
            try:
                read_records(self._image_store.blobs, self._key, batch)
            except BlobMissingError:
                return []
            except (PackDamagedError, zlib.error):
                found += [finding for record in batch for finding in self._read_one(pack_id, record)]
        return found

    def _read_one(self, pack_id: str, record: tuple[Extent, Label]) -> list[Finding]:
        try:
            read_records(self._image_store.blobs, self._key, [record])
        except BlobMissingError:
            return []
        except (PackDamagedError, zlib.error):
            extent, label = record
            what = f"{label.kind} {label.ordinal} at byte {extent.offset} was changed; no row names it"
            return [self._finding(pack_id, FindingKind.RECORD_DAMAGED, what)]
        return []
