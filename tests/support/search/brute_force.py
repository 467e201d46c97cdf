"""SearchImageSets against a brute-force filter over what all image sets tell of themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

from support.files.synthetic import slice_of
from support.imaging.import_folders import fill, import_folder
from support.imaging.imports import image_sets
from support.servers import ServerProcess

Summary = dict[str, Any]

ATTRIBUTES = {
    "DICOMPatientId": "DICOMPatientId",
    "DICOMAccessionNumber": "DICOMAccessionNumber",
    "DICOMStudyId": "DICOMStudyId",
    "DICOMStudyInstanceUID": "DICOMStudyInstanceUID",
    "DICOMSeriesInstanceUID": "DICOMSeriesInstanceUID",
}
TIMES = ("0000", "080000", "080000.5", "101112", "235959.999999", "")


def populate(server: ServerProcess, client: Any, datastore_id: str, folder: str) -> None:
    """Import 24 series of 12 studies of 4 patients, and two conflicting ones, in three jobs."""
    for part in range(3):
        slices = []
        for study in range(4 * part, 4 * part + 4):
            elements = {
                "PatientID": f"P-{study % 4}",
                "AccessionNumber": f"A-{study}",
                "StudyID": f"S-{study % 3}",
                "StudyDate": f"202401{study % 5 + 10}",
                "StudyTime": TIMES[study % len(TIMES)],
            }
            slices += [slice_of(series, 1, study=200 + study, **elements) for series in (1, 2)]
        fill(server, f"{folder}-{part}", slices)
        assert import_folder(server, client, datastore_id, f"{folder}-{part}").failure == []
    conflicting = [slice_of(series, 2, study=200, PatientID="p-0") for series in (1, 2)]
    fill(server, f"{folder}-conflict", conflicting)
    assert import_folder(server, client, datastore_id, f"{folder}-conflict").failure == []


def found(client: Any, datastore_id: str, page: int = 50, **criteria: Any) -> list[Summary]:
    """Search, page by page."""
    pages = client.get_paginator("search_image_sets").paginate(
        datastoreId=datastore_id, searchCriteria=criteria, PaginationConfig={"PageSize": page}
    )
    entries = []
    for answer in pages:
        assert len(answer["imageSetsMetadataSummaries"]) <= page
        entries += answer["imageSetsMetadataSummaries"]
    return entries


def equal(member: str, value: Any) -> dict[str, Any]:
    return {"operator": "EQUAL", "values": [{member: value}]}


def between(member: str, lower: Any, upper: Any) -> dict[str, Any]:
    return {"operator": "BETWEEN", "values": [{member: lower}, {member: upper}]}


def moment(date: str, time: str = "") -> dict[str, str]:
    return {"DICOMStudyDate": date, "DICOMStudyTime": time} if time else {"DICOMStudyDate": date}


def study_moment(entry: Summary) -> str:
    """Study date and time as digits that sort by time; no time is the start of the day."""
    seconds, _, fraction = entry["DICOMTags"].get("DICOMStudyTime", "").partition(".")
    return f"{entry['DICOMTags']['DICOMStudyDate']}{seconds:0<6}{fraction:0<6}"


def criteria(everything: list[Summary]) -> Iterator[tuple[dict[str, Any], Callable[[Summary], bool]]]:
    """Return each filter with the predicate that it stands for."""
    for member, tag in ATTRIBUTES.items():
        for value in sorted({entry["DICOMTags"][tag] for entry in everything}):
            yield equal(member, value), lambda entry, tag=tag, value=value: entry["DICOMTags"][tag] == value
        yield equal(member, "9.9.9"), lambda _: False
    for value in (True, False):
        yield equal("isPrimary", value), lambda entry, value=value: entry["isPrimary"] is value
    for lower, upper in (
        (moment("20240101"), moment("20251231")),
        (moment("20240111"), moment("20240112")),
        (moment("20240110", "080000"), moment("20240113", "101112")),
        (moment("20240110", "0800"), moment("20240110", "080000.5")),
        (moment("20240114", "235959"), moment("20240114", "235959.999999")),
        (moment("20240114"), moment("20240110")),
    ):
        low, high = (_digits(bound) for bound in (lower, upper))
        yield (
            between("DICOMStudyDateAndTime", lower, upper),
            lambda entry, low=low, high=high: low <= study_moment(entry) <= high,
        )
    yield equal("DICOMStudyDateAndTime", moment("20240111")), lambda e: e["DICOMTags"]["DICOMStudyDate"] == "20240111"


def _digits(bound: dict[str, str]) -> str:
    seconds, _, fraction = bound.get("DICOMStudyTime", "").partition(".")
    return f"{bound['DICOMStudyDate']}{seconds:0<6}{fraction:0<6}"


def moments(everything: list[Summary]) -> Iterator[tuple[dict[str, Any], Callable[[Summary], bool]]]:
    """Return filters over the times of the service, which boto3 sends in whole seconds: the last one is within the range."""
    for member in ("createdAt", "updatedAt"):
        times = sorted(entry[member] for entry in everything)
        middle = times[len(times) // 2].replace(microsecond=0)
        ranges = [(middle, times[-1] + timedelta(seconds=1)), (times[0] - timedelta(hours=1), middle)]
        ranges += [(times[0], times[-1]), (times[-1] + timedelta(seconds=2), times[-1] + timedelta(days=1))]
        for lower, upper in ranges:
            low, high = lower.replace(microsecond=0), upper.replace(microsecond=0)
            yield (
                between(member, lower, upper),
                lambda entry, member=member, low=low, high=high: low <= entry[member] < high + timedelta(seconds=1),
            )


def check_filters(client: Any, datastore_id: str) -> int:
    """Compare every filter, and every pair of an attribute and a range; return how many were compared."""
    everything = image_sets(client, datastore_id)
    single = [*criteria(everything), *moments(everything)]
    attributes = [entry for entry in single if entry[0]["operator"] == "EQUAL"]
    ranges = [entry for entry in single if entry[0]["operator"] == "BETWEEN"]
    pairs = [(a, b) for number, a in enumerate(attributes[::3]) for b in ranges[number % 2 :: 2]]
    cases = [([f], p) for f, p in single]
    cases += [([a[0], b[0]], lambda entry, a=a, b=b: a[1](entry) and b[1](entry)) for a, b in pairs]
    for filters, predicate in cases:
        ids = [entry["imageSetId"] for entry in found(client, datastore_id, filters=filters)]
        assert len(set(ids)) == len(ids), filters
        assert set(ids) == {entry["imageSetId"] for entry in everything if predicate(entry)}, filters
    return len(cases)


def check_sorts(client: Any, datastore_id: str, page: int) -> None:
    """Check each order, page by page: everything once, in order."""
    keys: dict[str, Callable[[Summary], Any]] = {
        "updatedAt": lambda entry: entry["updatedAt"],
        "createdAt": lambda entry: entry["createdAt"],
        "DICOMStudyDateAndTime": lambda entry: entry["DICOMTags"]["DICOMStudyDate"],
    }
    everything = {entry["imageSetId"] for entry in image_sets(client, datastore_id)}
    for field, key in keys.items():
        for order in ("ASC", "DESC"):
            entries = found(client, datastore_id, page, sort={"sortField": field, "sortOrder": order})
            assert {entry["imageSetId"] for entry in entries} == everything
            assert len(entries) == len(everything)
            values = [key(entry) for entry in entries]
            assert all((a <= b) if order == "ASC" else (a >= b) for a, b in pairwise(values)), (field, order)
