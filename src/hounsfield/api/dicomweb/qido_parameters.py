"""Query parameters of a search (PS3.18 section 8.3.4): what must match, what is included, and which part of the results.

PatientName=ROE*&00080020=20240101-&includefield=00081030,00081032&limit=25&offset=50&fuzzymatching=true
└ keys, by keyword or tag ────────┘ └ also all, paths, private ─┘ └ 1 to 1000
orderby=-StudyDate ─▶ studies, the latest first
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from hounsfield.api.dicomweb.query_parameters import says_how
from hounsfield.api.dicomweb.request import Call
from hounsfield.api.dicomweb.study_order import study_order
from hounsfield.aws.protocol.errors import ValidationException
from hounsfield.dicom.json.includefield import parse_includefield, tag_named
from hounsfield.dicom.values.dictionary import is_private_creator, key_of
from hounsfield.imaging.search.attribute_matching import Criterion, parse_match, takes_list
from hounsfield.imaging.search.dicom import MOST_RESULTS, MOST_SKIPPED, DicomSearch
from hounsfield.imaging.search.search_keys import SEARCH_KEYS, SearchLevel, keys_of

MOST_INCLUDED: Final = 50

_INCLUDE, _FUZZY, _LIMIT, _OFFSET = "includefield", "fuzzymatching", "limit", "offset"
_OTHERS: Final = frozenset({_INCLUDE, _FUZZY, _LIMIT, _OFFSET, "accept"})
_NUMBER: Final = re.compile(r"[0-9]{1,19}")


def parse_search(call: Call, level: SearchLevel, *, any_case: bool = False) -> DicomSearch:
    """Read a search from a request.

    Parameters
    ----------
    call : Call
        The request; its path may name a study and a series.
    level : SearchLevel
        What is searched for.
    any_case : bool
        Whether descriptions match without regard to case.

    Raises
    ------
    ValidationException
        A parameter is not known, is given twice, or has a value that it cannot have.
    InvalidRequestError
        A value is not one of its search key.
    """
    values = _match_values(call)
    criteria: list[Criterion] = []
    names = _included_names(call)
    creators: dict[int, str] = {}
    fuzzy = _is_fuzzy(call)
    for tag, value in values.items():
        key = SEARCH_KEYS.get(tag)
        if is_private_creator(tag):
            creators[tag] = value.strip()
        elif key is not None and key.level <= level:
            match = parse_match(key, value, fuzzy=fuzzy, any_case=any_case)
            if match is not None:
                criteria.append(Criterion(key, match))
            else:
                names.append(key.keyword)
        elif value.strip("* "):
            known = ", ".join(sorted(known.keyword for known in keys_of(level)))
            raise ValidationException(f"{key_of(tag)} is no search key of this search. Its search keys are {known}.")
        else:
            # What matches everything is only to be told (PS3.4 section C.2.2.2.3).
            names.append(key_of(tag))
    return DicomSearch(
        datastore_id=call.datastore_id,
        level=level,
        study_uid=call.labels.get("study"),
        series_uid=call.labels.get("series"),
        criteria=tuple(criteria),
        included=parse_includefield(names, creators),
        offset=_number(call, _OFFSET, 0, MOST_SKIPPED, 0),
        # Whoever asks for more than the maximum is given that (PS3.18 section 8.3.4.4).
        limit=min(_number(call, _LIMIT, 1, None, MOST_RESULTS), MOST_RESULTS),
        order=study_order(call.query) if level is SearchLevel.STUDY else None,
    )


def _match_values(call: Call) -> Mapping[int, str]:
    values: dict[int, str] = {}
    for name, value in call.query:
        if name.lower() in _OTHERS or name.startswith("X-Amz-") or says_how(name):
            continue
        tag = tag_named(name)
        if tag is None:
            raise ValidationException(
                f"The query parameter {name[:64]} is neither a DICOM keyword, nor a tag of eight hexadecimal digits, nor one "
                f"of {', '.join(sorted(_OTHERS))}."
            )
        if tag not in values:
            values[tag] = value
        elif takes_list(SEARCH_KEYS.get(tag)):
            values[tag] += f",{value}"
        else:
            raise ValidationException(f"The search key {key_of(tag)} is given more than once.")
    return values


def _included_names(call: Call) -> list[str]:
    given = [name.strip() for key, value in call.query if key.lower() == _INCLUDE for name in value.split(",")]
    names = list(dict.fromkeys(name for name in given if name))
    if len(names) > MOST_INCLUDED:
        raise ValidationException(f"{_INCLUDE} names {len(names)} attributes, at most {MOST_INCLUDED} may be named.")
    return names


def _is_fuzzy(call: Call) -> bool:
    value = call.parameter(_FUZZY)
    if value is None:
        return False
    if value.lower() not in ("true", "false"):
        raise ValidationException(f"{_FUZZY} must be true or false.")
    return value.lower() == "true"


def _number(call: Call, name: str, least: int, most: int | None, default: int) -> int:
    value = call.parameter(name)
    if value is None:
        return default
    if not _NUMBER.fullmatch(value) or int(value) < least or (most is not None and int(value) > most):
        bounds = f"of {least} or more" if most is None else f"from {least} to {most}"
        raise ValidationException(f"{name} must be a number {bounds}.")
    return int(value)
