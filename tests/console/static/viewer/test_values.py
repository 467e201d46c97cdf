"""Values in the viewer: what is shown, stored and rescaled of every kind of pixel data, uptake and real world values."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page, expect
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.sequence import Sequence

from support.browser.pages import sign_in
from support.browser.viewer import (
    ACTIVE,
    canvas_pixels,
    click_points,
    measured_texts,
    open_series,
    open_study,
    wait_shown,
)
from support.clients.dicomweb import get, part10, store
from support.files.synthetic import slice_of
from support.imaging.rendered_images import picture, table
from support.servers import ServerProcess

SIGNED: Final = np.linspace(-1024, 3071, 40 * 56).reshape(40, 56).astype("i2")
UNSIGNED: Final = np.linspace(0, 4095, 40 * 56).reshape(40, 56).astype("u2")
INDICES: Final = np.linspace(0, 255, 40 * 56).reshape(40, 56).astype("u1")
PLACED: Final = f"() => {ACTIVE}.measurements.at(-1).points[0].map(Math.floor)"
PROBE: Final = f"([x, y]) => {ACTIVE}.probe([x + 0.5, y + 0.5])"


@pytest.fixture
def viewer(page: Page, server: ServerProcess) -> Page:
    page.set_viewport_size({"width": 1400, "height": 900})
    sign_in(page, server.key())
    return page


def _image(pixels: NDArray[Any], **elements: Any) -> Dataset:
    dataset = slice_of(pixels=pixels, **elements)
    dataset.HighBit = dataset.BitsStored - 1
    return dataset


def _tables(*names: str) -> Dataset:
    """Have several named VOI LUTs over rescaled values from -1000 on."""
    dataset = _image(SIGNED, RescaleSlope="1", RescaleIntercept="0", WindowCenter="40", WindowWidth="400")
    items = []
    for number, name in enumerate(names, 1):
        item = table((np.linspace(0, 1, 2000) ** number * 4095).astype("u2"), -1000, 12, "SS")[0]
        item.LUTExplanation = name
        items.append(item)
    dataset.VOILUTSequence = Sequence(items)
    return dataset


def _modality() -> Dataset:
    dataset = _image(UNSIGNED, BitsStored=12, WindowCenter="3000", WindowWidth="5000")
    dataset.ModalityLUTSequence = table((np.arange(4096) ** 2 // 2048).astype("u2"), 0, 16)
    dataset.ModalityLUTSequence[0].ModalityLUTType = "OD"
    return dataset


def _palette(bits: int = 16) -> Dataset:
    dataset = _image(INDICES, PhotometricInterpretation="PALETTE COLOR")
    for colour, power in (("Red", 1), ("Green", 2), ("Blue", 3)):
        entries = (np.linspace(0, 1, 200) ** power * (2**bits - 1)).astype("<u2" if bits == 16 else "u1")
        setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", [200, 20, bits])
        setattr(dataset, f"{colour}PaletteColorLookupTableData", entries.tobytes())
    return dataset


def _segmented() -> Dataset:
    """Have a palette of segments: discrete, linear, and the linear one again by an indirect one."""
    dataset = _image(INDICES, PhotometricInterpretation="PALETTE COLOR")
    units = [0, 2, 0, 500, 1, 100, 65000, 1, 54, 9, 2, 2, 8, 0]
    for colour in ("Red", "Green", "Blue"):
        setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(dataset, f"Segmented{colour}PaletteColorLookupTableData", np.array(units, "<u2").tobytes())
    return dataset


def _floating(dtype: str) -> Dataset:
    pixels = np.linspace(-3.5, 1e6, 40 * 56).reshape(40, 56).astype(dtype)
    pixels[0, :3] = np.nan, np.inf, -np.inf
    dataset = _image(UNSIGNED, BitsAllocated=8 * pixels.itemsize, WindowCenter="400000", WindowWidth="700000")
    for name in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(dataset, name)
    setattr(dataset, "FloatPixelData" if dtype == "<f4" else "DoubleFloatPixelData", pixels.tobytes())
    return dataset


def _padded(interpretation: str) -> Dataset:
    pixels = SIGNED.copy()
    pixels[:6] = -2000
    dataset = _image(pixels, PixelPaddingValue=-2000, PhotometricInterpretation=interpretation)
    dataset["PixelPaddingValue"].VR = "SS"
    return dataset


def _padded_as_unsigned() -> Dataset:
    """Have the padding of signed pixels as some scanners write it."""
    dataset = _padded("MONOCHROME2")
    dataset.PixelPaddingValue = 2**16 - 2000
    dataset["PixelPaddingValue"].VR = "US"
    return dataset


def _enhanced() -> Dataset:
    """Have two frames with slopes and windows of their own."""
    dataset = _image(np.stack([SIGNED, SIGNED]))
    items = []
    for slope, center in ((2, "500"), (3, "900")):
        transformation, voi, group = Dataset(), Dataset(), Dataset()
        transformation.RescaleSlope, transformation.RescaleIntercept, transformation.RescaleType = slope, "-7", "HU"
        voi.WindowCenter, voi.WindowWidth = center, "2000"
        group.PixelValueTransformationSequence, group.FrameVOILUTSequence = Sequence([transformation]), Sequence([voi])
        items.append(group)
    dataset.PerFrameFunctionalGroupsSequence = Sequence(items)
    return dataset


def _with_overlay() -> Dataset:
    """Have an overlay in the bits above those of the values."""
    dataset = _image(UNSIGNED | 0x8000 * (np.indices(UNSIGNED.shape).sum(0) % 2).astype("u2"), BitsStored=12)
    dataset.add_new(0x60000100, "US", 16)
    dataset.add_new(0x60000102, "US", 15)
    return dataset


def _dose(window: str | None) -> Dataset:
    """Have a dose whose values are stored ones times a factor, with a window over what is stored."""
    said = {"WindowCenter": "2e8", "WindowWidth": window} if window else {}
    dataset = _image(UNSIGNED.astype("u4") * 100_003, Modality="RTDOSE", **said)
    dataset.DoseGridScaling, dataset.DoseUnits = "1.5e-7", "GY"
    return dataset


KINDS: Final[dict[str, Callable[[], Dataset]]] = {
    "VOI LUTs": lambda: _tables("Soft", "Hard"),
    "modality LUT": _modality,
    "palette": _palette,
    "palette of 8 bits": lambda: _palette(8),
    "segmented palette": _segmented,
    "float": lambda: _floating("<f4"),
    "double": lambda: _floating("<f8"),
    "32 bits": lambda: _image(UNSIGNED.astype("u4") * 100_003, WindowCenter="2e8", WindowWidth="3e8"),
    "dose": lambda: _dose("3e8"),
    "dose with a window of one": lambda: _dose("1"),
    "dose without a window": lambda: _dose(None),
    "32 bits signed": lambda: _image(SIGNED.astype("i4") * 100_003),
    "padding": lambda: _padded("MONOCHROME2"),
    "padding where small is bright": lambda: _padded("MONOCHROME1"),
    "padding as if it were unsigned": _padded_as_unsigned,
    "presentation LUT shape": lambda: _image(
        SIGNED, PresentationLUTShape="INVERSE", WindowCenter="9", WindowWidth="900"
    ),
    "functional groups": _enhanced,
    "overlay above the values": _with_overlay,
    "all of one value": lambda: _image(np.full((8, 8), 7, "i2")),
    "dark, all of one value": lambda: _image(np.full((8, 8), 7, "i2"), PhotometricInterpretation="MONOCHROME1"),
}
"""Kinds of pixel data that are shown by the viewer itself, by name."""


def test_every_kind_has_its_values_and_looks_as_the_server_renders_it(
    server: ServerProcess, datastore: str, viewer: Page
) -> None:
    images = {name: make() for name, make in KINDS.items()}
    for number, dataset in enumerate(images.values(), 1):
        like = slice_of(series=number)
        dataset.SeriesInstanceUID, dataset.SOPInstanceUID = like.SeriesInstanceUID, like.SOPInstanceUID
        dataset.file_meta.MediaStorageSOPInstanceUID, dataset.SeriesNumber = like.SOPInstanceUID, number
    assert store(server, datastore, [part10(dataset) for dataset in images.values()]).status_code in {200, 202}
    open_study(viewer, datastore, str(slice_of().StudyInstanceUID))
    for name, dataset in images.items():
        assert open_series(viewer, str(dataset.SeriesInstanceUID)) == "", name
        for frame in range(int(dataset.get("NumberOfFrames", 1))):
            if frame:
                viewer.keyboard.press("ArrowDown")
                viewer.wait_for_function(
                    f"frame => {ACTIVE}.frame.index === frame && {ACTIVE}.image?.isWhole", arg=frame
                )
            _compare(server, datastore, viewer, name, dataset, frame)
        if name == "VOI LUTs":
            _check_presets(viewer, dataset)
        if name == "palette":
            _check_region(viewer)


def _compare(server: ServerProcess, datastore: str, page: Page, name: str, dataset: Dataset, frame: int) -> None:
    path = page.evaluate(f"() => {ACTIVE}.frame.path.slice({ACTIVE}.frame.path.indexOf('studies/'))")
    levels = picture(get(server, datastore, f"{path}/rendered", "image/png").content).astype(int)
    expected = levels if levels.ndim == 3 else np.repeat(levels[..., None], 3, axis=2)
    assert np.abs(canvas_pixels(page) - expected).max() <= 1, name
    stored = dataset.pixel_array if "NumberOfFrames" not in dataset else dataset.pixel_array[frame]
    if name == "overlay above the values":
        stored = stored & 0xFFF
    values = apply_modality_lut(stored, dataset)
    if name.startswith("dose"):
        values = stored * 1.5e-7
        click_points(page, "q", (50.5, 30.5))
        gray = values[tuple(reversed(page.evaluate(PLACED)))]
        assert f"{gray:.6g} Gy (stored " in measured_texts(page)[-1]
    if name == "functional groups":
        values = stored * (2.0, 3.0)[frame] - 7
    for row, column in ((7, 5), (dataset.Rows - 1, dataset.Columns - 1)):
        found = page.evaluate(PROBE, [column, row])
        assert found["stored"] == stored[row, column], name
        if "colour" in found:
            assert found["colour"] == levels[row, column].tolist(), name
        else:
            assert found["value"] == pytest.approx(values[row, column]), name
    if "padding" in name:
        assert expected[:6].max() == 0
        click_points(page, "q", (3.5, 3.5))
        assert measured_texts(page) == ["padding (stored -2000)"]


def _check_region(page: Page) -> None:
    """Of a region of a palette image the colours have a mean, its indices have none."""
    colours = canvas_pixels(page)
    click_points(page, "r", (5, 5), (30, 30))
    (left, top), (right, bottom) = page.evaluate(f"() => {ACTIVE}.measurements.at(-1).points")
    rows, columns = np.mgrid[0:40, 0:56] + 0.5
    red = colours[(columns >= left) & (columns <= right) & (rows >= top) & (rows <= bottom)][:, 0]
    assert f"red mean {red.mean():.1f} SD {red.std():.1f} ({red.min()} … {red.max()})" in measured_texts(page)


def _check_presets(page: Page, dataset: Dataset) -> None:
    names = page.locator("[data-presets] option").all_text_contents()
    assert names[1:4] == ["1 Soft (table)", "2 Hard (table)", "3 Window 1 (400 / 40)"]
    for key, index in (("2", 1), ("1", 0)):
        page.keyboard.press(key)
        entries = 4095
        shown = apply_voi_lut(dataset.pixel_array, dataset, index=index) / entries * 255
        assert np.abs(canvas_pixels(page)[..., 0] - shown).max() <= 1
    page.keyboard.press("3")
    assert page.evaluate(f"() => {ACTIVE}.window.width") == 400


def test_supplemental_colours_are_beside_the_greys(server: ServerProcess, datastore: str, viewer: Page) -> None:
    dataset = _image(UNSIGNED, BitsStored=12, WindowCenter="500", WindowWidth="1000", PixelPresentation="MIXED")
    for colour, level in (("Red", 65535), ("Green", 32768), ("Blue", 0)):
        setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", [1000, 3000, 16])
        setattr(dataset, f"{colour}PaletteColorLookupTableData", np.full(1000, level, "<u2").tobytes())
    assert store(server, datastore, [part10(dataset)]).status_code == 200
    open_study(viewer, datastore, str(dataset.StudyInstanceUID))
    assert wait_shown(viewer) == ""
    found = canvas_pixels(viewer)
    coloured = (UNSIGNED >= 3000) & (UNSIGNED < 4000)
    assert (found[coloured] == (255, 128, 0)).all()
    greys = np.clip((UNSIGNED - 499.5) / 999 + 0.5, 0, 1) * 255
    assert np.abs(found[~coloured] - greys[~coloured][:, None]).max() <= 1


def _pet(number: int, **elements: Any) -> Dataset:
    """Make a PET image whose factor is that of a body of 80 kg, 370 MBq and an hour of decay, unless elements say otherwise."""
    dose = Dataset()
    dose.RadiopharmaceuticalStartTime = elements.pop("start", "090000")
    dose.RadionuclideTotalDose, dose.RadionuclideHalfLife = elements.pop("dose", "370000000"), "6586.2"
    if "dated" in elements:
        dose.RadiopharmaceuticalStartDateTime = elements.pop("dated")
    given: dict[str, Any] = {
        "Units": "BQML",
        "CorrectedImage": ["DECY", "ATTN", "SCAT"],
        "DecayCorrection": "START",
        "PatientWeight": "80",
        "SeriesDate": "20240102",
        "SeriesTime": "100000",
        "AcquisitionDate": "20240102",
        "AcquisitionTime": "100500",
        "RescaleSlope": "1.5",
        "RescaleIntercept": "0",
        **elements,
    }
    dataset = slice_of(series=number, number=number, pixels=UNSIGNED.astype("i2"), Modality="PT", **given)
    dataset.RadiopharmaceuticalInformationSequence = Sequence([dose])
    return dataset


def _philips(**numbers: str) -> Dataset:
    dataset = _pet(1, Units="CNTS")
    block = dataset.private_block(0x7053, "Philips PET Private Group", create=True)
    for element, number in numbers.items():
        block.add_new(int(element[1:], 16), "DS", number)
    return dataset


def _ge() -> Dataset:
    dataset = _pet(1, SeriesTime="120000")
    dataset.private_block(0x0009, "GEMS_PETD_01", create=True).add_new(0x0D, "DT", "20240102100000.00")
    return dataset


def _decayed(seconds: float) -> float:
    return 80 * 1000 / (370e6 * 2 ** (-seconds / 6586.2))


def _frame_time() -> float:
    """Return the seconds of decay where they are counted back from the middle of a frame, as QIBA has it."""
    decay = math.log(2) / 6586.2
    share = decay * 180
    return 65 * 60 - 300 + math.log(share / (1 - math.exp(-share))) / decay


UPTAKE: Final[dict[str, tuple[Callable[[], Dataset], float | str]]] = {
    "from the start of the series": (lambda: _pet(1), _decayed(3600)),
    "to the administration": (lambda: _pet(1, DecayCorrection="ADMIN"), 80 * 1000 / 370e6),
    "over midnight": (
        lambda: _pet(1, start="233000", SeriesTime="003000", AcquisitionTime="003100"),
        _decayed(3600),
    ),
    "with a date of the dose": (lambda: _pet(1, dated="20240102080000.00"), _decayed(7200)),
    "series made later, counted back": (
        lambda: _pet(1, SeriesTime="180000", FrameReferenceTime="300000", ActualFrameDuration="180000"),
        _decayed(_frame_time()),
    ),
    "series made later, the first acquisition": (lambda: _pet(1, SeriesTime="180000"), _decayed(3900)),
    "series made later, GE's own time": (_ge, _decayed(3600)),
    "counts of Philips": (lambda: _philips(x00="0.000317"), 0.000317),
    "counts of Philips to activity": (lambda: _philips(x09="2.5"), 2.5 * _decayed(3600)),
    "in the file already": (lambda: _pet(1, Units="GML"), 1.0),
    "by lean body mass": (lambda: _pet(1, Units="GML", SUVType="LBM"), "SUV by lean body mass"),
    "without a weight": (lambda: _pet(1, PatientWeight=None), "Patient's Weight is missing"),
    "without a dose": (lambda: _pet(1, dose=None), "Radionuclide Total Dose is missing"),
    "without a start": (lambda: _pet(1, start=None), "Radiopharmaceutical Start Time is missing"),
    "without acquisition": (lambda: _pet(1, AcquisitionTime=None), "Acquisition Date and Time are missing"),
    "without correction for decay": (lambda: _pet(1, DecayCorrection="NONE"), "not corrected for decay"),
    "without correction for attenuation": (lambda: _pet(1, CorrectedImage=["DECY"]), "not corrected for attenuation"),
    "given after the scan": (lambda: _pet(1, dated="20240103080000"), "the dose was given after the scan"),
    "counts alone": (lambda: _pet(1, Units="CNTS"), "no factor"),
}
"""PET by kind: what is made, and the factor from a value of the file to the uptake, or why there is none."""


OPENED: Final = ("from the start of the series", "counts of Philips to activity", "without a weight")
"""Of these the texts are looked at, in the viewer; all others are worked out in the page."""


def test_uptake_is_that_of_the_rule(server: ServerProcess, datastore: str, viewer: Page) -> None:
    images = {}
    for number, (name, (make, _)) in enumerate(UPTAKE.items(), 1):
        like, images[name] = slice_of(series=number), make()
        images[name].SeriesInstanceUID, images[name].SOPInstanceUID = like.SeriesInstanceUID, like.SOPInstanceUID
        images[name].file_meta.MediaStorageSOPInstanceUID = like.SOPInstanceUID
    assert store(server, datastore, [part10(one) for one in images.values()]).status_code in {200, 202}
    open_study(viewer, datastore, str(slice_of().StudyInstanceUID))
    assert wait_shown(viewer) == ""
    all_found = viewer.evaluate(
        """async (series) => {
          const place = document.querySelector('script[src*="viewer/viewer.js"]').src
          const { suvOf } = await import(place.replace("viewer.js", "suv.js"))
          const { datasetsOf } = document.querySelector("[data-viewer]").viewer
          return Promise.all(series.map(async (uid) => suvOf((await datasetsOf(uid))[0])))
        }""",
        [str(one.SeriesInstanceUID) for one in images.values()],
    )
    for (name, (_, expected)), found in zip(UPTAKE.items(), all_found, strict=True):
        if isinstance(expected, str):
            assert expected in found["reason"], name
        else:
            assert found.get("factor") == pytest.approx(expected, rel=1e-9), (name, found)
    for name in OPENED:
        assert open_series(viewer, str(images[name].SeriesInstanceUID)) == ""
        click_points(viewer, "q", (30.5, 20.5))
        said, expected = measured_texts(viewer)[-1], UPTAKE[name][1]
        if isinstance(expected, str):
            assert "SUV" not in said
            assert f"No SUV: {expected}" in viewer.locator("[data-active]").inner_text()
        else:
            # By body weight, in three decimals.
            assert said.split()[0] == "SUVbw"
            assert float(said.split()[1]) == pytest.approx(UNSIGNED[20, 30] * 1.5 * expected, abs=5.1e-4)


def test_angles_are_those_of_the_shape_of_pixels(server: ServerProcess, datastore: str, viewer: Page) -> None:
    dataset = _image(UNSIGNED, PixelAspectRatio=[2, 1])
    assert store(server, datastore, [part10(dataset)]).status_code in {200, 202}
    open_study(viewer, datastore, str(dataset.StudyInstanceUID))
    assert wait_shown(viewer) == ""
    click_points(viewer, "a", (2, 2), (2, 8), (8, 5))
    assert measured_texts(viewer) == ["45.0°"]


def test_real_world_values_are_beside_the_rescaled_ones(server: ServerProcess, datastore: str, viewer: Page) -> None:
    dataset = _image(UNSIGNED, BitsStored=12, RescaleSlope="2", RescaleIntercept="0")
    mappings = []
    for name, unit, first, last, slope in (("T1", "ms", 0, 1999, 0.5), ("T1 of the rest", "s", 2000, 4095, 0.001)):
        code, item = Dataset(), Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = unit, "UCUM", unit
        item.LUTLabel, item.LUTExplanation = name, name
        item.MeasurementUnitsCodeSequence = Sequence([code])
        item.RealWorldValueFirstValueMapped, item.RealWorldValueLastValueMapped = first, last
        item.RealWorldValueSlope, item.RealWorldValueIntercept = slope, 1.0
        mappings.append(item)
    dataset.RealWorldValueMappingSequence = Sequence(mappings)
    assert store(server, datastore, [part10(dataset)]).status_code == 200
    open_study(viewer, datastore, str(dataset.StudyInstanceUID))
    assert wait_shown(viewer) == ""
    stored = int(UNSIGNED[10, 10])
    click_points(viewer, "q", (10.5, 10.5))
    assert measured_texts(viewer) == [f"{stored * 2} HU (stored {stored})", f"T1 {stored * 0.5 + 1:.6g} ms"]
    viewer.keyboard.press("Delete")
    click_points(viewer, "r", (2, 2), (20, 12))
    (left, top), (right, bottom) = viewer.evaluate(f"() => {ACTIVE}.measurements[0].points")
    rows, columns = np.mgrid[0:40, 0:56] + 0.5
    inside = UNSIGNED[(columns >= left) & (columns <= right) & (rows >= top) & (rows <= bottom)] * 0.5 + 1
    assert f"T1 mean {inside.mean():.6g} SD {inside.std():.6g} ms" in measured_texts(viewer)


def test_without_a_window_a_value_is_as_bright_in_all_images(
    server: ServerProcess, datastore: str, viewer: Page
) -> None:
    images = [_image(UNSIGNED.astype("i2") * factor, number=factor, Modality="MR") for factor in (1, 2, 4)]
    assert store(server, datastore, [part10(image) for image in images]).status_code == 200
    open_study(viewer, datastore, str(slice_of().StudyInstanceUID))
    assert wait_shown(viewer) == ""
    window = viewer.locator("[data-active] [data-place=bottom-right]")
    for index, image in enumerate(images):
        if index:
            viewer.keyboard.press("ArrowDown")
            viewer.wait_for_function(f"index => {ACTIVE}.index === index && {ACTIVE}.image?.isWhole", arg=index)
        levels = np.clip(image.pixel_array / 4095, 0, 1) * 255
        assert np.abs(canvas_pixels(viewer)[..., 0] - levels).max() <= 1
        expect(window).to_contain_text("W 4095 C 2048 Range of image 1")
    viewer.locator("[data-presets]").select_option("range")
    expect(window).to_contain_text("W 16380 C 8190 Range of image 3")
    assert np.abs(canvas_pixels(viewer)[..., 0] - images[2].pixel_array / 16380 * 255).max() <= 1
    viewer.keyboard.press("x")
    expect(window).to_contain_text("Range of image 1")
