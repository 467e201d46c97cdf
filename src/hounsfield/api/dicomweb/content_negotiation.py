"""Content negotiation: the Accept header and the ``accept`` parameter (PS3.18 section 8.3.3, RFC 9110 section 12.5.1).

multipart/related; type="image/jphc"; transfer-syntax=1.2.840.10008.1.2.4.202; q=0.9
└─ media range ──┘ └ of each part ┘ └ of the pixel data ──────────────────┘ └ preference
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from hounsfield.aws.protocol.errors import ValidationException

MULTIPART = "multipart/related"
DICOM = "application/dicom"
DICOM_JSON = "application/dicom+json"
DICOM_XML = "application/dicom+xml"
JSON = "application/json"
OCTET_STREAM = "application/octet-stream"
ZIP = "application/zip"
MOST_RANGES = 64
LONGEST_ACCEPT = 8192

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - a token of HTTP's grammar
_PARAMETER = re.compile(rf';\s*(?:({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;,"\s]+)))?\s*')
_RANGE = re.compile(rf"\s*({_TOKEN})/({_TOKEN})\s*")
_MARK = re.compile(r'[",]|\\.')
_FORM = "What the request accepts must be media types with ',' between them."


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One entry of an Accept header.

    Attributes
    ----------
    kind : str
        Media type in lower case; may be ``*/*`` or ``image/*``.
    parameters : Mapping of str to str
        Its parameters without ``q``, names in lower case.
    quality : float
        Preference from 0 to 1; 0 refuses.
    """

    kind: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    quality: float = 1.0

    @property
    def is_multipart(self) -> bool:
        """Whether it asks for parts."""
        return self.kind == MULTIPART

    @property
    def part_kind(self) -> str:
        """Media type of what is asked for, in parts or not; ``*/*`` where a multipart range does not say."""
        return self.parameters.get("type", "*/*").lower() if self.is_multipart else self.kind

    @property
    def transfer_syntax(self) -> str | None:
        """The transfer syntax asked for, ``*`` for the stored one, None where it is not said."""
        return self.parameters.get("transfer-syntax") or None

    def covers(self, kind: str) -> bool:
        """Return whether a media type lies in the range that the parts, or the single answer, must have."""
        wanted = self.part_kind
        return wanted in {kind, "*/*"} or (wanted.endswith("/*") and kind.startswith(wanted[:-1]))


def accepted(header: str | None, query: Sequence[str]) -> Sequence[MediaRange]:
    """Return what a request accepts, the most preferred first; everything where it does not say.

    Parameters
    ----------
    header : str or None
        The Accept header.
    query : sequence of str
        Values of the query parameter ``accept``, which win over the header (PS3.18 section 8.3.3.2).

    Raises
    ------
    ValidationException
        It is too long or not of the form of an Accept header. Elements that are not are passed over beside one that is.
    """
    return preferred(accept_text(header, query))


def accept_text(header: str | None, query: Sequence[str]) -> str:
    """Return what a request accepts, as one text; parameters and errors are those of `accepted`."""
    text = ",".join(query) if query else (header or "")
    if len(text) > LONGEST_ACCEPT:
        raise ValidationException(f"What the request accepts is longer than {LONGEST_ACCEPT} characters.")
    return text


@lru_cache(maxsize=256)
def preferred(text: str) -> tuple[MediaRange, ...]:
    """Read an Accept header, the most preferred first; a viewer sends the same one with thousands of requests."""
    if not text.strip():
        return (MediaRange("*/*"),)
    return tuple(sorted(_ranges(text), key=lambda entry: -entry.quality))


def acceptable(ranges: Sequence[MediaRange], kind: str, *, parts: bool | None = None) -> bool:
    """Return whether a media type may be the answer.

    Parameters
    ----------
    ranges : sequence of MediaRange
        What the request accepts.
    kind : str
        Media type.
    parts : bool or None
        Whether it would come in parts; None where both are looked for.
    """
    return any(
        entry.quality > 0
        and entry.covers(kind)
        and (parts is None or entry.is_multipart is parts or entry.kind == "*/*")
        and not refused(ranges, kind, parts=entry.is_multipart)
        for entry in ranges
    )


def refused(ranges: Sequence[MediaRange], kind: str, transfer_syntax: str | None = None, *, parts: bool) -> bool:
    """Return whether a request says of a media type that it is not to come: ``q=0``, and nothing as exact accepts it.

    Parameters
    ----------
    ranges : sequence of MediaRange
        What the request accepts.
    kind : str
        Media type, of the parts where there are any.
    transfer_syntax : str or None
        Transfer syntax of the pixel data, where there is any.
    parts : bool
        Whether it would come in parts.
    """
    against = [entry for entry in ranges if entry.quality == 0]
    if not against:
        return False
    concerned = [
        entry
        for entry in ranges
        if entry.covers(kind)
        and entry.transfer_syntax in {None, transfer_syntax}
        # Who wants no octets wants none in parts either.
        and (
            not entry.is_multipart or parts
            if entry.quality == 0
            else entry.is_multipart is parts or entry.kind == "*/*"
        )
    ]
    exactest = max((_exactness(entry) for entry in concerned), default=0)
    return bool(concerned) and all(entry.quality == 0 for entry in concerned if _exactness(entry) == exactest)


def _exactness(entry: MediaRange) -> int:
    """Rank how exactly a range says what it means (RFC 9110 section 12.5.1)."""
    if entry.kind == "*/*":
        return 0
    return (1 if entry.part_kind.endswith("*") else 2) + (entry.transfer_syntax is not None)


def _ranges(text: str) -> Iterator[MediaRange]:
    """Read the elements of an Accept header; what is malformed is passed over as long as something is not."""
    elements = [element for element in _elements(text) if element.strip()]
    if len(elements) > MOST_RANGES:
        raise ValidationException(f"A request may accept at most {MOST_RANGES} media types.")
    malformed: ValidationException | None = None
    readable = 0
    for element in elements:
        try:
            entry = _range(element)
        except ValidationException as error:
            malformed = error
        else:
            readable += 1
            yield entry
    if not readable:
        raise malformed or ValidationException(_FORM)


def _elements(text: str) -> Iterator[str]:
    """Cut a header at its commas, but for those in quotes."""
    start, quoted = 0, False
    for mark in _MARK.finditer(text):
        if mark[0] == '"':
            quoted = not quoted
        elif mark[0] == "," and not quoted:
            yield text[start : mark.start()]
            start = mark.end()
    yield text[start:]


def _range(text: str) -> MediaRange:
    found = _RANGE.match(text)
    if found is None:
        raise ValidationException(_FORM)
    parameters, at = _parameters(text, found.end())
    if at < len(text):
        raise ValidationException(_FORM)
    return MediaRange(f"{found[1]}/{found[2]}".lower(), parameters, _quality(parameters.pop("q", "1")))


def _parameters(text: str, at: int) -> tuple[dict[str, str], int]:
    parameters: dict[str, str] = {}
    while found := _PARAMETER.match(text, at):
        at = found.end()
        if found[1] is not None:
            quoted = None if found[2] is None else re.sub(r"\\(.)", r"\1", found[2])
            parameters.setdefault(found[1].lower(), (quoted if quoted is not None else found[3]).strip())
    return parameters, at


def _quality(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        raise ValidationException("The preference q of a media type must be a number from 0 to 1.") from None


def content_type(text: str) -> MediaRange:
    """Read a Content-Type header (RFC 9110 section 8.3).

    Raises
    ------
    ValidationException
        It is not one.
    """
    try:
        return _range(text[:LONGEST_ACCEPT])
    except ValidationException:
        raise ValidationException("Content-Type must be one media type.") from None
