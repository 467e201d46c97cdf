"""Rendered frames through HTTP: grey levels against plain formulas and pydicom, colour, negotiation, bad parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import requests
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut, convert_color_space
from pydicom.sequence import Sequence
from pydicom.uid import EncapsulatedPDFStorage, RLELossless

from support.clients.dicomweb import get, part10, parts, root, session, store, updated, web_client
from support.files.synthetic import noise, slice_of, uid
from support.imaging.rendered_images import close, picture, rendered, table
from support.imaging.rendering_formulas import by_pydicom, stretched, windowed
from support.servers import ServerProcess, active_datastore

INSTANCE = f"studies/{uid(1)}/series/{uid(1, 1)}/instances/{uid(1, 1, 1)}"


def palette(entries: int, first: int = 0) -> dict[str, Any]:
    ramp = np.arange(entries) * 65535 // max(entries - 1, 1)
    elements: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for colour, values in (("Red", ramp), ("Green", ramp[::-1]), ("Blue", (ramp * 3) % 65536)):
        elements[f"{colour}PaletteColorLookupTableDescriptor"] = [entries, first, 16]
        elements[f"{colour}PaletteColorLookupTableData"] = values.astype("<u2").tobytes()
    return elements


UNSIGNED = (noise(40, 48) + 2000).astype("<u2")
SIGNED = noise(40, 48)
OCTETS = (np.arange(40 * 48).reshape(40, 48) % 256).astype("u1")
COLOUR = np.random.default_rng(3).integers(0, 256, (40, 48, 3)).astype("u1")
CURVE = (np.sqrt(np.linspace(0, 1, 4096)) * 4095).astype("u2")
RGB = {"SamplesPerPixel": 3, "PlanarConfiguration": 0, "Rows": 40, "Columns": 48}
WINDOWED = {"WindowCenter": 100, "WindowWidth": 700}

GREY: dict[str, tuple[NDArray[Any], dict[str, Any], Callable[[Dataset], NDArray[Any]]]] = {
    "signed without a window": (SIGNED, {}, lambda d: stretched(d.pixel_array)),
    "unsigned": (UNSIGNED, {}, lambda d: stretched(d.pixel_array)),
    "octets": (OCTETS, {}, lambda d: stretched(d.pixel_array)),
    "32 bits": (SIGNED.astype("<i4") * 90001, {}, lambda d: stretched(d.pixel_array)),
    "window": (SIGNED, WINDOWED, lambda d: windowed(d.pixel_array, 100, 700)),
    "window by pydicom": (SIGNED, WINDOWED, by_pydicom),
    "rescaled by pydicom": (UNSIGNED, {**WINDOWED, "RescaleSlope": 0.5, "RescaleIntercept": -1000}, by_pydicom),
    "sigmoid": (SIGNED, {**WINDOWED, "VOILUTFunction": "SIGMOID"}, by_pydicom),
    "exact": (SIGNED, {**WINDOWED, "VOILUTFunction": "LINEAR_EXACT"}, by_pydicom),
    "several windows": (SIGNED, {"WindowCenter": [5, 9], "WindowWidth": [50, 90]}, by_pydicom),
    "narrowest window": (SIGNED, {"WindowCenter": 5, "WindowWidth": 1}, lambda d: windowed(d.pixel_array, 5, 1)),
    "impossible window": (SIGNED, {"WindowCenter": 5, "WindowWidth": 0}, lambda d: stretched(d.pixel_array)),
    "negative slope": (SIGNED, {"RescaleSlope": -2, "RescaleIntercept": 7}, lambda d: stretched(-d.pixel_array)),
    "VOI LUT": (UNSIGNED, {"VOILUTSequence": table(CURVE, 900, 12)}, by_pydicom),
    "VOI LUT before window": (UNSIGNED, {**WINDOWED, "VOILUTSequence": table(CURVE, 900, 12)}, by_pydicom),
    "signed VOI LUT": (SIGNED, {"VOILUTSequence": table(CURVE, -1536, 12, "SS")}, lambda d: _from(d, -1536)),
    "modality LUT": (
        UNSIGNED,
        {"ModalityLUTSequence": table(CURVE, 900, 12)},
        lambda d: stretched(CURVE[np.clip(d.pixel_array.astype(int) - 900, 0, 4095)]),
    ),
    "inverted": (SIGNED, {"PhotometricInterpretation": "MONOCHROME1"}, lambda d: 255 - stretched(d.pixel_array)),
    "inverted twice is once": (
        SIGNED,
        {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"},
        lambda d: 255 - stretched(d.pixel_array),
    ),
    "constant": (np.full((40, 48), 7, "<u2"), {}, lambda _: np.zeros((40, 48))),
    "constant, inverted": (
        np.full((40, 48), 7, "<u2"),
        {"PhotometricInterpretation": "MONOCHROME1"},
        lambda _: np.full((40, 48), 255),
    ),
}


def _from(dataset: Dataset, first: int) -> NDArray[Any]:
    return CURVE[np.clip(dataset.pixel_array.astype(int) - first, 0, 4095)] / 4095 * 255


def grey(case: str) -> Dataset:
    pixels, elements, _ = GREY[case]
    return slice_of(number=1 + list(GREY).index(case), pixels=pixels, **elements)


@pytest.fixture(scope="module")
def greys(server: ServerProcess) -> str:
    """A data store with an instance of each case."""
    datastore_id = active_datastore(server.client())
    assert store(server, datastore_id, [part10(grey(case)) for case in GREY]).status_code == 200
    return datastore_id


@pytest.mark.parametrize("case", GREY)
def test_grey_levels(server: ServerProcess, greys: str, case: str) -> None:
    dataset = grey(case)
    path = f"studies/{uid(1)}/series/{uid(1, 1)}/instances/{dataset.SOPInstanceUID}"
    close(rendered(server, greys, path), GREY[case][2](dataset))


@pytest.mark.parametrize(("kind", "added"), [("SS", 0), ("US", 2**16)])
def test_padding_does_not_widen_the_window(server: ServerProcess, datastore: str, kind: str, added: int) -> None:
    pixels = noise(40, 48)
    pixels[:5], pixels[5:10] = -32768, -32700
    dataset = slice_of(pixels=pixels)
    # Some scanners write both as if the pixels were not signed.
    dataset.add_new("PixelPaddingValue", kind, -32768 + added)
    dataset.add_new("PixelPaddingRangeLimit", kind, -32700 + added)
    assert store(server, datastore, [part10(dataset)]).status_code == 200
    close(rendered(server, datastore, INSTANCE), stretched(pixels, pixels < -30000))


@pytest.mark.parametrize(("keyword", "dtype"), [("FloatPixelData", "<f4"), ("DoubleFloatPixelData", "<f8")])
def test_floating_point(server: ServerProcess, datastore: str, keyword: str, dtype: str) -> None:
    pixels = noise(40, 48).astype(dtype) / 7
    shown = stretched(pixels)
    pixels[0, :3], shown[0, :3] = (np.nan, np.inf, -np.inf), (0, 255, 0)
    dataset = slice_of(pixels=noise(40, 48), BitsAllocated=8 * pixels.itemsize)
    for name in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(dataset, name)
    setattr(dataset, keyword, pixels.tobytes())
    assert store(server, datastore, [part10(dataset)]).status_code in {200, 202}
    close(rendered(server, datastore, INSTANCE), shown)


def test_one_bit(server: ServerProcess, datastore: str) -> None:
    bits = np.random.default_rng(1).integers(0, 2, (3, 16, 24)).astype("u1")
    bits[2] = 1
    dataset = slice_of(pixels=bits, BitsAllocated=1, BitsStored=1, HighBit=0)
    dataset.PixelData = np.packbits(bits.ravel(), bitorder="little").tobytes()
    assert store(server, datastore, [part10(dataset)]).status_code == 200
    for number in (1, 2, 3):
        close(rendered(server, datastore, f"{INSTANCE}/frames/{number}"), bits[number - 1] * 255, 0)


COLOURS: dict[str, tuple[Dataset, NDArray[Any], float]] = {
    "RGB": (slice_of(pixels=COLOUR, PhotometricInterpretation="RGB", **RGB), COLOUR, 0),
    "RGB by planes": (
        slice_of(
            pixels=np.ascontiguousarray(COLOUR.transpose(2, 0, 1)),
            PhotometricInterpretation="RGB",
            **{**RGB, "PlanarConfiguration": 1},
        ),
        COLOUR,
        0,
    ),
    "RGB of 16 bits": (slice_of(pixels=COLOUR.astype("<u2") * 257, PhotometricInterpretation="RGB", **RGB), COLOUR, 0),
    "YBR_FULL": (
        slice_of(pixels=COLOUR, PhotometricInterpretation="YBR_FULL", **RGB),
        convert_color_space(COLOUR, "YBR_FULL", "RGB"),
        1,
    ),
}


@pytest.mark.parametrize("case", COLOURS)
def test_colour(server: ServerProcess, datastore: str, case: str) -> None:
    dataset, expected, tolerance = COLOURS[case]
    for name in ("NumberOfFrames",):
        if name in dataset:
            delattr(dataset, name)
    assert store(server, datastore, [part10(dataset)]).status_code == 200
    close(rendered(server, datastore, INSTANCE), expected, tolerance)
    close(rendered(server, datastore, INSTANCE, "?window=5,10,linear"), expected, tolerance)


@pytest.mark.parametrize(("pixels", "entries", "first"), [(OCTETS, 256, 0), (UNSIGNED, 500, 1800)])
def test_palette(server: ServerProcess, datastore: str, pixels: NDArray[Any], entries: int, first: int) -> None:
    dataset = slice_of(pixels=pixels, **palette(entries, first))
    assert store(server, datastore, [part10(dataset)]).status_code == 200
    expected = apply_color_lut(dataset.pixel_array.astype("u2"), dataset) >> 8
    close(rendered(server, datastore, INSTANCE), expected, 0)


def test_palette_of_segments(server: ServerProcess, datastore: str) -> None:
    dataset = slice_of(pixels=OCTETS, PhotometricInterpretation="PALETTE COLOR")
    segments = np.array([0, 2, 0, 256, 1, 127, 65535, 1, 127, 0], "<u2")
    for colour in ("Red", "Green", "Blue"):
        setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(dataset, f"Segmented{colour}PaletteColorLookupTableData", segments.tobytes())
    assert store(server, datastore, [part10(dataset)]).status_code == 200
    close(rendered(server, datastore, INSTANCE), apply_color_lut(dataset.pixel_array, dataset) >> 8)


def test_functional_groups_of_each_frame(server: ServerProcess, datastore: str) -> None:
    frames = np.stack([noise(40, 48, seed=n) for n in range(3)])
    groups = []
    for number in range(3):
        group, values, window = Dataset(), Dataset(), Dataset()
        values.RescaleSlope, values.RescaleIntercept, values.RescaleType = number + 1, 10 * number, "US"
        window.WindowCenter, window.WindowWidth = 50 * number, 400
        group.PixelValueTransformationSequence, group.FrameVOILUTSequence = Sequence([values]), Sequence([window])
        groups.append(group)
    dataset = slice_of(pixels=frames, PerFrameFunctionalGroupsSequence=Sequence(groups))
    assert store(server, datastore, [part10(dataset)]).status_code == 200
    for number in range(3):
        values = frames[number] * (number + 1.0) + 10 * number
        close(rendered(server, datastore, f"{INSTANCE}/frames/{number + 1}"), windowed(values, 50 * number, 400))


STUDY, SERIES = f"studies/{uid(1)}", f"studies/{uid(1)}/series/{uid(1, 1)}"
MULTI = f"{STUDY}/series/{uid(1, 2)}/instances/{uid(1, 2, 1)}"
FRAMES = np.stack([noise(100, 300, seed=n) for n in range(5)])
PLAIN = f"{STUDY}/series/{uid(1, 3)}/instances/{uid(1, 3, 1)}"


@pytest.fixture(scope="module")
def stored(server: ServerProcess) -> str:
    """A data store with three slices, a multi-frame instance, and a document without pixels."""
    datastore_id = active_datastore(server.client())
    document = slice_of(series=3, EncapsulatedDocument=b"%PDF", Modality="DOC", SOPClassUID=EncapsulatedPDFStorage)
    for name in ("PixelData", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(document, name)
    document.file_meta.MediaStorageSOPClassUID = EncapsulatedPDFStorage
    datasets = [*(slice_of(number=n, **WINDOWED) for n in (3, 1, 2)), slice_of(series=2, pixels=FRAMES), document]
    assert store(server, datastore_id, [part10(dataset) for dataset in datasets]).status_code == 200
    return datastore_id


def test_window_of_the_request(server: ServerProcess, stored: str) -> None:
    values = noise(64, 64, seed=1)
    close(rendered(server, stored, INSTANCE, "?window=0,300,linear"), windowed(values, 0, 300))
    close(rendered(server, stored, INSTANCE, "?window=0,300"), windowed(values, 0, 300))
    exact = windowed(values, -20.5, 0.5, "LINEAR_EXACT")
    close(rendered(server, stored, INSTANCE, "?window=-20.5,5e-1,linear-exact"), exact)
    close(rendered(server, stored, INSTANCE, "?window=9,99,SIGMOID"), windowed(values, 9, 99, "SIGMOID"))


def test_viewport(server: ServerProcess, stored: str) -> None:
    whole = rendered(server, stored, f"{MULTI}/frames/1")
    assert whole.shape == (100, 300)
    region = rendered(server, stored, f"{MULTI}/frames/1", "?viewport=80,80,20,10,80,60")
    close(region, whole[10:70, 20:100], 0)
    flipped = rendered(server, stored, f"{MULTI}/frames/1", "?viewport=80,80,20,10,-80,-60")
    close(flipped, whole[69:9:-1, 99:19:-1], 0)
    rest = rendered(server, stored, f"{MULTI}/frames/1", "?viewport=300,300,200,,,")
    assert rest.shape == (300, 300)
    enlarged = np.asarray(Image.fromarray(whole[:, 200:]).resize((300, 300), Image.Resampling.BILINEAR))
    close(rest[:, 3:], enlarged[:, 3:])  # at its left edge the region has neighbours, the cut does not
    assert rendered(server, stored, f"{MULTI}/frames/1", "?viewport=150,150").shape == (50, 150)
    assert rendered(server, stored, f"{MULTI}/frames/1", "?viewport=600,600").shape == (200, 600)
    assert rendered(server, stored, f"{MULTI}/frames/1", "?viewport=1,1").shape == (1, 1)


def test_half_the_size_looks_the_same(server: ServerProcess, datastore: str) -> None:
    y, x = np.mgrid[:512, :512]
    smooth = (900 * np.sin(x / 60) * np.cos(y / 45)).astype("<i2")
    dataset = slice_of(pixels=smooth, WindowCenter=0, WindowWidth=1800)
    assert store(server, datastore, [part10(dataset)]).status_code == 200
    small = rendered(server, datastore, INSTANCE, "?viewport=100,100")
    whole = Image.fromarray(windowed(smooth, 0, 1800).astype("u1"))
    # The low band lies up to half a pixel of the picture aside, which changes 14.5 levels a pixel at the steepest.
    close(small, np.asarray(whole.resize((100, 100), Image.Resampling.BOX)), 8.5)


def test_jpeg_is_the_default_and_has_a_quality(server: ServerProcess, stored: str) -> None:
    plain = get(server, stored, f"{INSTANCE}/rendered")
    assert plain.headers["content-type"] == "image/jpeg"
    close(picture(plain.content), rendered(server, stored, INSTANCE), 24)
    best = get(server, stored, f"{INSTANCE}/rendered?quality=100")
    worst = get(server, stored, f"{INSTANCE}/rendered?quality=1")
    assert len(worst.content) < len(plain.content) < len(best.content)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("image/png;q=0.5, image/jpeg;q=0.4", "image/png"),
        ("image/gif, image/jpeg", "image/jpeg"),
        ("image/*", "image/jpeg"),
        ("image/jpeg;q=0, */*", None),
        ("*/*", "image/jpeg"),
        ('multipart/related; type="image/png"', "multipart/related"),
    ],
)
def test_negotiation(server: ServerProcess, stored: str, accept: str, kind: str | None) -> None:
    answer = get(server, stored, f"{INSTANCE}/rendered", accept)
    assert answer.status_code == 200
    assert answer.headers["content-type"].partition(";")[0] == (kind or "image/png")


def test_the_parameter_accept_wins(server: ServerProcess, stored: str) -> None:
    answer = get(server, stored, f"{INSTANCE}/rendered?accept=image/png", "image/jpeg")
    assert answer.headers["content-type"] == "image/png"


def test_several_frames_come_in_parts(server: ServerProcess, stored: str) -> None:
    answer = get(server, stored, f"{MULTI}/frames/5,1,3/rendered", 'multipart/related; type="image/png"')
    found = list(parts(answer))
    assert [headers["content-location"].split("/")[-2] for headers, _ in found] == ["5", "1", "3"]
    for (headers, content), number in zip(found, (5, 1, 3), strict=True):
        assert headers["content-type"] == "image/png"
        close(picture(content), stretched(FRAMES[number - 1]))
    assert get(server, stored, f"{MULTI}/frames/1,2/rendered").headers["content-type"].startswith("multipart/related")
    assert get(server, stored, f"{MULTI}/frames/1,2/rendered", "image/png").status_code == 406


def test_a_multi_frame_instance(server: ServerProcess, stored: str) -> None:
    close(rendered(server, stored, MULTI), stretched(FRAMES[0]))
    every = get(server, stored, f"{MULTI}/rendered", 'multipart/related; type="image/png"')
    assert len(list(parts(every))) == 5


def test_series_and_study(server: ServerProcess, stored: str) -> None:
    series = list(parts(get(server, stored, f"{SERIES}/rendered", 'multipart/related; type="image/png"')))
    for (_, content), number in zip(series, (1, 2, 3), strict=True):
        close(picture(content), windowed(noise(64, 64, seed=number), 100, 700))
    study = list(parts(get(server, stored, f"{STUDY}/rendered")))
    assert len(study) == 8
    assert all(headers["content-type"] == "image/jpeg" for headers, _ in study)


def test_dicomweb_client(server: ServerProcess, stored: str) -> None:
    client = web_client(server, stored)
    uids = uid(1), uid(1, 1), uid(1, 1, 2)
    png = client.retrieve_instance_rendered(*uids, media_types=("image/png",), params={"window": "0,300,linear"})
    close(picture(png), windowed(noise(64, 64, seed=2), 0, 300))
    frame = client.retrieve_instance_frames_rendered(uid(1), uid(1, 2), uid(1, 2, 1), [4], media_types=("image/png",))
    close(picture(frame), stretched(FRAMES[3]))


def test_what_the_client_has_is_not_sent_again(server: ServerProcess, stored: str) -> None:
    path = f"{INSTANCE}/rendered?window=0,300,linear"
    tag = get(server, stored, path).headers["etag"]
    again = get(server, stored, path, **{"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert get(server, stored, f"{INSTANCE}/rendered", **{"If-None-Match": tag}).status_code == 200


def test_annotations_are_not_made_and_that_is_told(server: ServerProcess, stored: str) -> None:
    answer = get(server, stored, f"{INSTANCE}/rendered?annotation=patient,technique")
    assert answer.status_code == 200
    assert "annotation values are not supported: patient, technique" in answer.headers["warning"]


def test_an_update_shows_at_once(server: ServerProcess, client: Any, datastore: str) -> None:
    dataset = slice_of(pixels=SIGNED, **WINDOWED)
    assert store(server, datastore, [part10(dataset)]).status_code == 200
    before = get(server, datastore, f"{INSTANCE}/rendered", "image/png")
    (found,) = client.search_image_sets(datastoreId=datastore)["imageSetsMetadataSummaries"]
    edit = {"SchemaVersion": 1.1, "Study": {"Series": {uid(1, 1): {"Instances": {uid(1, 1, 1): {"DICOM": {}}}}}}}
    edit["Study"]["Series"][uid(1, 1)]["Instances"][uid(1, 1, 1)]["DICOM"]["WindowCenter"] = "-200"  # type: ignore[index]
    updated(client, datastore, found["imageSetId"], edit)
    after = get(server, datastore, f"{INSTANCE}/rendered", "image/png", **{"If-None-Match": before.headers["etag"]})
    assert after.status_code == 200
    close(picture(after.content), windowed(SIGNED, -200, 700))


def test_an_update_of_the_series_shows_at_once(server: ServerProcess, client: Any, datastore: str) -> None:
    pixels = noise(40, 48)
    pixels[:5] = -30000
    dataset = slice_of(pixels=pixels, PixelPaddingValue=-32000)
    dataset["PixelPaddingValue"].VR = "SS"
    assert store(server, datastore, [part10(dataset)]).status_code == 200
    close(rendered(server, datastore, INSTANCE), stretched(pixels))
    (found,) = client.search_image_sets(datastoreId=datastore)["imageSetsMetadataSummaries"]
    edit = {"SchemaVersion": 1.1, "Study": {"Series": {uid(1, 1): {"DICOM": {"PixelPaddingValue": -30000}}}}}
    updated(client, datastore, found["imageSetId"], edit)
    close(rendered(server, datastore, INSTANCE), stretched(pixels, pixels == -30000))


def test_slices_that_are_shown_otherwise_than_the_one_before(server: ServerProcess, datastore: str) -> None:
    windows = [(100, 700), (100, 700), (-50, 300), (100, 700), (-50, 300)]
    for number, (center, width) in enumerate(windows, 1):
        dataset = slice_of(number=number, pixels=noise(40, 48, seed=number), WindowCenter=center, WindowWidth=width)
        assert store(server, datastore, [part10(dataset)]).status_code == 200
    for _ in range(2):
        for number, window in enumerate(windows, 1):
            path = f"{SERIES}/instances/{uid(1, 1, number)}"
            close(rendered(server, datastore, path), windowed(noise(40, 48, seed=number), *window))


BAD_QUERIES = [
    "window=1",
    "window=1,2,3,4",
    "window=a,2,linear",
    "window=1,0,linear",
    "window=1,0.5,linear",
    "window=1,0,sigmoid",
    "window=1,-3,linear-exact",
    "window=1,2,cubic",
    "window=nan,2,linear",
    "window=1,1e999,linear",
    "window=",
    "window=1,2&window=1,2",
    "viewport=10",
    "viewport=0,10",
    "viewport=10,-1",
    "viewport=10.5,10",
    "viewport=99999,10",
    "viewport=10,10,0",
    "viewport=10,10,a,0,1,1",
    "viewport=10,10,-1,0,1,1",
    "viewport=10,10,0,0,0,1",
    "viewport=10,10,0,0,65,1",
    "viewport=10,10,64,0,,",
    "viewport=10,10,1e300,0,1e300,1",
    "quality=0",
    "quality=101",
    "quality=high",
    "quality=-5",
    "quality=",
    "annotation=everything",
    "annotation=",
    "iccprofile=cmyk",
    "presentationUID=1.2",
    "imageSetId=",
    "size=3",
]


@pytest.mark.parametrize("query", BAD_QUERIES)
def test_bad_parameters(server: ServerProcess, stored: str, query: str) -> None:
    answer = get(server, stored, f"{INSTANCE}/rendered?{query}")
    assert answer.status_code == (404 if query == "imageSetId=" else 400), answer.text
    assert answer.json()["message"]


@pytest.mark.parametrize(
    ("path", "accept", "status"),
    [
        (f"{PLAIN}/rendered", None, 406),
        (f"{PLAIN}/frames/1/rendered", None, 404),
        (f"{STUDY}/series/{uid(1, 3)}/rendered", None, 406),
        (f"{INSTANCE}/rendered", "image/gif", 406),
        (f"{INSTANCE}/rendered", "application/dicom", 406),
        (f"{SERIES}/rendered", "image/jpeg", 406),
        (f"{INSTANCE}/frames/2/rendered", None, 404),
        (f"{INSTANCE}/frames/0/rendered", None, 400),
        (f"{INSTANCE}/frames/x/rendered", None, 400),
        (f"{MULTI}/frames/1,1/rendered", None, 400),
        (f"{MULTI}/frames/1,6/rendered", None, 404),
        ("studies/9.9/rendered", None, 404),
        (f"{STUDY}/series/9.9/rendered", None, 404),
        (f"{SERIES}/instances/9.9/rendered", None, 404),
        (f"{STUDY}/rendered?imageSetId=abc", None, 400),
    ],
)
def test_what_cannot_be_rendered(
    server: ServerProcess, stored: str, path: str, accept: str | None, status: int
) -> None:
    answer = get(server, stored, path, accept)
    assert answer.status_code == status, answer.text
    assert answer.json()["message"]


def test_without_a_signature(server: ServerProcess, stored: str) -> None:
    for path in (f"{INSTANCE}/rendered", f"{STUDY}/thumbnail"):
        assert requests.get(f"{root(server, stored)}/{path}", timeout=60).status_code == 403


def test_head_has_no_body(server: ServerProcess, stored: str) -> None:
    answer = session(server).head(f"{root(server, stored)}/{INSTANCE}/rendered", timeout=60)
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) > 0


def test_run_length_encoded(server: ServerProcess, datastore: str) -> None:
    dataset = slice_of(pixels=OCTETS)
    dataset.compress(RLELossless, generate_instance_uid=False)
    assert store(server, datastore, [part10(dataset)]).status_code == 200
    close(rendered(server, datastore, INSTANCE), stretched(OCTETS))
