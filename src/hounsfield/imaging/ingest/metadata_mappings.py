"""The metadata mappings of an import job: which study or series each metadata file is for (shape DicomMetadataMapping)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import orjson

from hounsfield.imaging.errors import InvalidRequestError
from hounsfield.storage.buckets.buckets import S3Uri


@dataclass(frozen=True, slots=True)
class MetadataMapping:
    """A metadata file and the instances it is for.

    Attributes
    ----------
    study_uid : str
        The study of the instances.
    series_uid : str or None
        Their series; None for all series of the study.
    path : str
        The metadata file, below the input location of the job.
    """

    study_uid: str
    series_uid: str | None
    path: str

    def covers(self, study_uid: str, series_uid: str) -> bool:
        """Return whether the metadata file is for the instances of a series."""
        return self.study_uid == study_uid and self.series_uid in (None, series_uid)

    def key(self, input_uri: str) -> str:
        """Return the object key of the metadata file."""
        folder = S3Uri.parse(input_uri).key
        return f"{folder}{'/' if folder and not folder.endswith('/') else ''}{self.path}"


def check_mappings(mappings: Sequence[MetadataMapping]) -> None:
    """Check what the shapes of the service model do not say of mappings.

    Raises
    ------
    InvalidRequestError
        A path leads out of the input location, or two mappings are for the same study or series. UIDs are
        not in the message, mappings are named by their place, from 0.
    """
    seen: dict[tuple[str, str | None], int] = {}
    for place, mapping in enumerate(mappings):
        name = f"dicomMetadataMappings[{place}]"
        if mapping.path.startswith("/") or ".." in PurePosixPath(mapping.path).parts:
            raise InvalidRequestError(
                f"{name}.metadataFilePath must be relative to inputS3Uri, without a leading slash and without '..'"
            )
        first = seen.setdefault((mapping.study_uid, mapping.series_uid), place)
        if first != place:
            raise InvalidRequestError(f"{name} is for the same study and series as dicomMetadataMappings[{first}]")


def mappings_to_json(mappings: Iterable[MetadataMapping]) -> str:
    """Return the text that `mappings_from_json` reads."""
    return orjson.dumps([(mapping.study_uid, mapping.series_uid, mapping.path) for mapping in mappings]).decode()


def mappings_from_json(text: str | None) -> tuple[MetadataMapping, ...]:
    """Read what `mappings_to_json` wrote; nothing stands for no mappings."""
    return tuple(MetadataMapping(*entry) for entry in orjson.loads(text)) if text else ()
