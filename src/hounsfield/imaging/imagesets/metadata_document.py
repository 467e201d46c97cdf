"""GetImageSetMetadata: the metadata document of an image set version.

    version ─▶ levels (sealed in the row) ─┐
            ─▶ fragments (in the packs)   ─┴─▶ one JSON document ─▶ gzip ─▶ kept in memory for the next reader

A version never changes, so its finished document can be kept as long as there is room.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, or_, select

from hounsfield.dicom.healthimaging.document import image_set_document
from hounsfield.imaging.datastores import active_datastore, data_key
from hounsfield.imaging.errors import NotFoundError
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.imagesets.get import version_row
from hounsfield.imaging.imagesets.workflow import check_readable
from hounsfield.imaging.levels import open_levels
from hounsfield.storage.blobs.packs import Extent, Label, PackMissingError, RecordKind, read_records
from hounsfield.storage.db.image_set_tables import instances
from hounsfield.storage.keys.data_key import DataKey
from hounsfield.storage.lru_cache import SharedCache

_GZIP_WINDOW = 31
_LEVEL = 1
_GROUP = 512


@dataclass(frozen=True, slots=True)
class _Fragment:
    sop_uid: str
    key: str
    source_key: str
    extent: Extent


class MetadataReader:
    """Makes metadata documents and keeps the last ones.

    Parameters
    ----------
    image_store : ImageStore
        Where the image sets are.
    capacity : int
        How many bytes of compressed documents are kept.
    """

    def __init__(self, image_store: ImageStore, capacity: int = 256 * 1024 * 1024) -> None:
        self._image_store = image_store
        self._kept: SharedCache[tuple[str, int], bytes] = SharedCache(capacity, len, largest=capacity // 4)

    def read(self, datastore_id: str, image_set_id: str, version: int | None = None) -> bytes:
        """Return the document of a version, of the latest when none is named, compressed with gzip.

        Raises
        ------
        NotFoundError
            The data store, the image set or the version is not there, or the image set was deleted.
        ConflictError
            The version is still being made.
        """
        try:
            return self._read(datastore_id, image_set_id, version)
        except PackMissingError:
            # A pack may have gone while its fragments were read: they are in another one then.
            return self._read(datastore_id, image_set_id, version)

    def _read(self, datastore_id: str, image_set_id: str, version: int | None) -> bytes:
        with self._image_store.database.read() as connection:
            datastore = active_datastore(connection, self._image_store, datastore_id)
            row = version_row(connection, datastore_id, image_set_id, version)
            if row.deleted_at is not None:
                raise NotFoundError(f"image set {image_set_id} was deleted")
            check_readable(image_set_id, row.workflow_status)
            self._image_store.accesses.touch(image_set_id)
            kept = self._kept.get((image_set_id, row.version))
            if kept is not None:
                return kept
            fragments = _fragments(connection, image_set_id, row.version)
        key = data_key(self._image_store, datastore)
        levels = open_levels(key, image_set_id, row.version, row.sealed_levels)
        document = _gzip(image_set_document(datastore_id, image_set_id, levels, self._texts(key, fragments)))
        self._kept.put((image_set_id, row.version), document)
        return document

    def _texts(self, key: DataKey, fragments: list[_Fragment]) -> Iterator[tuple[str, bytes]]:
        """Yield the fragments in order; only one group of them is in memory at a time."""
        for start in range(0, len(fragments), _GROUP):
            group = fragments[start : start + _GROUP]
            wanted = [(f.extent, Label(RecordKind.FRAGMENT, f.source_key)) for f in group]
            for fragment, text in zip(group, read_records(self._image_store.blobs, key, wanted), strict=True):
                own = text if fragment.key == fragment.source_key else _with_key(text, fragment)
                yield fragment.sop_uid, own


def _fragments(connection: Connection, image_set_id: str, version: int) -> list[_Fragment]:
    columns = instances.c
    rows = connection.execute(
        select(
            columns.sop_uid,
            columns.key,
            columns.source_key,
            columns.fragment_pack_id,
            columns.fragment_offset,
            columns.fragment_length,
        )
        .where(
            columns.image_set_id == image_set_id,
            columns.first_version <= version,
            or_(columns.last_version.is_(None), columns.last_version >= version),
        )
        .order_by(columns.sop_uid)
    )
    return [
        _Fragment(uid, key, source, Extent(pack, offset, length)) for uid, key, source, pack, offset, length in rows
    ]


def _with_key(text: bytes, fragment: _Fragment) -> bytes:
    """Return a copied instance the frame ids of its own key; the quote keeps other text with the same digits as it is."""
    return text.replace(f'"ID":"{fragment.source_key}'.encode(), f'"ID":"{fragment.key}'.encode())


def _gzip(chunks: Iterable[bytes]) -> bytes:
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    return b"".join([*(compressor.compress(chunk) for chunk in chunks), compressor.flush()])
