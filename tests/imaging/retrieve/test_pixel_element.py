"""Pixel data written while it is sent: it has an offset table when it is small, and takes little memory when it is long."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pydicom
import pytest
from pydicom.encaps import generate_fragments

from hounsfield.bootstrap.image_store import open_image_store
from hounsfield.imaging.image_set_access import UNLIMITED
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.retrieve.dicom_file import make_dicom_file
from hounsfield.imaging.retrieve.instances import find_instance
from hounsfield.imaging.retrieve.pixel_element import encoded_element
from hounsfield.settings import Settings
from support.clients.dicomweb import part10, store
from support.files.synthetic import noise, slice_of, uid
from support.servers import ServerProcess


@pytest.fixture
def image_store(server: ServerProcess) -> Iterator[ImageStore]:
    """The stores of the server, opened beside it."""
    opened, _ = open_image_store(Settings(data=server.data))
    yield opened
    opened.database.close()


def test_frames_encoded_on_the_way_have_an_offset_table_when_they_can_be_held() -> None:
    few = encoded_element(iter([b"\1" * 5, b"\2" * 6]), {})
    data = b"".join(few.chunks)
    assert few.size == len(data)
    assert pydicom.encaps.parse_basic_offsets(data[12:]) == [0, 14]
    large = bytes(20 << 20)
    many = encoded_element(iter([large, large, b"\3\3"]), {})
    assert many.size is None
    value = b"".join(many.chunks)[12:-8]
    assert pydicom.encaps.parse_basic_offsets(value) == []
    assert list(generate_fragments(value))[1:] == [large, large, b"\3\3"]


def test_a_long_file_takes_little_memory(server: ServerProcess, datastore: str, image_store: ImageStore) -> None:
    count, size = 120, 512 * 512 * 2
    made = slice_of(pixels=np.broadcast_to(noise(512, 512), (count, 512, 512)))
    assert store(server, datastore, [part10(made)]).status_code == 200
    instance = find_instance(image_store, UNLIMITED, datastore, uid(1), uid(1, 1), uid(1, 1, 1))
    tracemalloc.start()
    try:
        file = make_dicom_file(image_store, instance)
        lengths = [len(chunk) for chunk in file.chunks]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(lengths) == file.size
    assert file.size > count * size
    assert max(lengths) == size
    assert peak < 40 << 20
