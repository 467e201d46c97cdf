"""Which path is which DICOMweb operation (PS3.18 chapter 10).

    GET /datastore/<id>/studies/1.2/series/1.3  ─▶  find  ─▶  Found(Route(SearchDICOM…), {"study": "1.2", …})

The path is cut at its slashes before a segment is decoded, as for the native API.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from hounsfield.aws.errors import MethodNotAllowedException, UnknownOperationException, ValidationException
from hounsfield.dicomweb.operations import OPERATIONS, Operation

LONGEST_LABEL = 4096

_STUDIES = "studies"
_STUDY = f"{_STUDIES}/{{study}}"
_SERIES = f"{_STUDY}/series/{{series}}"
_INSTANCE = f"{_SERIES}/instances/{{instance}}"

ROUTES: Sequence[tuple[str, str, str]] = (
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
    ("GET", f"{_STUDY}/rendered", "RetrieveRenderedStudy"),
    ("GET", f"{_SERIES}/rendered", "RetrieveRenderedSeries"),
    ("GET", f"{_INSTANCE}/rendered", "RetrieveRenderedInstance"),
    ("GET", f"{_INSTANCE}/frames/{{frames}}/rendered", "RetrieveRenderedFrames"),
    ("GET", f"{_STUDY}/thumbnail", "RetrieveStudyThumbnail"),
    ("GET", f"{_SERIES}/thumbnail", "RetrieveSeriesThumbnail"),
    ("GET", f"{_INSTANCE}/thumbnail", "RetrieveInstanceThumbnail"),
    ("GET", f"{_INSTANCE}/frames/{{frames}}/thumbnail", "RetrieveFrameThumbnail"),
)
"""Method, path below the data store, name of the operation."""

DOORWAYS = frozenset({b"studies", b"series", b"instances"})
"""First segments below a data store that are DICOMweb's."""


def is_dicomweb(raw_path: bytes) -> bool:
    """Tell whether a path is one of this door."""
    segments = raw_path.split(b"/", 4)
    return len(segments) > 3 and segments[1] == b"datastore" and segments[3] in DOORWAYS


@dataclass(frozen=True, slots=True)
class Found:
    """An operation found for a request, the data store and the labels of its path."""

    operation: Operation
    datastore_id: str
    labels: Mapping[str, str]


def find(method: str, raw_path: bytes) -> Found:
    """Find the operation of a request.

    Raises
    ------
    UnknownOperationException
        No operation has the path.
    MethodNotAllowedException
        The path has operations, but not with this method.
    ValidationException
        A segment of the path is not UTF-8 or too long.
    """
    segments = [_decoded(segment) for segment in raw_path.split(b"/")[2:]]
    if len(segments) > 1 and segments[-1] == "":
        segments.pop()
    allowed: set[str] = set()
    for template, methods in _TREE.get(len(segments) - 1, {}).items():
        labels = _labels(template, segments[1:])
        if labels is not None:
            name = methods.get("GET" if method == "HEAD" else method)
            if name is not None:
                return Found(OPERATIONS[name], segments[0], labels)
            allowed |= methods.keys()
    if allowed:
        names = ", ".join(sorted(allowed))
        raise MethodNotAllowedException(f"The method must be one of {names}.", [("Allow", names)])
    raise UnknownOperationException("No DICOMweb operation has this path.")


def _decoded(segment: bytes) -> str:
    if len(segment) > LONGEST_LABEL:
        raise ValidationException(f"A segment of the path is longer than {LONGEST_LABEL} bytes.")
    try:
        text = unquote(segment.decode("ascii"), errors="strict")
    except UnicodeDecodeError:
        raise ValidationException("The path must be percent-encoded UTF-8.") from None
    if "\0" in text:
        raise ValidationException("The path must not contain a zero byte.")
    return text


def _tree() -> dict[int, dict[tuple[str, ...], dict[str, str]]]:
    tree: dict[int, dict[tuple[str, ...], dict[str, str]]] = {}
    for method, path, name in ROUTES:
        template = tuple(path.split("/"))
        tree.setdefault(len(template), {}).setdefault(template, {})[method] = name
    return tree


_TREE = _tree()


def _labels(template: Sequence[str], segments: Sequence[str]) -> dict[str, str] | None:
    labels = {}
    for expected, given in zip(template, segments, strict=True):
        if expected.startswith("{"):
            if not given:
                return None
            labels[expected[1:-1]] = given
        elif expected != given:
            return None
    return labels
