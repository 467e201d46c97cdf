"""Metadata documents as pages need them (API operation GetImageSetMetadata).

    call ─▶ gzip ─▶ a thread: unpacked, taken apart, and whatever a page asks of it ─▶ page

A document may have 50 MB and thousands of instances. So the event loop does nothing with it, few threads do at a time, and
only the instances that are asked for are read.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from anyio import CapacityLimiter, to_thread

from hounsfield.console.calls import label
from hounsfield.console.imagesets.image_set import ImageSet
from hounsfield.console.visit import Visit
from hounsfield.dicom.healthimaging.document_parts import DocumentParts, split_document
from hounsfield.dicom.values.decode import JsonValue

T = TypeVar("T")

_AT_A_TIME: Final = CapacityLimiter(2)
"""Documents that are in memory as a whole, in a process."""
_FRAME: Final = b'"FrameSizeInBytes":'
"""Stands once in each frame; text has it with its quotes escaped."""


@dataclass(frozen=True, slots=True)
class Level:
    """A level of an image set.

    Attributes
    ----------
    name : str
        ``Patient``, ``Study`` or ``Series``.
    data_set : dict
        Its elements.
    """

    name: str
    data_set: dict[str, JsonValue] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance of an image set.

    Attributes
    ----------
    sop_uid : str
        Its SOP Instance UID.
    data_set : dict
        Its elements, without those of the levels above.
    vrs : dict of str to str
        VRs of keys that are no keywords.
    frames : list of dict
        Its frames, as the document has them.
    stored_transfer_syntax : str
        Transfer syntax in which its frames are stored; empty where it has none.
    """

    sop_uid: str
    data_set: dict[str, JsonValue] = field(repr=False)
    vrs: dict[str, str] = field(repr=False)
    frames: list[dict[str, Any]] = field(repr=False)
    stored_transfer_syntax: str

    @property
    def number(self) -> str:
        """Its Instance Number (0020,0013); empty where it has none."""
        return str(self.data_set.get("InstanceNumber") or "").strip()


@dataclass(frozen=True, slots=True)
class InstanceEntry:
    """An instance in a list.

    Attributes
    ----------
    sop_uid, number : str
        As of `Instance`.
    frame_count : int
        Its frames.
    """

    sop_uid: str
    number: str
    frame_count: int


@dataclass(frozen=True, slots=True)
class SeriesUids:
    """What DICOMweb calls the series of an image set.

    Attributes
    ----------
    study_uid, series_uid : str
        Study and Series Instance UID.
    """

    study_uid: str
    series_uid: str

    def path(self, datastore_id: str, sop_uid: str | None = None) -> str:
        """Return the path of the series in the API, or of an instance of it (PS3.18 section 10.4)."""
        path = f"/datastore/{label(datastore_id)}/studies/{label(self.study_uid)}/series/{label(self.series_uid)}"
        return path if sop_uid is None else f"{path}/instances/{label(sop_uid)}"

    @property
    def context(self) -> dict[str, str]:
        """Condition keys of operations on it."""
        return {
            "medical-imaging:studyinstanceuid": self.study_uid,
            "medical-imaging:seriesinstanceuid": self.series_uid,
        }


@dataclass(frozen=True, slots=True)
class Summary:
    """What a document is about, in short.

    Attributes
    ----------
    levels : tuple of Level
        Patient, study and series.
    series : SeriesUids
        What DICOMweb calls it.
    instance_count, frame_count, size : int
        How much there is; the size is that of the document in bytes.
    """

    levels: tuple[Level, Level, Level]
    series: SeriesUids
    instance_count: int
    frame_count: int
    size: int

    def text(self, keyword: str) -> str:
        """Return a value of a level as text; empty where there is none."""
        value = next((level.data_set[keyword] for level in self.levels if keyword in level.data_set), None)
        return "\\".join(map(str, value)) if isinstance(value, list) else str(value or "")


async def ask_document(
    visit: Visit, image_set: ImageSet, question: Callable[[DocumentParts], T], version: str | None = None
) -> T:
    """Read the document of an image set, and ask something of it.

    Parameters
    ----------
    visit : Visit
        The visit.
    image_set : ImageSet
        The image set.
    question : callable
        Takes the document, in a thread.
    version : str or None
        Version; None for the one that the page is about.

    Raises
    ------
    ApiError
        The API refuses the document: the image set was deleted, is being made, or is not for who asks.
    """
    packed = await fetch_document(visit, image_set, version)
    return await in_thread(lambda: question(unpack(packed)))


async def fetch_document(visit: Visit, image_set: ImageSet, version: str | None = None) -> bytes:
    """Return the document of an image set as the API sends it, compressed; see `ask_document`."""
    query = {"version": version or image_set.shown.version}
    return (await visit.calls.post(f"{image_set.api_path}/getImageSetMetadata", query=query)).body


async def in_thread(work: Callable[[], T]) -> T:
    """Do what needs whole documents in a thread, a few at a time."""
    return await to_thread.run_sync(work, limiter=_AT_A_TIME)


def unpack(packed: bytes) -> DocumentParts:
    """Take apart a document that the API sent."""
    return split_document(gzip.decompress(packed))


def levels_of(document: DocumentParts) -> tuple[Level, Level, Level]:
    """Return patient, study and series."""
    levels = document.levels
    return Level("Patient", levels.patient), Level("Study", levels.study), Level("Series", levels.series)


def series_of(document: DocumentParts) -> SeriesUids:
    """Return what DICOMweb calls the series."""
    levels = document.levels
    return SeriesUids(
        str(levels.study.get("StudyInstanceUID") or ""), str(levels.series.get("SeriesInstanceUID") or "")
    )


def summarise(document: DocumentParts) -> Summary:
    """Say what a document is about."""
    return Summary(
        levels_of(document), series_of(document), len(document.ranges), document.text.count(_FRAME), len(document.text)
    )


def read_instance(document: DocumentParts, sop_uid: str) -> Instance:
    """Return an instance; raises `KeyError`."""
    content = document.instance(sop_uid)
    return Instance(
        sop_uid,
        content["DICOM"],
        content.get("DICOMVRs") or {},
        content.get("ImageFrames") or [],
        content.get("StoredTransferSyntaxUID") or "",
    )


def list_instances(document: DocumentParts) -> list[InstanceEntry]:
    """Return the instances by Instance Number; those without one come last."""
    found = []
    for sop_uid in document.ranges:
        instance = read_instance(document, sop_uid)
        found.append(InstanceEntry(sop_uid, instance.number, len(instance.frames)))
    return sorted(found, key=lambda entry: instance_order(entry.number, entry.sop_uid))


def instance_order(number: str, sop_uid: str) -> tuple[bool, int, str]:
    """Return what instances are ordered by: their Instance Number, and last those without one."""
    try:
        return False, int(number), sop_uid
    except ValueError:
        return True, 0, sop_uid
