"""Irregular files through HTTP: what is stored of them, said of them, found and given back."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pydicom
import pytest

from support.clients.dicomweb import part10, root, session, store, values, web_client
from support.files.synthetic import slice_of, uid
from support.servers import ServerProcess

STRAY = struct.pack("<HHL", 0xFFFE, 0xE00D, 0)


def with_vr(data: bytes, keyword: str, vr: bytes) -> bytes:
    """Write other letters where the VR of an element stands."""
    tag = pydicom.tag.Tag(keyword)
    at = data.index(struct.pack("<HH", tag.group, tag.element) + pydicom.datadict.dictionary_VR(tag).encode()) + 4
    return data[:at] + vr + data[at + 2 :]


def with_vrs(data: bytes, vrs: dict[str, bytes]) -> bytes:
    """Write other letters where the VRs of several elements stand."""
    for keyword, vr in vrs.items():
        data = with_vr(data, keyword, vr)
    return data


def with_second_syntax(data: bytes, syntax: str) -> bytes:
    """Write a Transfer Syntax UID at the beginning of the data set."""
    start = data.index(struct.pack("<HH2s", 0x0008, 0x0008, b"CS"))
    value = syntax.encode() + b"\0" * (len(syntax) & 1)
    return data[:start] + struct.pack("<HH2sH", 0x0002, 0x0010, b"UI", len(value)) + value + data[start:]


IRREGULAR = {
    "vr-dashes": lambda data: with_vr(data, "BodyPartExamined", b"--"),
    "vr-lower": lambda data: with_vr(data, "StudyDescription", b"lo"),
    "vr-of-first-element": lambda data: with_vr(data, "ImageType", b"--"),
    "vr-of-first-element-is-zeros": lambda data: with_vr(data, "ImageType", b"\0\0"),
    "vr-of-first-element-of-item": lambda data: with_vr(data, "ReferencedSOPClassUID", b"ui"),
    "vr-of-neighbours": lambda data: with_vrs(
        data, dict.fromkeys(("StudyDate", "StudyTime", "AccessionNumber", "Modality"), b"--")
    ),
    "vr-of-neighbours-differs": lambda data: with_vrs(data, {"ImageType": b"??", "SOPClassUID": b"--"}),
    "vr-of-all-in-item": lambda data: with_vrs(
        data, {"ReferencedSOPClassUID": b"  ", "ReferencedSOPInstanceUID": b"\0\0"}
    ),
    "delimiter-at-end": lambda data: data + STRAY,
    "second-syntax": lambda data: with_second_syntax(data, "1.2.840.10008.1.2.4.70"),
    "second-syntax-implicit": lambda data: with_second_syntax(data, "1.2.840.10008.1.2"),
}


@pytest.mark.parametrize("name", IRREGULAR)
def test_an_irregular_file_is_stored_with_a_warning_and_given_back_whole(
    server: ServerProcess, datastore: str, name: str
) -> None:
    sent = slice_of()
    referenced = pydicom.Dataset()
    referenced.ReferencedSOPClassUID, referenced.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "2.25.8"
    sent.ReferencedImageSequence = [referenced]
    answer = store(server, datastore, [IRREGULAR[name](part10(sent))])
    assert answer.status_code == 200
    (item,) = values(answer.json(), "00081199")
    assert values(item, "00081196") in ([0xB000], [0xB006])
    got = web_client(server, datastore).retrieve_instance(uid(1), uid(1, 1), uid(1, 1, 1))
    assert got.pixel_array.tobytes() == sent.pixel_array.tobytes()
    for keyword in (element.keyword for element in sent if element.keyword != "PixelData"):
        assert str(got[keyword].value) == str(sent[keyword].value), keyword
    assert {element.keyword for element in got} == {element.keyword for element in sent}


def test_pixels_that_look_like_an_element_are_not_taken_for_the_value_of_one(
    server: ServerProcess, datastore: str
) -> None:
    """A broken VR read as a length of 32 bits leads into the pixels; behind them all is zero, as what fills up a block."""
    pixels = np.zeros((1000, 600), "<u2")
    sent = slice_of(pixels=pixels, SmallestImagePixelValue=0)
    whole = part10(sent)
    header = whole.index(struct.pack("<HH2sH", 0x0028, 0x0106, b"US", 2))
    whole = whole[: header + 4] + b"--" + whole[header + 6 :]
    lands = header + 8 + struct.unpack_from("<L", whole, header + 4)[0]
    file = whole[:lands] + struct.pack("<HHL", 0x0028, 0x1050, 4) + whole[lands + 8 :]
    assert store(server, datastore, [file]).status_code == 200
    got = web_client(server, datastore).retrieve_instance(uid(1), uid(1, 1), uid(1, 1, 1))
    assert got.pixel_array.tobytes() == file[-pixels.nbytes :]


def test_dates_and_times_of_older_files_are_found_and_group_as_those_of_today(
    server: ServerProcess, client: Any, datastore: str
) -> None:
    old = slice_of(number=1)
    old.StudyDate, old.StudyTime, old.PatientBirthDate = "2003.05.17", "13:45:10", "1960.01.02"
    new = slice_of(number=2, StudyDate="20030517", StudyTime="134510", PatientBirthDate="19600102")
    for dataset in (old, new):
        assert store(server, datastore, [part10(dataset)]).status_code == 200
    (found,) = client.search_image_sets(
        datastoreId=datastore,
        searchCriteria={
            "filters": [
                {
                    "operator": "BETWEEN",
                    "values": [
                        {"DICOMStudyDateAndTime": {"DICOMStudyDate": "20030517", "DICOMStudyTime": "134510"}},
                        {"DICOMStudyDateAndTime": {"DICOMStudyDate": "20030517", "DICOMStudyTime": "134510"}},
                    ],
                }
            ]
        },
    )["imageSetsMetadataSummaries"]
    assert found["isPrimary"]
    assert found["DICOMTags"]["DICOMNumberOfStudyRelatedInstances"] == 2
    for query in ("StudyDate=20030517", "StudyTime=1345-1346", "PatientBirthDate=19600102"):
        (study,) = session(server).get(f"{root(server, datastore)}/studies?{query}", timeout=60).json()
        assert values(study, "00080020") == ["20030517"]
