"""Which path is which DICOMweb operation (PS3.18 chapter 10).

    GET /datastore/<id>/studies/1.2/series/1.3  ─▶  find  ─▶  Found(Route(SearchDICOM…), {"study": "1.2", …})

The path is cut at its slashes before a segment is decoded, as for the native API.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from hounsfield.api.dicomweb.operations import OPERATIONS, Operation
from hounsfield.api.dicomweb.resources import ROUTES, Route, routes
from hounsfield.aws.protocol.errors import MethodNotAllowedException, UnknownOperationException, ValidationException

LONGEST_LABEL = 4096
_PLAIN = re.compile(rb"[0-9A-Za-z.,/]*")
"""Paths with nothing to decode in them, as those of UIDs are."""

_NUMBERS = re.compile(rb"(?:[0-9,]|%2[Cc])*")
"""A frame list, which may be as long as a request line: one of its 10,000 numbers takes some five characters."""

DOORWAYS = frozenset(path.partition("/")[0].encode() for _, path, _ in ROUTES if path)
"""First segments below a data store that are DICOMweb's."""


def is_dicomweb(method: str, raw_path: bytes) -> bool:
    """Tell whether a request is for this door."""
    segments = raw_path.split(b"/", 4)
    if method == "OPTIONS" and segments[1:2] == [b"datastore"] and (len(segments) == 3 or segments[3:] == [b""]):
        return True
    return len(segments) > 3 and segments[1] == b"datastore" and segments[3] in DOORWAYS


@dataclass(frozen=True, slots=True)
class Found:
    """An operation found for a request, the data store and the labels of its path."""

    operation: Operation
    datastore_id: str
    labels: Mapping[str, str]


def find(method: str, raw_path: bytes, *, deletes: bool = False) -> Found:
    """Find the operation of a request.

    Parameters
    ----------
    method : str
        HTTP method.
    raw_path : bytes
        Path as it was sent.
    deletes : bool
        Whether the installation allows DELETE.

    Raises
    ------
    UnknownOperationException
        No operation has the path.
    MethodNotAllowedException
        The path has operations, but not with this method.
    ValidationException
        A segment of the path is not UTF-8 or too long.
    """
    segments = _segments(raw_path)
    if len(segments) > 1 and segments[-1] == "":
        segments.pop()
    allowed: set[str] = set()
    for template in _TREES[deletes].get(len(segments) - 1, ()):
        labels = template.labels_of(segments)
        if labels is not None:
            name = template.operations.get("GET" if method == "HEAD" else method)
            if name is not None:
                return Found(OPERATIONS[name], segments[0], labels)
            allowed |= template.operations.keys()
    if allowed:
        names = ", ".join(sorted(allowed))
        raise MethodNotAllowedException(f"The method must be one of {names}.", [("Allow", names)])
    raise UnknownOperationException("No DICOMweb operation has this path.")


def _segments(raw_path: bytes) -> list[str]:
    """Cut the path below ``/datastore/`` at its slashes and decode what lies between them."""
    if len(raw_path) <= LONGEST_LABEL and _PLAIN.fullmatch(raw_path):
        return raw_path.decode("ascii").split("/")[2:]
    return [_decoded(segment) for segment in raw_path.split(b"/")[2:]]


def _decoded(segment: bytes) -> str:
    if len(segment) > LONGEST_LABEL and not _NUMBERS.fullmatch(segment):
        raise ValidationException(f"A segment of the path is longer than {LONGEST_LABEL} bytes.")
    try:
        text = unquote(segment.decode("ascii"), errors="strict")
    except UnicodeDecodeError:
        raise ValidationException("The path must be percent-encoded UTF-8.") from None
    if "\0" in text:
        raise ValidationException("The path must not contain a zero byte.")
    return text


@dataclass(frozen=True, slots=True)
class _Template:
    """A path of routes, cut at its slashes: what stands where, which places are labels, and the operation of each method.

    Places are counted from that of the data store, which is 0.
    """

    words: tuple[tuple[int, str], ...]
    labels: tuple[tuple[int, str], ...]
    operations: dict[str, str]

    def labels_of(self, segments: Sequence[str]) -> dict[str, str] | None:
        """Give the labels of a path of as many segments as this one; None for another path."""
        for place, word in self.words:
            if segments[place] != word:
                return None
        labels = {name: segments[place] for place, name in self.labels}
        return labels if all(labels.values()) else None


def _tree(offered: Sequence[Route]) -> dict[int, list[_Template]]:
    """Order routes by the number of the segments of their paths below the data store."""
    paths: dict[str, dict[str, str]] = {}
    for method, path, name in offered:
        paths.setdefault(path, {})[method] = name
    tree: dict[int, list[_Template]] = {}
    for path, operations in paths.items():
        parts = list(enumerate(path.split("/"), start=1)) if path else []
        words = tuple((place, part) for place, part in parts if not part.startswith("{"))
        labels = tuple((place, part[1:-1]) for place, part in parts if part.startswith("{"))
        tree.setdefault(len(parts), []).append(_Template(words, labels, operations))
    return tree


_TREES = {deletes: _tree(routes(deletes=deletes)) for deletes in (False, True)}
