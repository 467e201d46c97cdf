"""The rules of rebuilding that need no server: what updates changed, and data sets kept by earlier versions."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield.dicom.io.part10 import BytesSource, Part10, read_part10
from hounsfield.dicom.values.decode import JsonValue
from hounsfield.imaging.pixel_description import pixel_format
from hounsfield.imaging.retrieve.level_changes import changed_since
from hounsfield.imaging.retrieve.pixel_element import float_tag, is_encapsulated_object, native_element
from support.files.synthetic import save, slice_of

Values = Mapping[str, JsonValue]
levels = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 2))
steps = st.lists(levels, min_size=1, max_size=6).map(
    lambda found: [(version, before, after) for version, (before, after) in enumerate(pairwise(found), 2)]
)


@given(steps, st.integers(0, 8))
def test_what_updates_changed_is_what_differs_in_the_end(steps: list[tuple[int, Values, Values]], since: int) -> None:
    """Without imports in between, each update begins where the one before ended."""
    later = [step for step in steps if step[0] > since]
    expected = set()
    if later:
        before, after = later[0][1], later[-1][2]
        expected = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert changed_since(since, steps) == expected


def test_an_import_between_updates_does_not_hide_them() -> None:
    steps = [(2, {"a": 1}, {"a": 2}), (4, {"a": 3, "b": 1}, {"a": 3, "b": 2})]
    assert changed_since(1, steps) == {"a", "b"}
    assert changed_since(2, steps) == {"b"}
    assert changed_since(1, [*steps, (5, {"a": 3, "b": 2}, {"a": 1, "b": 2})]) == {"b"}


def without_pixels(path: Path) -> Part10:
    """Return a data set as earlier versions kept it: without any pixel data element."""
    part10 = read_part10(BytesSource(path.read_bytes()))
    assert part10.pixel_data is not None
    empty = read_part10(BytesSource(part10.header)).pixel_data
    assert empty is not None
    kept = read_part10(BytesSource(part10.header[: part10.cut] + part10.header[part10.cut + empty.end - empty.start :]))
    assert kept.pixel_data is None
    return kept


@pytest.mark.parametrize(
    ("bits", "integers", "tag"),
    [(32, False, 0x7FE00008), (64, False, 0x7FE00009), (32, True, 0x7FE00010), (16, False, 0x7FE00010)],
)
def test_the_pixel_data_element_is_found_by_what_describes_it(
    tmp_path: Path, bits: int, integers: bool, tag: int
) -> None:
    dataset = slice_of()
    if not integers:
        del dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation
    dataset.BitsAllocated = bits
    kept = without_pixels(save(dataset, tmp_path / "slice.dcm"))
    assert float_tag(kept) == tag
    assert not is_encapsulated_object(kept)


@pytest.mark.parametrize("name", ["JPEG2000.dcm", "JPGExtended.dcm"])
def test_the_transfer_syntax_tells_that_it_was_encapsulated(name: str) -> None:
    assert is_encapsulated_object(without_pixels(Path(pydicom.__path__[0]) / "data" / "test_files" / name))


@pytest.mark.parametrize(("dtype", "vr"), [("u1", b"OB"), ("<i2", b"OW")])
def test_native_values_have_the_representation_of_their_depth(tmp_path: Path, dtype: str, vr: bytes) -> None:
    pixels = np.arange(15, dtype=dtype).reshape(3, 5)
    kept = without_pixels(save(slice_of(pixels=pixels), tmp_path / "slice.dcm"))
    element = native_element(kept, pixel_format(kept), [pixels.tobytes()], "MONOCHROME2")
    data = b"".join(element.chunks)
    assert element.size == len(data)
    assert data[4:6] == vr
    assert data[12:] == pixels.tobytes() + bytes(pixels.nbytes % 2)
