"""The resources of a data store and what can be done with each (PS3.18 chapters 8 and 10)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, TypeAlias
from urllib.parse import quote

ResourceRoute: TypeAlias = "tuple[str, str, str]"
"""Method, path below the data store, name of the operation."""

_UID = re.compile(r"[0-9.]+", re.ASCII)
_STUDIES = "studies"
_STUDY = f"{_STUDIES}/{{study}}"
_SERIES = f"{_STUDY}/series/{{series}}"
_INSTANCE = f"{_SERIES}/instances/{{instance}}"

ROUTES: Final[Sequence[ResourceRoute]] = (
    ("OPTIONS", "", "RetrieveCapabilities"),
    ("POST", _STUDIES, "StoreDICOM"),
    ("POST", _STUDY, "StoreDICOMStudy"),
    ("GET", _STUDIES, "SearchDICOMStudies"),
    ("GET", "series", "SearchDICOMAllSeries"),
    ("GET", "instances", "SearchDICOMAllInstances"),
    ("GET", f"{_STUDY}/series", "SearchDICOMSeries"),
    ("GET", f"{_STUDY}/instances", "SearchDICOMStudyInstances"),
    ("GET", f"{_SERIES}/instances", "SearchDICOMInstances"),
    ("GET", _STUDY, "RetrieveStudy"),
    ("GET", f"{_STUDY}/metadata", "RetrieveStudyMetadata"),
    ("GET", _SERIES, "RetrieveSeries"),
    ("GET", f"{_SERIES}/metadata", "GetDICOMSeriesMetadata"),
    ("GET", _INSTANCE, "GetDICOMInstance"),
    ("GET", f"{_INSTANCE}/metadata", "GetDICOMInstanceMetadata"),
    ("GET", f"{_INSTANCE}/frames/{{frames}}", "GetDICOMInstanceFrames"),
    ("GET", f"{_INSTANCE}/bulkdata/{{digest}}", "GetDICOMBulkdata"),
    ("GET", f"{_STUDY}/bulkdata", "RetrieveStudyBulkdata"),
    ("GET", f"{_SERIES}/bulkdata", "RetrieveSeriesBulkdata"),
    ("GET", f"{_INSTANCE}/bulkdata", "RetrieveInstanceBulkdata"),
    ("GET", f"{_STUDY}/pixeldata", "RetrieveStudyPixelData"),
    ("GET", f"{_SERIES}/pixeldata", "RetrieveSeriesPixelData"),
    ("GET", f"{_INSTANCE}/pixeldata", "RetrieveInstancePixelData"),
    ("GET", f"{_STUDY}/rendered", "RetrieveRenderedStudy"),
    ("GET", f"{_SERIES}/rendered", "RetrieveRenderedSeries"),
    ("GET", f"{_INSTANCE}/rendered", "RetrieveRenderedInstance"),
    ("GET", f"{_INSTANCE}/frames/{{frames}}/rendered", "RetrieveRenderedFrames"),
    ("GET", f"{_STUDY}/thumbnail", "RetrieveStudyThumbnail"),
    ("GET", f"{_SERIES}/thumbnail", "RetrieveSeriesThumbnail"),
    ("GET", f"{_INSTANCE}/thumbnail", "RetrieveInstanceThumbnail"),
    ("GET", f"{_INSTANCE}/frames/{{frames}}/thumbnail", "RetrieveFrameThumbnail"),
    ("DELETE", _STUDY, "DeleteStudy"),
    ("DELETE", _SERIES, "DeleteSeries"),
    ("DELETE", _INSTANCE, "DeleteInstance"),
)
"""Everything that DICOMweb answers."""


def offered_routes(*, deletes: bool) -> Sequence[ResourceRoute]:
    """Return the routes of an installation that allows DELETE, or does not."""
    return tuple(route for route in ROUTES if deletes or route[0] != "DELETE")


def study_path(study_uid: str) -> str:
    """Return the path of a study below its data store."""
    return f"{_STUDIES}/{_segment(study_uid)}"


def instance_path(study_uid: str, series_uid: str, sop_uid: str) -> str:
    """Return the path of an instance below its data store; a UID may be none, and have in it what would end a header."""
    if not _UID.fullmatch(study_uid + series_uid + sop_uid):
        study_uid, series_uid, sop_uid = _segment(study_uid), _segment(series_uid), _segment(sop_uid)
    return f"{_STUDIES}/{study_uid}/series/{series_uid}/instances/{sop_uid}"


def _segment(uid: str) -> str:
    return uid if _UID.fullmatch(uid) else quote(uid, safe="")
