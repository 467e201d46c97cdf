"""The viewer plots waveforms: an electrocardiogram in real millimetres, and every kind of sample with its right value."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Locator, Page, expect
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import HemodynamicWaveformStorage

from support.browser.accessibility import check_accessibility, reach
from support.browser.pages import check_width, sign_in
from support.clients.dicomweb import part10, store
from support.files.synthetic import slice_of
from support.servers import ServerProcess

PX_PER_MM: Final = 96 / 25.4
PLOT: Final = """canvas => {
  const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
  let text = ""
  for (let at = 0; at < data.length; at += 4) text += String.fromCharCode(data[at], data[at + 1], data[at + 2])
  return { width, height, pixels: btoa(text) }
}"""


@pytest.fixture
def signed_in(page: Page, server: ServerProcess) -> Page:
    page.set_viewport_size({"width": 1700, "height": 1200})
    sign_in(page, server.key())
    return page


def open_waveforms(page: Page, datastore: str, dataset: Dataset) -> Locator:
    """Open the series of a data set in the viewer; gives the body of its document."""
    page.goto(f"/console/datastores/{datastore}/view?study={dataset.StudyInstanceUID}")
    body = page.locator(".document-body")
    expect(body.get_by_role("heading", level=2)).to_be_visible()
    return body


def pixels_of(section: Locator) -> NDArray[Any]:
    """Read the canvas of a plot: rows, columns, colours."""
    found = section.locator("canvas").evaluate(PLOT)
    flat = np.frombuffer(base64.b64decode(found["pixels"]), np.uint8)
    return flat.reshape(found["height"], found["width"], 3).astype(int)


def is_trace(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return where the dark ink of traces and texts is, which is neither grid nor mark."""
    return (pixels.max(axis=2) < 130) & (pixels[..., 2] - pixels[..., 0] < 30)


def grid_step(pixels: NDArray[Any]) -> float:
    """Return the mean distance of the grid's lines along the uppermost row of pixels."""
    lines = np.flatnonzero(pixels[1, :, 1] < 230)
    starts = lines[np.flatnonzero(np.diff(lines, prepend=-9) > 1)]
    return float(np.diff(starts).mean())


def check_strip(
    pixels: NDArray[Any],
    values: NDArray[Any],
    rate: float,
    *,
    top: float,
    bottom: float,
    left: float,
    speed: float,
    gain: float,
) -> None:
    """Compare the ink between two heights of the paper with a signal in mV.

    Parameters
    ----------
    pixels : NDArray
        Of the paper.
    values : NDArray
        In mV.
    rate : float
        Samples a second.
    top, bottom, left : float
        Where the strip is, and where it begins, in mm.
    speed, gain : float
        What the paper must have: mm a second, mm a mV.
    """
    first, last = round(top * PX_PER_MM), round(bottom * PX_PER_MM)
    ink = is_trace(pixels[first:last])
    highest = ink.argmax(axis=0)
    columns = np.flatnonzero(ink.any(axis=0))
    # Behind the name of the lead, which is written over it.
    right = left + len(values) / rate * speed
    x = columns[(columns > (left + 8) * PX_PER_MM) & (columns < min(columns[-1], right * PX_PER_MM) - 3)]
    best = np.inf
    for start in (-0.5, 0, 0.5):
        # Samples that lie in a column of pixels.
        moments = ((x + start) / PX_PER_MM - left) / speed
        width = 1 / (PX_PER_MM * speed)
        low = np.clip((moments * rate).astype(int), 0, len(values) - 2)
        high = np.clip(((moments + width) * rate).astype(int), low + 1, len(values))
        peaks = np.array([values[a:b].max() for a, b in zip(low, high, strict=True)])
        residual = highest[x] + peaks * gain * PX_PER_MM
        best = min(best, float(np.percentile(np.abs(residual - np.median(residual)), 95)))
    assert best <= 1.6, f"95 % of the trace lie within {best} pixels"


def test_an_electrocardiogram_is_on_its_paper(server: ServerProcess, datastore: str, signed_in: Page) -> None:
    path = Path(str(get_testdata_file("waveform_ecg.dcm")))
    dataset = pydicom.dcmread(path)
    assert store(server, datastore, [path.read_bytes()]).status_code == 200
    body = open_waveforms(signed_in, datastore, dataset)
    rhythm, median = body.locator(".waveform").all()
    # What does nothing on paper is grey.
    for button in ("[data-tool=length]", "[data-tool=window]", "[data-action=cine]", "[data-action=invert]"):
        expect(signed_in.locator(button)).to_have_attribute("aria-disabled", "true")
    expect(signed_in.locator("[data-action=metadata]")).not_to_have_attribute("aria-disabled", "true")
    millivolts = dataset.waveform_array(0) / 1000
    rate = float(dataset.WaveformSequence[0].SamplingFrequency)

    pixels = pixels_of(rhythm)
    assert grid_step(pixels) == pytest.approx(PX_PER_MM, abs=0.02)
    # The pulse of calibration before the first strip: 1 mV for 0.2 s.
    pulse = is_trace(pixels[: round(24 * PX_PER_MM), : round(11.5 * PX_PER_MM)])
    rows, columns = np.flatnonzero(pulse.sum(axis=1) > 10), np.flatnonzero(pulse.sum(axis=0) > 20)
    assert rows.min() == pytest.approx(4 * PX_PER_MM, abs=1.5)
    assert columns.max() - columns.min() == pytest.approx(5 * PX_PER_MM, abs=1.5)
    assert pulse[:, columns.min()].sum() == pytest.approx(10 * PX_PER_MM, abs=2)
    for lead in (0, 1):
        strip = {"top": 4.5 + 20 * lead, "bottom": 4 + 20 * lead + 18, "left": 15}
        check_strip(pixels, millivolts[:, lead], rate, **strip, speed=25, gain=10)

    rhythm.get_by_role("combobox", name="Speed").select_option("50")
    rhythm.get_by_role("combobox", name="Gain").select_option("20")
    plot = rhythm.locator(".paper")
    assert plot.evaluate("plot => plot.scrollWidth") == pytest.approx((10 + 10 + 500 + 5) * PX_PER_MM, abs=2)
    check_strip(pixels_of(rhythm), millivolts[:, 0], rate, top=8.5, bottom=4 + 28, left=20, speed=50, gain=20)
    rhythm.get_by_role("combobox", name="Speed").select_option("25")
    rhythm.get_by_role("combobox", name="Gain").select_option("10")
    rhythm.get_by_role("combobox", name="Layout").select_option("3×4")
    expect(rhythm.get_by_role("img")).to_have_attribute("aria-label", LABEL)
    # aVR in the second column of the first row, from 2.5 to 5 s; the rhythm of lead II below all.
    pixels = pixels_of(rhythm)
    part = millivolts[round(2.5 * rate) : round(5 * rate), 3]
    check_strip(pixels, part, rate, top=4.5, bottom=24, left=15 + 2.5 * 25, speed=25, gain=10)
    check_strip(pixels, millivolts[:, 1], rate, top=66, bottom=82, left=15, speed=25, gain=10)

    box = plot.bounding_box()
    assert box is not None
    signed_in.mouse.move(box["x"] + 100, box["y"] + 60)
    signed_in.mouse.down()
    signed_in.mouse.move(box["x"] + 100 + 25 * PX_PER_MM, box["y"] + 60 - 15 * PX_PER_MM)
    signed_in.mouse.up()
    expect(rhythm.locator("output")).to_have_text("1000 ms (60/min), 1.50 mV in I")
    reach(signed_in, plot)
    signed_in.keyboard.press("Escape")
    expect(rhythm.locator("output")).to_have_text("")
    signed_in.keyboard.press("c")
    for _ in range(5):
        signed_in.keyboard.press("Shift+ArrowRight")
    expect(rhythm.locator("output")).to_contain_text("240 ms (250/min), 0.00 mV in")

    table = body.get_by_role("region", name="Channels of RHYTHM").get_by_role("row").all_inner_texts()
    rows = [row.split("\t") for row in table[1:]]
    assert [row[0] for row in rows] == ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]
    said = dataset.WaveformSequence[0].ChannelDefinitionSequence
    assert [row[1] for row in rows] == [channel.ChannelSourceSequence[0].CodeMeaning for channel in said]
    assert [float(row[2]) for row in rows] == pytest.approx(list(millivolts.min(axis=0)), abs=0.0051)
    assert [float(row[3]) for row in rows] == pytest.approx(list(millivolts.max(axis=0)), abs=0.0051)
    assert {row[4] for row in rows} == {"mV"}
    expect(median.get_by_role("heading")).to_have_text("MEDIAN BEAT – 12 channels, 1.2 s, 1000 samples a second")
    annotations = body.get_by_role("region", name="Annotations")
    expect(annotations).to_contain_text("RITMO SINUSALE")
    expect(annotations.get_by_role("row", name="RR Interval")).to_contain_text("982 ms")
    check_accessibility(signed_in)
    signed_in.set_viewport_size({"width": 360, "height": 740})
    check_width(signed_in)


LABEL: Final = (
    "Electrocardiogram on a grid of 1 mm and 5 mm, 25 mm/s, 10 mm/mV, layout 3×4, 10 s: "
    "I, II, III, aVR, aVL, aVF, V1, V2, V3, V4, V5, V6. The table below has the least and greatest values."
)


def _code(value: str, meaning: str) -> Dataset:
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator, made.CodeMeaning = value, "UCUM", meaning
    return made


def group(
    samples: NDArray[Any], kind: str, *, said: int | None = None, described: bool = True, **elements: Any
) -> Dataset:
    """Make a multiplex group of one pressure channel; ``said`` samples are declared."""
    made = Dataset()
    made.MultiplexGroupLabel = kind
    made.NumberOfWaveformChannels, made.NumberOfWaveformSamples = 1, said or len(samples)
    made.SamplingFrequency = "100"
    made.WaveformBitsAllocated, made.WaveformSampleInterpretation = samples.dtype.itemsize * 8, kind[:2]
    made.ChannelDefinitionSequence = []
    if described:
        channel = Dataset()
        channel.ChannelLabel = "<i onload=x>"
        channel.ChannelSensitivity, channel.ChannelSensitivityCorrectionFactor = "0.5", "2.0"
        channel.ChannelSensitivityUnitsSequence = [_code("mm[Hg]", "millimeter of mercury")]
        channel.ChannelBaseline = "10"
        made.ChannelDefinitionSequence = [channel]
    made.add_new(0x54001010, "OB" if samples.dtype.itemsize == 1 else "OW", samples.tobytes())
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def _ramp(dtype: str, low: int, high: int) -> NDArray[Any]:
    return np.linspace(low, high, 400).astype(dtype)


SAMPLES: Final[dict[str, tuple[NDArray[Any], tuple[float, float]]]] = {
    "SB": (_ramp("i1", -100, 90), (-100, 90)),
    "UB": (_ramp("u1", 0, 250), (0, 250)),
    "SS": (_ramp("<i2", -30000, 20000), (-30000, 20000)),
    "US": (_ramp("<u2", 5, 65000), (5, 65000)),
    "SL": (_ramp("<i4", -(2**23), 2**23 - 1), (-(2**23), 2**23 - 1)),
    "UL": (_ramp("<u4", 0, 2**24), (0, 2**24)),
    "MB": (np.array([0x00, 0x80, 0xFF, 0x7F] * 50, "u1"), (-8031, 8031)),
    "AB": (np.array([0x2A, 0xAA, 0xD5, 0x55] * 50, "u1"), (-4032, 4032)),
}
"""Samples of each interpretation, with the least and the greatest that they stand for."""


def waveforms(groups: Sequence[Dataset], study: int) -> Dataset:
    made = slice_of(series=3, study=study, SOPClassUID=HemodynamicWaveformStorage, Modality="HD")
    made.file_meta.MediaStorageSOPClassUID = HemodynamicWaveformStorage
    for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(made, keyword)
    del made.SamplesPerPixel, made.PhotometricInterpretation, made.ImageType
    if groups:
        made.WaveformSequence = groups
    return made


def test_samples_of_every_kind_have_their_values(server: ServerProcess, datastore: str, signed_in: Page) -> None:
    groups = [group(samples, kind) for kind, (samples, _) in SAMPLES.items()]
    padded = group(np.array([-32768] * 50 + [1, 2, 3] * 50, "<i2"), "SS padded")
    # Longer than a block of extremes, the greatest within the first and the least within the last.
    long = np.zeros(5000, "<i2")
    long[[300, 4990]] = 700, -900
    groups.append(group(long, "SS long"))
    padded.add_new(0x5400100A, "OW", np.array([-32768], "<i2").tobytes())
    dataset = waveforms([*groups, padded], study=61)
    assert store(server, datastore, [part10(dataset)]).status_code == 200
    body = open_waveforms(signed_in, datastore, dataset)
    for kind, ends in {
        **{kind: ends for kind, (_, ends) in SAMPLES.items()},
        "SS padded": (1, 3),
        "SS long": (-900, 700),
    }.items():
        row = body.get_by_role("region", name=f"Channels of {kind}", exact=True).get_by_role("row").nth(1)
        # Half a unit a step, corrected by two, from ten on.
        low, high = (end * 0.5 * 2 + 10 for end in ends)
        expected = [f"{one:.0f}" if abs(one) >= 100 else f"{one:.1f}" for one in (low, high)]
        assert row.inner_text().split("\t")[2:5] == [*expected, "mmHg"], kind
    first = body.locator(".waveform").first
    ink = is_trace(pixels_of(first))
    # A ramp of 190 units at 10 units a millimetre, over 4 s of 25 mm; the name stands above it.
    ramp = ink[round(6.7 * PX_PER_MM) : round(28 * PX_PER_MM)]
    columns = np.flatnonzero(ramp.any(axis=0))
    lowest, highest = np.flatnonzero(ramp.any(axis=1)).max(), np.flatnonzero(ramp[:, 372:].any(axis=1)).min()
    assert lowest - highest == pytest.approx(19 * PX_PER_MM, abs=2)
    assert columns.max() - columns.min() == pytest.approx(100 * PX_PER_MM, abs=3)


def test_broken_waveforms_say_so(server: ServerProcess, datastore: str, signed_in: Page) -> None:
    samples = _ramp("<i2", 0, 1000)
    strange = group(samples, "XX")
    standing = group(samples, "SS standing")
    del standing.SamplingFrequency
    uncounted = group(samples, "SS uncounted")
    del uncounted.NumberOfWaveformSamples
    empty = group(samples, "SS empty")
    del empty.WaveformData
    groups = [
        group(samples, "SS cut", said=1000),
        group(samples, "SS bare", described=False),
        strange,
        standing,
        uncounted,
        empty,
    ]
    broken, nothing = waveforms(groups, study=62), waveforms([], study=63)
    assert store(server, datastore, [part10(broken), part10(nothing)]).status_code == 200
    body = open_waveforms(signed_in, datastore, broken)
    for words in (
        "It says to have 1000 samples a channel, but ends after 400. The rest is missing.",
        "Only 0 of its 1 channels are described.",
        "not said: stored values, not calibrated",
        "Its samples have 16 bits as XX, which the standard does not have.",
        "It does not say how many samples a second has",
        "It does not say how many samples it has. All that are there are shown.",
        "This group cannot be shown. It has no samples.",
    ):
        expect(body).to_contain_text(words)
    expect(body.locator("canvas")).to_have_count(3)
    body = open_waveforms(signed_in, datastore, nothing)
    expect(body).to_contain_text("This object has no waveforms.")


def test_absurd_numbers_are_drawn_at_once(server: ServerProcess, datastore: str, signed_in: Page) -> None:
    samples = _ramp("<i2", 0, 1000)
    groups = [group(samples, f"SS {rate}", SamplingFrequency=rate) for rate in ("1e-30", "1e-300", "1e300")]
    # As many channels as would make a canvas that is too high for a browser.
    groups.append(group(np.tile(samples, 10), "SS many", NumberOfWaveformChannels=1000, NumberOfWaveformSamples=4))
    dataset = waveforms(groups, study=64)
    assert store(server, datastore, [part10(dataset)]).status_code == 200
    body = open_waveforms(signed_in, datastore, dataset)
    expect(body.locator("canvas")).to_have_count(4)
    expect(signed_in.locator(".document-status")).to_have_text("")
    many = body.locator(".waveform").last
    expect(many).to_contain_text("Only the first 256 of 1000 channels are drawn.")
    assert is_trace(pixels_of(many)).any()
