"""Searches for image sets: what the form of the page asks for, as the criteria of SearchImageSets.

    ?by=DICOMPatientId&value=P-1&date=updatedAt&from=2024-01-01&sort=createdAt
        └── one filter EQUAL ──┘ └──── one filter BETWEEN ────┘ └─ the order ─┘

SearchImageSets takes one filter of each kind, so the form has one of each.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from hounsfield.console.dicom_dates import read_date

ATTRIBUTES: Final[Mapping[str, str]] = {
    "DICOMPatientId": "Patient ID",
    "DICOMAccessionNumber": "Accession number",
    "DICOMStudyId": "Study ID",
    "DICOMStudyInstanceUID": "Study Instance UID",
    "DICOMSeriesInstanceUID": "Series Instance UID",
    "primary": "Primary",
    "other": "Not primary",
    "DICOMStudyDateAndTime": "Study date as it is stored",
    "createdAt": "Created at this second",
    "updatedAt": "Changed at this second",
}
"""What a filter EQUAL may be of."""
WITHOUT_VALUE: Final = frozenset({"primary", "other"})
DATES: Final[Mapping[str, str]] = {
    "DICOMStudyDateAndTime": "Study date",
    "updatedAt": "Changed",
    "createdAt": "Created",
}
"""What a filter BETWEEN may be of, and the order."""
DEFAULT_SORT: Final = "-updatedAt"
_STUDY_DATE: Final = "DICOMStudyDateAndTime"
_EARLIEST: Final = "0001-01-01"
_LATEST: Final = "9999-12-31"
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME: Final = re.compile(r"[0-9]{2}:[0-9]{2}(?::[0-9]{2})?")


@dataclass(frozen=True, slots=True)
class ImageSetFilters:
    """What image sets are searched for.

    Attributes
    ----------
    by, value : str
        A key of `ATTRIBUTES`, and what it must be; empty for any.
    date : str
        A key of `DATES`.
    begin, end : str
        Days that it must lie between, as forms give them; empty for an open end.
    begin_time, end_time : str
        Times of these days; empty for their beginning and their end.
    sort : str
        A key of `DATES`, with ``-`` before it for the latest first.
    """

    by: str = ""
    value: str = ""
    date: str = _STUDY_DATE
    begin: str = ""
    end: str = ""
    begin_time: str = ""
    end_time: str = ""
    sort: str = DEFAULT_SORT

    @classmethod
    def of_query(cls, query: Mapping[str, str]) -> ImageSetFilters:
        """Return what the query of an address asks for."""
        given = {name: query.get(name, "").strip() for name in ("by", "value", "from", "to", "from_time", "to_time")}
        by = given["by"] if given["by"] in ATTRIBUTES else ""
        date, sort = query.get("date", ""), query.get("sort", "")
        return cls(
            by,
            "" if by in WITHOUT_VALUE else given["value"],
            date if date in DATES else _STUDY_DATE,
            given["from"],
            given["to"],
            given["from_time"],
            given["to_time"],
            sort if sort.removeprefix("-") in DATES else DEFAULT_SORT,
        )

    @property
    def has_attribute(self) -> bool:
        """Whether an attribute is asked for."""
        return bool(self.by in WITHOUT_VALUE or (self.by and self.value))

    @property
    def has_range(self) -> bool:
        """Whether a range of days is asked for."""
        return bool(self.begin or self.end)

    def criteria(self) -> Mapping[str, Any]:
        """Return the criteria of SearchImageSets.

        Raises
        ------
        ValueError
            What was typed is no day or no time; the text says so.
        """
        filters = []
        if self.has_attribute:
            filters.append({"operator": "EQUAL", "values": [self._equal()]})
        if self.has_range:
            filters.append({"operator": "BETWEEN", "values": self._bounds()})
        order = "DESC" if self.sort.startswith("-") else "ASC"
        return {
            **({"filters": filters} if filters else {}),
            "sort": {"sortField": self.sort.removeprefix("-"), "sortOrder": order},
        }

    def _equal(self) -> Mapping[str, Any]:
        if self.by in WITHOUT_VALUE:
            return {"isPrimary": self.by == "primary"}
        if self.by == _STUDY_DATE:
            return {self.by: {"DICOMStudyDate": read_date(self.value)}}
        if self.by in DATES:
            return {self.by: _seconds(self.value)}
        return {self.by: self.value}

    def _bounds(self) -> list[Mapping[str, Any]]:
        if self.date == _STUDY_DATE:
            return [
                {self.date: _study_moment(self.begin or _EARLIEST, self.begin_time, "")},
                {self.date: _study_moment(self.end or _LATEST, self.end_time, "235959.999999")},
            ]
        begin = f"{self.begin or '1970-01-01'}T{self.begin_time or '00:00:00'}"
        end = f"{self.end or _LATEST}T{self.end_time or '23:59:59'}"
        return [{self.date: _seconds(begin)}, {self.date: _seconds(end)}]


def _study_moment(day: str, clock: str, default: str) -> Mapping[str, str]:
    if not _DAY.fullmatch(day):
        raise ValueError(f"“{day}” is no day. It has the form 2024-01-31.")
    if clock and not _TIME.fullmatch(clock):
        raise ValueError(f"“{clock}” is no time. It has the form 10:30 or 10:30:59.")
    text = clock.replace(":", "") or default
    return {"DICOMStudyDate": read_date(day), **({"DICOMStudyTime": text} if text else {})}


def _seconds(text: str) -> float:
    """Return seconds since 1970-01-01 UTC; a moment without a time zone is in UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"“{text}” is no moment. It has the form 2024-01-31T10:30:59Z.") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
