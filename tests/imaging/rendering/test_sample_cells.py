"""Rendered frames whose samples have other bits beside their value, and whose lookup tables begin where types end.

What is right is written down with the values that went in, before they were put into their cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from support.clients.dicomweb import get, part10, store
from support.files.synthetic import slice_of, uid
from support.imaging.rendered_images import close, rendered, table
from support.imaging.rendering_formulas import stretched, windowed
from support.servers import ServerProcess, active_datastore

SIDE = 256
RAMP = (np.arange(SIDE * SIDE) * 4096 // (SIDE * SIDE)).reshape(SIDE, SIDE)
"""Every value of 12 bits, rising line by line."""
OVERLAY = (np.indices((SIDE, SIDE)).sum(axis=0) % 7 == 0).astype(int)
WINDOW = {"WindowCenter": 2048, "WindowWidth": 4096}
SHOWN = windowed(RAMP, 2048, 4096)
UP = np.arange(4096)


class Case(NamedTuple):
    """Stored cells, the elements that describe them, and the grey levels that are right."""

    pixels: NDArray[Any]
    elements: Mapping[str, Any]
    levels: NDArray[Any]


def cells(values: NDArray[Any], dtype: str = "<u2") -> NDArray[Any]:
    """Put values into the lowest bits of their cells."""
    return (values & (1 << 8 * np.dtype(dtype).itemsize) - 1).astype(dtype.replace("i", "u")).view(dtype)


def stored(bits: int, high: int | None = None) -> dict[str, int]:
    return {"BitsStored": bits, "HighBit": bits - 1 if high is None else high}


SIGNED = RAMP - 2048
MASKED = {
    "an overlay in the bit above": Case(cells(RAMP | OVERLAY << 12), {**stored(12), **WINDOW}, SHOWN),
    "an overlay in the highest bit": Case(cells(RAMP | OVERLAY << 15), {**stored(12), **WINDOW}, SHOWN),
    "an overlay and no window": Case(cells(RAMP | OVERLAY << 15), stored(12), stretched(RAMP)),
    "an overlay above signed values": Case(
        cells((SIGNED & 0xFFF) | OVERLAY << 13, "<i2"), {**stored(12), "WindowCenter": 0, "WindowWidth": 4096}, SHOWN
    ),
    "noise above 8 of 16 bits": Case(cells((RAMP >> 4) | 0xAB00), stored(8), stretched(RAMP >> 4)),
    "noise above 6 of 8 bits": Case(cells((RAMP >> 6) | 0x80, "u1"), stored(6), stretched(RAMP >> 6)),
    "an overlay above 24 of 32 bits": Case(cells(RAMP * 4096 | OVERLAY << 31, "<u4"), stored(24), stretched(RAMP)),
    "the value in the highest bits": Case(cells(RAMP << 4), {**stored(12, 15), **WINDOW}, SHOWN),
    "the value in the highest bits, an overlay in the lowest": Case(
        cells(RAMP << 4 | OVERLAY), {**stored(12, 15), **WINDOW}, SHOWN
    ),
    "the value in the middle": Case(
        cells(RAMP >> 2 << 2 | OVERLAY | OVERLAY << 14),
        {**stored(10, 11), "WindowCenter": 512, "WindowWidth": 1024},
        SHOWN,
    ),
    "signed values in the highest bits": Case(
        cells(SIGNED << 4 | OVERLAY, "<i2"), {**stored(12, 15), "WindowCenter": 0, "WindowWidth": 4096}, SHOWN
    ),
    "a high bit that cannot be": Case(cells(RAMP), {**stored(12, 3), **WINDOW}, SHOWN),
}


def modality(entries: NDArray[Any], first: int, vr: str = "US") -> dict[str, Any]:
    return {"ModalityLUTSequence": table(entries, first, 16, vr)}


def voi(entries: NDArray[Any], first: int, vr: str = "US") -> dict[str, Any]:
    return {"VOILUTSequence": table(entries, first, 12, vr)}


TABLES = {
    "a modality table that begins above values": Case(
        cells(RAMP),
        {**stored(12), **modality(np.arange(3000), 500), "WindowCenter": 1500, "WindowWidth": 3000},
        windowed(np.clip(RAMP - 500, 0, 2999), 1500, 3000),
    ),
    "octets below a modality table of large numbers": Case(
        cells(RAMP >> 4, "u1"),
        {**modality(np.arange(100, 200), 200), "WindowCenter": 100, "WindowWidth": 200},
        windowed(100 + np.clip((RAMP >> 4) - 200, 0, 99), 100, 200),
    ),
    "a table that begins beyond the type of samples": Case(
        cells(RAMP >> 4, "u1"),
        {**modality(np.arange(300), 400), "WindowCenter": 10, "WindowWidth": 100},
        windowed(np.zeros((256, 256)), 10, 100),
    ),
    "a modality table from a negative number on, its VR unsigned": Case(
        cells(SIGNED, "<i2"), modality(UP * 15, 63488), stretched(RAMP)
    ),
    "a modality table from a negative number on": Case(
        cells(SIGNED, "<i2"), modality(UP * 15, -2048, "SS"), stretched(RAMP)
    ),
    "a table of unsigned values from a large number on, its VR signed": Case(
        cells(RAMP * 16), modality(UP[:2000], 40000 - 65536, "SS"), stretched(np.clip(RAMP * 16 - 40000, 0, 1999))
    ),
    "a table of few unsigned values from a negative number on": Case(
        cells(RAMP), {**stored(12), **modality(UP[:2000], -100, "SS")}, stretched(np.clip(RAMP + 100, 0, 1999))
    ),
    "a VOI table of rescaled values": Case(
        cells(RAMP), {**stored(12), "RescaleIntercept": -1024, "RescaleSlope": 1, **voi(UP, 64512)}, SHOWN
    ),
    "a VOI table behind a negative slope": Case(
        cells(RAMP), {**stored(12), "RescaleIntercept": 0, "RescaleSlope": -1, **voi(UP, 65536 - 4095)}, 255 - SHOWN
    ),
    "a VOI table behind a modality table is unsigned": Case(
        cells(SIGNED, "<i2"),
        {**modality(UP * 16, 63488), **voi(UP, 40000)},
        np.clip(RAMP * 16 - 40000, 0, 4095) * 255 / 4095,
    ),
    "a slope of 0": Case(cells(RAMP), {**stored(12), "RescaleSlope": 0, "RescaleIntercept": 0, **WINDOW}, SHOWN),
    "a slope of 0 without a window": Case(
        cells(RAMP), {**stored(12), "RescaleSlope": 0, "RescaleIntercept": -1024}, stretched(RAMP)
    ),
}
GREYS = MASKED | TABLES


def path_of(case: str) -> str:
    return f"studies/{uid(1)}/series/{uid(1, 1)}/instances/{uid(1, 1, 1 + list(GREYS).index(case))}"


def dataset_of(case: str) -> Dataset:
    pixels, elements, _ = GREYS[case]
    return slice_of(number=1 + list(GREYS).index(case), pixels=pixels, **elements)


@pytest.fixture(scope="module")
def greys(server: ServerProcess) -> str:
    """A data store with an instance of each case."""
    datastore_id = active_datastore(server.client())
    assert store(server, datastore_id, [part10(dataset_of(case)) for case in GREYS]).status_code == 200
    return datastore_id


@pytest.mark.parametrize("case", GREYS)
def test_only_the_value_is_shown(server: ServerProcess, greys: str, case: str) -> None:
    close(rendered(server, greys, path_of(case)), GREYS[case].levels)


@pytest.mark.parametrize("case", MASKED)
def test_only_the_value_is_shown_smaller(server: ServerProcess, greys: str, case: str) -> None:
    small = rendered(server, greys, path_of(case), "?viewport=64,64")
    means = GREYS[case].levels.reshape(64, SIDE // 64, 64, SIDE // 64).mean(axis=(1, 3))
    close(small, means, 3)


@pytest.mark.parametrize("case", MASKED)
def test_the_frame_keeps_all_bits(server: ServerProcess, greys: str, case: str) -> None:
    answer = get(
        server, greys, f"{path_of(case)}/frames/1", "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"
    )
    assert answer.status_code == 200
    dtype = GREYS[case].pixels.dtype
    assert np.array_equal(np.frombuffer(answer.content, dtype), GREYS[case].pixels.ravel())


def palette_of(entries: int, first: int, data: bytes, bits: int = 16) -> dict[str, Any]:
    elements: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for colour in ("Red", "Green", "Blue"):
        elements[f"{colour}PaletteColorLookupTableDescriptor"] = [entries, first, bits]
        elements[f"{colour}PaletteColorLookupTableData"] = data
    return elements


OCTETS = cells(RAMP >> 4, "u1")
PALETTES = {
    "the first index is 10": Case(
        OCTETS, palette_of(200, 10, (np.arange(200) * 256).astype("<u2").tobytes()), np.clip((RAMP >> 4) - 10, 0, 199)
    ),
    "entries of 8 bits that are called 16": Case(OCTETS, palette_of(256, 0, bytes(range(256))), RAMP >> 4),
    "indices below an overlay": Case(
        cells(RAMP >> 4 | OVERLAY << 12), {**stored(8), **palette_of(256, 0, bytes(range(256)), 8)}, RAMP >> 4
    ),
    "signed indices": Case(
        cells((RAMP >> 4) - 128, "i1"),
        palette_of(256, 65408, (np.arange(256) * 257).astype("<u2").tobytes()),
        RAMP >> 4,
    ),
}


@pytest.mark.parametrize("case", PALETTES)
def test_palettes(server: ServerProcess, datastore: str, case: str) -> None:
    pixels, elements, levels = PALETTES[case]
    dataset = slice_of(pixels=pixels, **elements)
    for colour in ("Red", "Green", "Blue"):
        dataset[f"{colour}PaletteColorLookupTableDescriptor"].VR = "US"
    assert store(server, datastore, [part10(dataset)]).status_code == 200
    close(
        rendered(server, datastore, f"studies/{uid(1)}/series/{uid(1, 1)}/instances/{uid(1, 1, 1)}"),
        np.stack([levels] * 3, -1),
        0,
    )


def test_a_window_of_each_frame_over_tables_of_all(server: ServerProcess, datastore: str) -> None:
    """The sign of a table in the functional groups is that of values after what the groups say of them."""
    values, group = Dataset(), Dataset()
    values.RescaleSlope, values.RescaleIntercept, values.RescaleType = 1, -1024, "HU"
    group.PixelValueTransformationSequence = Sequence([values])
    group.FrameVOILUTSequence = Sequence([Dataset()])
    group.FrameVOILUTSequence[0].VOILUTSequence = table(UP, 64512, 12)
    dataset = slice_of(pixels=cells(RAMP)[None], **stored(12), SharedFunctionalGroupsSequence=Sequence([group]))
    assert store(server, datastore, [part10(dataset)]).status_code == 200
    close(rendered(server, datastore, f"studies/{uid(1)}/series/{uid(1, 1)}/instances/{uid(1, 1, 1)}"), SHOWN)
