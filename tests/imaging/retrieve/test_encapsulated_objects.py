"""Encapsulated pixel data that is kept as one object: offset tables and the bounds of items come back byte for byte."""

from __future__ import annotations

import io
import struct
from typing import Any

import pydicom
import pytest

from support.clients.dicomweb import root, session, store, updated, values
from support.files.encapsulated import SEQUENCE_END, file_of, item, offsets, ramp
from support.files.synthetic import uid
from support.imaging.imports import image_sets
from support.servers import ServerProcess

UNKNOWN, H264 = uid(8, 8), "1.2.840.10008.1.2.4.102"
FRAGMENTS = [[b"\1" * 10, b"\2" * 6], [b"\3" * 8], [b"\4" * 2, b"", b"\5" * 12]]
"""Of three frames; one fragment is empty."""


def pixel_element(file: bytes) -> bytes:
    """Return the pixel data element of a file, from its tag to its end."""
    return file[file.index(struct.pack("<HH2s", 0x7FE0, 0x0010, b"OB")) :]


def sent(server: ServerProcess, datastore: str, file: bytes) -> str:
    answer = store(server, datastore, [file])
    assert answer.status_code == 200, answer.text
    (stored,) = answer.json()["00081199"]["Value"]
    return f"{root(server, datastore)}/studies/{values(stored, '00081190')[0].split('/studies/', 1)[1]}"


@pytest.mark.parametrize("syntax", [UNKNOWN, H264])
@pytest.mark.parametrize("table", [True, False], ids=["table", "no table"])
def test_table_and_items_come_back(
    server: ServerProcess, client: Any, datastore: str, syntax: str, table: bool
) -> None:
    file = file_of(FRAGMENTS, syntax, ramp(), table=table)
    url, web = sent(server, datastore, file), session(server)
    expected = item(offsets(FRAGMENTS) if table else b"") + b"".join(item(one) for some in FRAGMENTS for one in some)
    for _ in range(2):
        for headers in ({}, {"Accept": "application/dicom; transfer-syntax=*"}):
            given = web.get(url, headers=headers).content
            assert pixel_element(given) == pixel_element(file)
            assert pixel_element(given)[12:] == expected + SEQUENCE_END
        # And so it is when elements were edited.
        (image_set,) = image_sets(client, datastore)
        edit = {"SchemaVersion": 1.1, "Study": {"DICOM": {"StudyDescription": "edited"}}}
        updated(client, datastore, image_set["imageSetId"], edit)


def test_an_extended_table_comes_back(server: ServerProcess, datastore: str) -> None:
    frames = [b"\1" * 10, b"\2" * 6, b"\3" * 12]
    sizes = [len(frame) for frame in frames]
    table, lengths = struct.pack("<3Q", 0, 18, 32), struct.pack("<3Q", *sizes)
    file = file_of(frames, UNKNOWN, ramp(), table=False, ExtendedOffsetTable=table, ExtendedOffsetTableLengths=lengths)
    given = session(server).get(sent(server, datastore, file)).content
    assert pixel_element(given) == pixel_element(file)
    data_set = pydicom.dcmread(io.BytesIO(given))
    assert (data_set.ExtendedOffsetTable, data_set.ExtendedOffsetTableLengths) == (table, lengths)


def test_no_table_is_written_that_is_not_true(server: ServerProcess, datastore: str) -> None:
    """Fragments of odd length are padded, which moves those behind them."""
    odd = struct.pack("<LL", 0xE000FFFE, 3) + b"abc"
    file = file_of([b"\1\1", b"\2\2"], UNKNOWN, ramp(), table=True, end=odd + item(b"\3\3") + SEQUENCE_END)
    given = session(server).get(sent(server, datastore, file)).content
    assert (
        pixel_element(given)[12:]
        == item(b"") + item(b"\1\1") + item(b"\2\2") + item(b"abc") + item(b"\3\3") + SEQUENCE_END
    )


@pytest.mark.parametrize(
    "end", [bytes(24), struct.pack("<LL", 0xE00DFFFE, 0), b""], ids=["zeros", "item delimiter", "none"]
)
def test_a_wrong_end_comes_back_right(server: ServerProcess, datastore: str, end: bytes) -> None:
    file = file_of(FRAGMENTS, UNKNOWN, ramp(), end=end)
    given = session(server).get(sent(server, datastore, file)).content
    assert pixel_element(given) == pixel_element(file)[: -len(end) or None] + SEQUENCE_END
