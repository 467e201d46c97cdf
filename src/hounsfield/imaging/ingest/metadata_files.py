"""Metadata files of an import job, in a worker: which are for an instance, read once each, and put over its elements.

    mappings of the job ─▶ study file ─▶ series file   (later ones win)
    within a file: data set for all ─▶ data set of the instance

What is wrong with a file, or with what it says of an instance, fails the instances it is for and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from cachetools import LRUCache, cached

from hounsfield.dicom.healthimaging.overrides import check_overridable, override_elements
from hounsfield.dicom.io.part10 import Part10
from hounsfield.dicom.json.metadata_file import MetadataFile, check_size
from hounsfield.dicom.json.reader import elements_of_json
from hounsfield.dicom.values.elements import Element
from hounsfield.dicom.values.errors import DicomError
from hounsfield.imaging.ingest.metadata_mappings import MetadataMapping
from hounsfield.storage.buckets.buckets import Bucket, ObjectChangedError, ObjectEntry

_MOST_KEPT_BYTES: Final = 64 * 1024 * 1024
_STUDY_INSTANCE_UID: Final = 0x0020000D
_SERIES_INSTANCE_UID: Final = 0x0020000E
_SOP_INSTANCE_UID: Final = 0x00080018


@dataclass(frozen=True, slots=True)
class MetadataSource:
    """A mapping and the object it names; None when there was none below the input location."""

    mapping: MetadataMapping
    entry: ObjectEntry | None


@dataclass(frozen=True, slots=True)
class ImportMetadata:
    """All metadata files of a job, in a form that can be sent to a worker process: names only, no content."""

    job_id: str
    sources: tuple[MetadataSource, ...]


def apply_metadata(part10: Part10, metadata: ImportMetadata, bucket: Bucket) -> Part10:
    """Put the metadata files of a job over a file.

    Parameters
    ----------
    part10 : Part10
        The file.
    metadata : ImportMetadata
        The metadata files of the job.
    bucket : Bucket
        Where they are.

    Returns
    -------
    Part10
        The file itself when no mapping is for it.

    Raises
    ------
    DicomError
        A metadata file for it is missing, malformed, too large, or says what cannot be overridden.
    BucketError
        A metadata file could not be read, which may pass.
    """
    uids = (part10.text(_STUDY_INSTANCE_UID) or "", part10.text(_SERIES_INSTANCE_UID) or "")
    sources = [source for source in metadata.sources if source.mapping.covers(*uids)]
    elements: dict[int, Element] = {}
    for source in sorted(sources, key=lambda source: source.mapping.series_uid is not None):
        try:
            for some in _elements(part10, _read_once(metadata.job_id, source, bucket)):
                elements.update({element.tag: element for element in some})
        except DicomError as error:
            raise DicomError(f"Metadata file {source.mapping.path}: {error}") from error
    return override_elements(part10, tuple(elements.values()))


def _elements(part10: Part10, file: MetadataFile) -> Iterator[Sequence[Element]]:
    for data_set in file.data_sets(part10.text(_SOP_INSTANCE_UID) or ""):
        elements = elements_of_json(data_set, little_endian=part10.little_endian)
        check_overridable(part10, elements)
        yield elements


def _size(file: MetadataFile | DicomError) -> int:
    return file.size if isinstance(file, MetadataFile) else len(str(file))


def _name(job_id: str, source: MetadataSource, _bucket: Bucket) -> tuple[str, str]:
    return job_id, source.mapping.path


def _read_once(job_id: str, source: MetadataSource, bucket: Bucket) -> MetadataFile:
    found = _found(job_id, source, bucket)
    if isinstance(found, DicomError):
        raise DicomError(str(found))
    return found


@cached(LRUCache(_MOST_KEPT_BYTES, _size), key=_name)
def _found(_job_id: str, source: MetadataSource, bucket: Bucket) -> MetadataFile | DicomError:
    """Read a metadata file, or return what is wrong with it; kept for the other files of the job."""
    if source.entry is None:
        return DicomError("it does not exist below the input location")
    try:
        check_size(source.entry.size)
        reader = bucket.open(source.entry)
        try:
            return MetadataFile(reader.read(0, reader.size))
        finally:
            reader.close()
    except ObjectChangedError:
        return DicomError("it was replaced or changed after the job had listed it")
    except DicomError as error:
        return error
