"""Repair of packs: a lost or damaged one is healed from another place that has it whole.

    finding that names a pack ─▶ opens every record of it here? ─▶ nothing to do
                                 └─ no: archive location, backups ─▶ one whose records all open
                                        ─▶ written aside, durable, renamed ─▶ every record opened again

Packs never change, and every record is bound to its pack and its place by its seal: a pack of that name whose records all
open is the pack that was written. One that is intact is never replaced.
"""

from __future__ import annotations

import errno
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hounsfield.imaging.datastores import fetch_key, get_datastore
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.tiering.pack_references import is_named
from hounsfield.imaging.verify.findings import Finding, FindingKind
from hounsfield.storage.blobs.blobs import BlobMissingError, Blobs, has_blob
from hounsfield.storage.blobs.packs import PackDamagedError, check_pack, check_structure, pack_name, read_contents
from hounsfield.storage.keys.data_key import DataKey, KeyUnavailableError

REPAIRABLE: Final = frozenset(
    {FindingKind.PACK_MISSING, FindingKind.PACK_DAMAGED, FindingKind.RECORD_DAMAGED, FindingKind.RECORD_MISSING}
)
"""What may be wrong with the bytes of a pack, and not with what was written."""
_PIECE_BYTES: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class RepairSource:
    """A place that may have packs whole: its name for people, and what it has."""

    name: str
    blobs: Blobs


@dataclass(frozen=True, slots=True)
class Repair:
    """What became of a pack that something was wrong with.

    Attributes
    ----------
    datastore_id, pack_id : str
        The pack.
    image_set_ids : tuple of str
        The image sets with something wrong in it.
    source : str
        Where it was healed from; empty where it was not.
    why : str
        Why it was not healed; empty where it was.
    """

    datastore_id: str
    pack_id: str
    image_set_ids: tuple[str, ...]
    source: str = ""
    why: str = ""

    @property
    def is_healed(self) -> bool:
        """Whether the pack is whole again."""
        return bool(self.source)

    def to_json(self) -> dict[str, Any]:
        """Return the repair as a member of the report."""
        return {
            "datastoreId": self.datastore_id,
            "packId": self.pack_id,
            "imageSetIds": list(self.image_set_ids),
            "healed": self.is_healed,
            **({"source": self.source} if self.source else {"why": self.why}),
        }

    def line(self) -> str:
        """Return the repair as a line for people."""
        what = f"HEALED  from {self.source}" if self.is_healed else f"NOT HEALED  {self.why}"
        sets = f", image sets {', '.join(self.image_set_ids)}" if self.image_set_ids else ""
        return f"{what} (data store {self.datastore_id}, pack {self.pack_id}{sets})"


class PackRepairer:
    """Heals packs.

    Parameters
    ----------
    image_store : ImageStore
        The installation.
    backups : sequence of RepairSource
        Backups that may have packs whole, the first that has one counts.
    """

    def __init__(self, image_store: ImageStore, backups: Sequence[RepairSource]) -> None:
        self._image_store = image_store
        self._backups = backups
        # Opened anew: a reader that keeps files open would go on seeing what was replaced.
        self._places = [RepairSource(place.name, place.open()) for place in image_store.blob_locations]

    def repair(self, findings: Iterable[Finding]) -> Iterator[Repair]:
        """Look at each pack that findings name, and heal it where that can be; yields what became of each.

        Raises
        ------
        OSError
            A place cannot be read or written.
        """
        packs: dict[tuple[str, str], set[str]] = {}
        for finding in findings:
            if finding.kind in REPAIRABLE and finding.pack_id:
                packs.setdefault((finding.datastore_id, finding.pack_id), set()).add(finding.image_set_id)
        for (datastore_id, pack_id), image_sets in sorted(packs.items()):
            source, why = self._repair(datastore_id, pack_id)
            yield Repair(datastore_id, pack_id, tuple(sorted(image_sets - {""})), source, why)

    def _repair(self, datastore_id: str, pack_id: str) -> tuple[str, str]:
        """Heal a pack; gives the source, or why it was not healed."""
        try:
            key = fetch_key(self._image_store, get_datastore(self._image_store, datastore_id))
        except KeyUnavailableError as error:
            return "", f"its key cannot be had: {error}"
        name = pack_name(datastore_id, pack_id)
        # What is read is the first place that has it, whole or not.
        holder = next((place for place in self._places if has_blob(place.blobs, name)), self._places[0])
        if _is_intact(holder.blobs, key, pack_id):
            return "", "the pack is as it was written: the row that names a place in it is wrong"
        for source in (*self._places, *self._backups):
            if source is not holder and _is_intact(source.blobs, key, pack_id):
                return self._heal(key, pack_id, source, holder)
        looked = ", ".join(source.name for source in (*self._places, *self._backups))
        return "", f"no whole copy of it was found in {looked}"

    def _heal(self, key: DataKey, pack_id: str, source: RepairSource, holder: RepairSource) -> tuple[str, str]:
        name = pack_name(key.datastore_id, pack_id)
        was_named = self._is_named(key.datastore_id, pack_id)
        size = source.blobs.size(name)
        writer = holder.blobs.create(name)
        try:
            for offset in range(0, size, _PIECE_BYTES):
                writer.write(source.blobs.read(name, offset, min(_PIECE_BYTES, size - offset)))
            writer.publish()
        finally:
            writer.abort()
        again = next(place for place in self._image_store.blob_locations if place.name == holder.name).open()
        if not _is_intact(again, key, pack_id):
            return "", f"{holder.name} does not give back what was written there from {source.name}"
        if was_named and not self._is_named(key.datastore_id, pack_id):
            # Its image sets were released meanwhile, and their bytes must not come back.
            self._image_store.blobs.delete(name)
            return "", "its image sets were released meanwhile"
        return source.name, ""

    def _is_named(self, datastore_id: str, pack_id: str) -> bool:
        with self._image_store.database.read() as connection:
            return is_named(connection, datastore_id, pack_id)


def _is_intact(blobs: Blobs, key: DataKey, pack_id: str) -> bool:
    """Return whether a place has a pack whole: its header, every record of it, and nothing besides."""
    try:
        check_structure(blobs, key, pack_id, read_contents(blobs, key, pack_id))
        check_pack(blobs, key, pack_id)
    except (BlobMissingError, PackDamagedError, ValueError, zlib.error):
        return False
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return False
    return True
