"""Places of the records of a data store, as its packs tell.

    each pack ─▶ its contents ─▶ by owner: kind, ordinal, pack, offset, length

A record is found by what it is, in whichever pack has it: packs that were merged need no word of it. Where two have the same
record, as while packs are being merged, that of the fuller pack is taken. An owner takes some 250 bytes of memory.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Final

from hounsfield.storage.blobs.blobs import BlobMissingError, Blobs
from hounsfield.storage.blobs.packs import Extent, Label, PackDamagedError, RecordKind, read_contents
from hounsfield.storage.keys.data_key import DataKey

_ENTRY: Final = struct.Struct("<BIIQQ")
_KINDS: Final = tuple(RecordKind)
_NUMBERS: Final = {kind: number for number, kind in enumerate(_KINDS)}
_AT_ONCE: Final = 256
_THREADS: Final = 8


@dataclass(frozen=True, slots=True)
class OwnedRecords:
    """The records that were written under a key.

    Attributes
    ----------
    fragments : tuple of Extent
        Of its JSON: that of the import, and those of edits.
    dataset : Extent or None
        Of its data set; None where no pack has it.
    pixels : tuple of (int, Extent)
        Of its pixel data, by ordinal.
    """

    fragments: tuple[Extent, ...]
    dataset: Extent | None
    pixels: tuple[tuple[int, Extent], ...]


class PackPlaces:
    """The places of all records of a data store.

    Attributes
    ----------
    damaged : dict of str to str
        Packs that cannot be read, and why.
    """

    def __init__(self) -> None:
        self.damaged: dict[str, str] = {}
        self._packs: list[str] = []
        self._counts: list[int] = []
        self._by_owner: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._by_owner)

    @property
    def pack_count(self) -> int:
        """How many packs were read."""
        return len(self._packs)

    def owners(self) -> Iterator[str]:
        """Yield the keys that records were written under."""
        return (owner.hex() for owner in self._by_owner)

    def record_counts(self) -> dict[str, int]:
        """Return how many records each pack has."""
        return dict(zip(self._packs, self._counts, strict=True))

    def contents_of(self, pack_ids: Collection[str]) -> dict[str, list[tuple[Label, Extent]]]:
        """Return the records of some packs."""
        numbers = {number: pack_id for number, pack_id in enumerate(self._packs) if pack_id in pack_ids}
        found: dict[str, list[tuple[Label, Extent]]] = {pack_id: [] for pack_id in numbers.values()}
        for owner, entries in self._by_owner.items():
            for kind, ordinal, pack, offset, length in _ENTRY.iter_unpack(entries):
                pack_id = numbers.get(pack)
                if pack_id is not None:
                    label = Label(_KINDS[kind], owner.hex(), ordinal)
                    found[pack_id].append((label, Extent(pack_id, offset, length)))
        return found

    def read(self, blobs: Blobs, key: DataKey) -> None:
        """Read the contents of all packs of a data store; raises OSError where the place cannot be reached."""
        names = iter(blobs.names(f"packs/{key.datastore_id}/"))
        with ThreadPoolExecutor(_THREADS) as pool:
            while some := list(islice(names, _AT_ONCE)):
                ids = [name.rpartition("/")[2] for name in some]
                for pack_id, found in zip(
                    ids, pool.map(_contents, [blobs] * len(ids), [key] * len(ids), ids), strict=True
                ):
                    if isinstance(found, str):
                        self.damaged[pack_id] = found
                    elif found is not None:
                        self._add(pack_id, found)

    def _add(self, pack_id: str, contents: list[tuple[Label, Extent]]) -> None:
        number = len(self._packs)
        self._packs.append(pack_id)
        self._counts.append(len(contents))
        by_owner: dict[str, list[bytes]] = {}
        for label, extent in contents:
            entry = _ENTRY.pack(_NUMBERS[label.kind], label.ordinal, number, extent.offset, extent.length)
            by_owner.setdefault(label.owner, []).append(entry)
        for owner, entries in by_owner.items():
            name = bytes.fromhex(owner)
            self._by_owner[name] = self._by_owner.get(name, b"") + b"".join(entries)

    def of(self, owner: str) -> OwnedRecords | None:
        """Return the records of a key; None where no pack has any."""
        entries = self._by_owner.get(bytes.fromhex(owner))
        if entries is None:
            return None
        fragments: list[tuple[int, Extent]] = []
        others: dict[tuple[RecordKind, int], tuple[int, Extent]] = {}
        for number, ordinal, pack, offset, length in _ENTRY.iter_unpack(entries):
            kind, found = _KINDS[number], (self._counts[pack], Extent(self._packs[pack], offset, length))
            if kind is RecordKind.FRAGMENT:
                fragments.append(found)
            elif (kind, ordinal) not in others or others[kind, ordinal][0] < found[0]:
                others[kind, ordinal] = found
        dataset = others.pop((RecordKind.DATASET, 0), None)
        pixels = [(ordinal, extent) for (_, ordinal), (_, extent) in others.items()]
        if len(pixels) > 1:
            pixels.sort(key=lambda one: one[0])
        if len(fragments) > 1:
            fragments.sort(key=lambda entry: -entry[0])
        return OwnedRecords(
            tuple([extent for _, extent in fragments]), None if dataset is None else dataset[1], tuple(pixels)
        )


def _contents(blobs: Blobs, key: DataKey, pack_id: str) -> list[tuple[Label, Extent]] | str | None:
    """Read the contents of a pack; gives why they cannot be, and None for one that has just gone."""
    try:
        return read_contents(blobs, key, pack_id)
    except PackDamagedError as error:
        return error.damage.what
    except BlobMissingError:
        return None
    except ValueError:
        return "its contents are no list of records"
