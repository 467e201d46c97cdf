"""Searches for studies: what the form of the page asks for, as parameters of SearchDICOMStudies, and the quick search.

?name=doe&from=2024-01-01&sort=-StudyDate ─▶ StudyFilters ─▶ PatientName=doe*&StudyDate=20240101-&orderby=-StudyDate
?q=A-1 ─▶ quick_search: is it a patient ID, an accession number, a name, …? ─▶ ?accession=A-1
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hounsfield.console.calls import Calls, label
from hounsfield.console.dicom_dates import read_date
from hounsfield.console.person_names import read_person_name

Query = Sequence[tuple[str, object]]

SORTS: Final[Mapping[str, str]] = {
    "StudyDate": "Study date",
    "PatientName": "Patient",
    "PatientID": "Patient ID",
    "AccessionNumber": "Accession number",
    "StudyDescription": "Description",
}
"""By what studies can be ordered, by the keyword that SearchDICOMStudies takes; without one the last change is first."""
FIELDS: Final[Mapping[str, str]] = {
    "name": "Patient name",
    "patient_id": "Patient ID",
    "accession": "Accession number",
    "description": "Description",
    "modality": "Modality",
    "study_id": "Study ID",
    "study_uid": "Study Instance UID",
    "from": "Study date from",
    "to": "Study date to",
}
"""Fields of the form, and what they are called."""
_UID: Final = re.compile(r"[0-9]+(?:\.[0-9]+){2,}")
_IMAGE_SET_ID: Final = re.compile(r"[0-9a-z]{32}")
_WILDCARDS: Final = ("*", "?")


@dataclass(frozen=True, slots=True)
class StudyFilters:
    """What studies are searched for.

    Attributes
    ----------
    values : Mapping of str to str
        What the fields of the form have; those that are empty are left out.
    sort : str
        A key of `SORTS`, with ``-`` before it for the greatest first; empty for the last change first.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    sort: str = ""

    @classmethod
    def of_query(cls, query: Mapping[str, str]) -> StudyFilters:
        """Return what the query of an address asks for."""
        values = {name: text for name in FIELDS if (text := query.get(name, "").strip())}
        sort = query.get("sort", "")
        return cls(values, sort if sort.removeprefix("-") in SORTS else "")

    def parameters(self) -> Query:
        """Return the parameters of SearchDICOMStudies."""
        given = self.values.get
        dates = "-".join(read_date(given(end, "")) for end in ("from", "to"))
        return [
            ("PatientName", read_person_name(given("name", ""))),
            ("PatientID", given("patient_id")),
            ("AccessionNumber", given("accession")),
            ("StudyDescription", _part(given("description", ""))),
            ("ModalitiesInStudy", given("modality", "").upper()),
            ("StudyID", given("study_id")),
            ("StudyInstanceUID", given("study_uid")),
            ("StudyDate", dates if dates != "-" else ""),
            ("orderby", self.sort),
        ]


def _part(text: str) -> str:
    """Return the pattern of what has a text in it; one with wildcards is meant as it is."""
    return f"*{text}*" if text and not any(sign in text for sign in _WILDCARDS) else text


@dataclass(frozen=True, slots=True)
class Guess:
    """What a text of the quick search may be.

    Attributes
    ----------
    field : str
        The field of the form.
    text : str
        What that field then has.
    """

    field: str
    text: str


def guesses(text: str) -> tuple[Sequence[Guess], Sequence[Guess]]:
    """Return what a text may be: first all that it may be exactly, then what it may be a part of, the likeliest first."""
    exact = [Guess("patient_id", text), Guess("accession", text), Guess("study_id", text)]
    names = [Guess("name", text)]
    words = text.split()
    if len(words) > 1 and "," not in text and "^" not in text:
        names += [
            Guess("name", f"{words[-1]}, {' '.join(words[:-1])}"),
            Guess("name", f"{words[0]}, {' '.join(words[1:])}"),
        ]
    if "," not in text and not any(sign in text for sign in _WILDCARDS):
        names.append(Guess("name", f"*{text}*"))
    parts = [Guess("patient_id", f"{text}*"), Guess("accession", f"{text}*")]
    described = [Guess("description", text)]
    if any(letter.isdigit() for letter in text):
        return exact, [*parts, *names, *described]
    return exact, [*names, *described, *parts]


async def quick_search(calls: Calls, datastore_id: str, text: str) -> tuple[Guess | None, Sequence[str]]:
    """Find what a text of the quick search is.

    Returns
    -------
    tuple of Guess or None, and sequence of str
        What finds a study, None where nothing does; and the other fields of which it is a whole value.

    Raises
    ------
    ApiError
        The caller may not search, or the text cannot be searched for.
    """
    exact, others = guesses(text)
    found = [guess for guess in exact if await _finds(calls, datastore_id, guess)]
    if found:
        return found[0], [guess.field for guess in found[1:]]
    for guess in others:
        # To look for a pattern that begins anywhere means to read all names; an index of their words tells if that is in vain.
        is_in_vain = guess.text.startswith("*") and not await _begins_words(calls, datastore_id, text)
        if not is_in_vain and await _finds(calls, datastore_id, guess):
            return guess, ()
    return None, ()


async def find_study_of_uid(calls: Calls, datastore_id: str, uid: str) -> str | None:
    """Return the Study Instance UID of the study, series or instance that has a UID; None where there is none.

    Raises
    ------
    ApiError
        The caller may not search.
    """
    for path, key in (
        ("studies", "StudyInstanceUID"),
        ("series", "SeriesInstanceUID"),
        ("instances", "SOPInstanceUID"),
    ):
        found = await _first(calls, datastore_id, path, [(key, uid)])
        if found:
            return str(found[0]["0020000D"]["Value"][0])
    return None


def is_uid(text: str) -> bool:
    """Return whether a text looks like a UID."""
    return _UID.fullmatch(text) is not None


def is_image_set_id(text: str) -> bool:
    """Return whether a text has the form of the id of an image set."""
    return _IMAGE_SET_ID.fullmatch(text) is not None


async def _finds(calls: Calls, datastore_id: str, guess: Guess) -> bool:
    return bool(await _first(calls, datastore_id, "studies", StudyFilters({guess.field: guess.text}).parameters()))


async def _begins_words(calls: Calls, datastore_id: str, text: str) -> bool:
    return bool(await _first(calls, datastore_id, "studies", [("PatientName", text), ("fuzzymatching", "true")]))


async def _first(calls: Calls, datastore_id: str, path: str, parameters: Query) -> list[Any]:
    return await search_dicomweb(calls, datastore_id, path, [*parameters, ("limit", 1)])


async def search_dicomweb(calls: Calls, datastore_id: str, path: str, parameters: Query) -> list[Any]:
    """Return the results of a search, in DICOM JSON (QIDO-RS, PS3.18 section 10.6); raises `ApiError`."""
    answer = (await calls.get(f"/datastore/{label(datastore_id)}/{path}", parameters)).json()
    return answer if isinstance(answer, list) else []
