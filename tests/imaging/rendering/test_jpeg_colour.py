"""JPEG whose codestream says another colour than its data set: pictures, decoded and stored frames have the true one."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any, NamedTuple

import imagecodecs
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels.processing import convert_color_space
from pydicom.uid import JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1

from support.clients.dicomweb import get, part10, store, updated
from support.files.jpeg_marks import JFIF, adobe, marked
from support.files.synthetic import slice_of, uid
from support.imaging.rendered_images import close, rendered
from support.servers import ServerProcess, active_datastore

EXPLICIT, HTJ2K = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.202"
SERIES = f"studies/{uid(1)}/series/{uid(1, 1)}"
ROWS, COLUMNS = np.indices((64, 64))
PICTURE = np.stack([80 + ROWS // 2, COLUMNS, 200 - ROWS // 2], axis=-1).astype("u1")
"""Smooth, so that lossy JPEG comes close."""
RGB_IDS = tuple(b"RGB")


def lossy(space: str, subsampling: str = "444") -> bytes:
    return bytes(imagecodecs.jpeg8_encode(PICTURE, 98, colorspace="RGB", outcolorspace=space, subsampling=subsampling))


def lossless(space: str) -> bytes:
    samples = PICTURE if space == "RGB" else convert_color_space(PICTURE, "RGB", "YBR_FULL")
    return bytes(imagecodecs.jpeg8_encode(samples, lossless=True, predictor=1, bitspersample=8))


class Case(NamedTuple):
    """A codestream of `PICTURE`, and what the data set says of its colour."""

    syntax: str
    codestream: Callable[[], bytes]
    said: str
    contradicts: bool = True


CASES = {
    "JFIF": Case(JPEGBaseline8Bit, lambda: marked(lossy("YCBCR"), JFIF), "RGB"),
    "JFIF, subsampled": Case(JPEGBaseline8Bit, lambda: marked(lossy("YCBCR", "422"), JFIF), "RGB"),
    "no marker, ids 1 2 3": Case(JPEGBaseline8Bit, lambda: marked(lossy("YCBCR")), "RGB"),
    "no marker, subsampled": Case(JPEGBaseline8Bit, lambda: marked(lossy("YCBCR", "420"), ids=(0, 1, 2)), "RGB"),
    "Adobe YCbCr": Case(JPEGBaseline8Bit, lambda: marked(lossy("YCBCR"), adobe(1), (0, 1, 2)), "RGB"),
    "Adobe RGB": Case(JPEGBaseline8Bit, lambda: marked(lossy("RGB"), adobe(0)), "YBR_FULL"),
    "RGB ids": Case(JPEGBaseline8Bit, lambda: marked(lossy("RGB"), ids=RGB_IDS), "YBR_FULL_422"),
    "RGB that nothing marks": Case(
        JPEGBaseline8Bit, lambda: marked(lossy("RGB"), ids=(0, 1, 2)), "RGB", contradicts=False
    ),
    "what is right": Case(
        JPEGBaseline8Bit, lambda: marked(lossy("YCBCR", "422"), JFIF), "YBR_FULL_422", contradicts=False
    ),
    "extended, JFIF": Case(JPEGExtended12Bit, lambda: marked(lossy("YCBCR"), JFIF), "RGB"),
    "extended, RGB ids": Case(JPEGExtended12Bit, lambda: marked(lossy("RGB"), ids=RGB_IDS), "YBR_FULL"),
    "lossless, JFIF": Case(JPEGLossless, lambda: marked(lossless("YCBCR"), JFIF), "RGB"),
    "lossless SV1, JFIF": Case(JPEGLosslessSV1, lambda: marked(lossless("YCBCR"), JFIF), "RGB"),
    "lossless, Adobe RGB": Case(JPEGLosslessSV1, lambda: marked(lossless("RGB"), adobe(0)), "YBR_FULL"),
    "lossless RGB that nothing marks": Case(JPEGLosslessSV1, lambda: marked(lossless("RGB")), "RGB", contradicts=False),
    "lossless YCbCr that nothing marks": Case(
        JPEGLosslessSV1, lambda: marked(lossless("YCBCR")), "YBR_FULL", contradicts=False
    ),
}
NUMBERS = {case: number for number, case in enumerate(CASES, 1)}


def dataset_of(case: str) -> Dataset:
    syntax, codestream, said, _ = CASES[case]
    dataset = slice_of(number=NUMBERS[case], pixels=PICTURE, PhotometricInterpretation=said)
    del dataset.NumberOfFrames
    dataset.Rows = dataset.Columns = 64
    dataset.SamplesPerPixel, dataset.PlanarConfiguration = 3, 0
    dataset.PixelData = encapsulate([codestream()])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


@pytest.fixture(scope="module")
def stored(server: ServerProcess) -> tuple[str, dict[str, Any]]:
    """A data store with an instance of each case, and the answer of storing it."""
    datastore_id = active_datastore(server.client())
    answer = store(server, datastore_id, [part10(dataset_of(case)) for case in CASES])
    assert answer.status_code in {200, 202}, answer.text
    return datastore_id, answer.json()


def path_of(case: str) -> str:
    return f"{SERIES}/instances/{uid(1, 1, NUMBERS[case])}"


def in_rgb(samples: NDArray[Any], interpretation: str) -> NDArray[Any]:
    ybr = interpretation.startswith("YBR_FULL")
    return convert_color_space(samples, "YBR_FULL", "RGB") if ybr else samples


@pytest.mark.parametrize("case", CASES)
def test_pictures_have_the_true_colour(server: ServerProcess, stored: tuple[str, Any], case: str) -> None:
    close(rendered(server, stored[0], path_of(case)), PICTURE, 4)
    smaller = PICTURE.reshape(16, 4, 16, 4, 3).mean(axis=(1, 3))
    close(rendered(server, stored[0], path_of(case), "?viewport=16,16"), smaller, 5)


@pytest.mark.parametrize("case", CASES)
def test_decoded_frames_have_the_colour_that_is_said(server: ServerProcess, stored: tuple[str, Any], case: str) -> None:
    answer = get(server, stored[0], path_of(case), f"application/dicom; transfer-syntax={EXPLICIT}")
    native = pydicom.dcmread(BytesIO(answer.content))
    samples = np.frombuffer(native.PixelData, "u1").reshape(PICTURE.shape)
    close(in_rgb(samples, native.PhotometricInterpretation), PICTURE, 4)
    frame = get(server, stored[0], f"{path_of(case)}/frames/1", "application/octet-stream").content
    assert frame == native.PixelData


@pytest.mark.parametrize("case", CASES)
def test_what_is_stored_has_the_colour_that_is_said(server: ServerProcess, stored: tuple[str, Any], case: str) -> None:
    answer = get(server, stored[0], path_of(case), "application/dicom; transfer-syntax=*")
    found = pydicom.dcmread(BytesIO(answer.content))
    said = str(found.PhotometricInterpretation)
    syntax, codestream, given, contradicts = CASES[case]
    lossless = syntax in {JPEGLossless, JPEGLosslessSV1}
    if syntax == JPEGBaseline8Bit:
        assert get_frame(found.PixelData, 0, number_of_frames=1).rstrip(b"\0") == codestream().rstrip(b"\0")
        assert said.startswith("YBR_FULL") == (contradicts == (given == "RGB"))
        return
    frame = get(server, stored[0], f"{path_of(case)}/frames/1", f"image/jphc; transfer-syntax={HTJ2K}").content
    samples = imagecodecs.htj2k_decode(frame, planar=False)
    if lossless:
        # Its samples stay as they were; the data set says what they mean.
        ybr = contradicts == (given == "RGB")
        assert np.array_equal(samples, convert_color_space(PICTURE, "RGB", "YBR_FULL") if ybr else PICTURE)
        metadata = get(server, stored[0], f"{path_of(case)}/metadata", "application/dicom+json").json()
        assert metadata[0]["00280004"]["Value"] == ["YBR_FULL" if ybr else "RGB"]
    else:
        close(in_rgb(samples, given), PICTURE, 4)


def test_contradictions_are_warned_of(stored: tuple[str, Any]) -> None:
    warned = {
        item["00081155"]["Value"][0]
        for item in stored[1]["00081199"]["Value"]
        if item.get("00081196", {}).get("Value") == [0xB000]
    }
    assert warned == {uid(1, 1, NUMBERS[case]) for case in CASES if CASES[case].contradicts}


CORRECTED = {
    "JFIF": "YBR_FULL_422",
    "RGB ids": "RGB",
    "YCbCr that nothing marks": "YBR_FULL",
}


@pytest.mark.parametrize("case", CORRECTED)
def test_a_corrected_colour_is_not_corrected_twice(
    server: ServerProcess, client: Any, datastore: str, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where only the correction is right, because nothing in the codestream says its colour."""
    unmarked = Case(JPEGBaseline8Bit, lambda: marked(lossy("YCBCR"), ids=(0, 1, 2)), "RGB")
    monkeypatch.setitem(CASES, "YCbCr that nothing marks", unmarked)
    monkeypatch.setitem(NUMBERS, "YCbCr that nothing marks", 99)
    assert store(server, datastore, [part10(dataset_of(case))]).status_code == 200
    (entry,) = client.search_image_sets(datastoreId=datastore)["imageSetsMetadataSummaries"]
    content = {"DICOM": {"PhotometricInterpretation": CORRECTED[case]}}
    study = {"Series": {uid(1, 1): {"Instances": {uid(1, 1, NUMBERS[case]): content}}}}
    updated(client, datastore, entry["imageSetId"], {"SchemaVersion": 1.1, "Study": study})
    close(rendered(server, datastore, path_of(case)), PICTURE, 4)
    answer = get(server, datastore, path_of(case), f"application/dicom; transfer-syntax={EXPLICIT}")
    native = pydicom.dcmread(BytesIO(answer.content))
    assert native.PhotometricInterpretation == "RGB"
    close(np.frombuffer(native.PixelData, "u1").reshape(PICTURE.shape), PICTURE, 4)
    stored = get(server, datastore, path_of(case), "application/dicom; transfer-syntax=*")
    assert pydicom.dcmread(BytesIO(stored.content)).PhotometricInterpretation == CORRECTED[case]


def test_a_wrong_marker_of_jpeg_lossless_is_undone_by_an_update(
    server: ServerProcess, client: Any, datastore: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Samples are RGB, as the data set said, and only a JFIF segment says YCbCr."""
    monkeypatch.setitem(CASES, "lying", Case(JPEGLosslessSV1, lambda: marked(lossless("RGB"), JFIF), "RGB"))
    monkeypatch.setitem(NUMBERS, "lying", 98)
    assert store(server, datastore, [part10(dataset_of("lying"))]).status_code == 200
    (entry,) = client.search_image_sets(datastoreId=datastore)["imageSetsMetadataSummaries"]
    study = {"Series": {uid(1, 1): {"Instances": {uid(1, 1, 98): {"DICOM": {"PhotometricInterpretation": "RGB"}}}}}}
    updated(client, datastore, entry["imageSetId"], {"SchemaVersion": 1.1, "Study": study})
    close(rendered(server, datastore, path_of("lying")), PICTURE, 4)
    for accept in (EXPLICIT, HTJ2K, "*"):
        answer = get(server, datastore, path_of("lying"), f"application/dicom; transfer-syntax={accept}")
        file = pydicom.dcmread(BytesIO(answer.content))
        native = file.file_meta.TransferSyntaxUID == EXPLICIT
        assert file.PhotometricInterpretation == "RGB", accept
        if native:
            samples = np.frombuffer(file.PixelData, "u1").reshape(PICTURE.shape)
        else:
            samples = imagecodecs.htj2k_decode(get_frame(file.PixelData, 0, number_of_frames=1), planar=False)
        assert np.array_equal(samples, PICTURE), accept
