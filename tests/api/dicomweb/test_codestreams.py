"""What codestreams are given as and said to be: precision, colour transform, planes, samples of 32 bits and of one bit."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from hounsfield.pixels.codecs.codestream import J2kHeader, read_j2k
from support.clients.dicomweb import get, part10, store, values
from support.files.synthetic import noise, slice_of, uid
from support.servers import ServerProcess, active_datastore

EXPLICIT = "1.2.840.10008.1.2.1"
J2K, HTJ2K, ANY_HTJ2K = (f"1.2.840.10008.1.2.4.{part}" for part in ("90", "202", "201"))
SERIES = f"studies/{uid(1)}/series/{uid(1, 1)}"
COLOURS = np.random.default_rng(5).integers(0, 256, (40, 48, 3)).astype("u1")
PLANES = np.ascontiguousarray(np.moveaxis(COLOURS, -1, 0))
DOSE = (np.arange(40 * 48, dtype="u8").reshape(40, 48) * 2_000_003 % (1 << 32)).astype("<u4")
COLOUR = {"SamplesPerPixel": 3, "Rows": 40, "Columns": 48}
KINDS: dict[str, tuple[NDArray[Any], dict[str, Any]]] = {
    "RGB": (PLANES, {**COLOUR, "PlanarConfiguration": 1, "PhotometricInterpretation": "RGB"}),
    "YBR": (PLANES, {**COLOUR, "PlanarConfiguration": 1, "PhotometricInterpretation": "YBR_FULL"}),
    "dose": (DOSE, {}),
    "12 bits": (noise(40, 48) % 2048, {"BitsStored": 12, "HighBit": 11}),
}
NUMBERS = {kind: number for number, kind in enumerate(KINDS, 1)}


def dataset_of(kind: str) -> Dataset:
    pixels, elements = KINDS[kind]
    dataset = slice_of(number=NUMBERS[kind], pixels=pixels, **elements)
    if "NumberOfFrames" in dataset:
        del dataset.NumberOfFrames
    return dataset


@pytest.fixture(scope="module")
def kinds(server: ServerProcess) -> str:
    """A data store with an instance of each kind."""
    datastore_id = active_datastore(server.client())
    assert store(server, datastore_id, [part10(dataset_of(kind)) for kind in KINDS]).status_code == 200
    return datastore_id


def path_of(kind: str) -> str:
    return f"{SERIES}/instances/{uid(1, 1, NUMBERS[kind])}"


def frame(server: ServerProcess, datastore_id: str, kind: str, syntax: str) -> bytes:
    answer = get(
        server, datastore_id, f"{path_of(kind)}/frames/1", f"application/octet-stream; transfer-syntax={syntax}"
    )
    assert answer.status_code == 200, answer.text
    return answer.content


def file(server: ServerProcess, datastore_id: str, kind: str, syntax: str) -> Dataset:
    answer = get(server, datastore_id, path_of(kind), f"application/dicom; transfer-syntax={syntax}")
    assert answer.status_code == 200, answer.text
    return pydicom.dcmread(BytesIO(answer.content))


def header_of(codestream: bytes) -> J2kHeader:
    return read_j2k(codestream)


@pytest.mark.parametrize("kind", ["RGB", "YBR"])
def test_frames_are_interleaved_and_the_metadata_says_so(server: ServerProcess, kinds: str, kind: str) -> None:
    for path in (path_of(kind), SERIES):
        items = get(server, kinds, f"{path}/metadata", "application/dicom+json").json()
        (item,) = (item for item in items if values(item, "00080018") == [uid(1, 1, NUMBERS[kind])])
        assert values(item, "00280006") == [0]
        assert values(item, "00280004") == ["RGB" if kind == "RGB" else "YBR_FULL"]
    assert frame(server, kinds, kind, EXPLICIT) == COLOURS.tobytes()
    for syntax in ("*", HTJ2K, ANY_HTJ2K, J2K):
        codestream = frame(server, kinds, kind, syntax)
        assert np.array_equal(imagecodecs.jpeg2k_decode(codestream, planar=False), COLOURS)
    native = file(server, kinds, kind, EXPLICIT)
    assert native.PlanarConfiguration == 1
    assert native.PixelData == PLANES.tobytes()


@pytest.mark.parametrize(("said", "told"), [("YBR_RCT", "RGB"), ("YBR_ICT", "RGB"), ("YBR_FULL_422", "YBR_FULL")])
def test_the_metadata_says_the_colour_of_decoded_frames(
    server: ServerProcess, datastore: str, said: str, told: str
) -> None:
    dataset = slice_of(pixels=COLOURS, **COLOUR, PlanarConfiguration=0, PhotometricInterpretation=said)
    del dataset.NumberOfFrames
    if said != "YBR_FULL_422":
        codestream = imagecodecs.jpeg2k_encode(COLOURS, 0, codecformat="j2k", reversible=True, planar=False, mct=True)
        dataset.PixelData = encapsulate([bytes(codestream)])
        dataset["PixelData"].VR = "OB"
        dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    assert store(server, datastore, [part10(dataset)]).status_code == 200
    path = f"{SERIES}/instances/{uid(1, 1, 1)}"
    for where in (path, SERIES):
        (item,) = get(server, datastore, f"{where}/metadata", "application/dicom+json").json()
        assert values(item, "00280004") == [told]
    for syntax in ("*", EXPLICIT):
        accept = f"application/octet-stream; transfer-syntax={syntax}"
        found = get(server, datastore, f"{path}/frames/1", accept).content
        samples = imagecodecs.htj2k_decode(found, planar=False).tobytes() if syntax == "*" else found
        assert samples == COLOURS.tobytes()


@pytest.mark.parametrize("syntax", ["*", HTJ2K, ANY_HTJ2K, J2K])
def test_files_name_the_colour_of_their_codestreams(server: ServerProcess, kinds: str, syntax: str) -> None:
    rgb = file(server, kinds, "RGB", syntax)
    assert rgb.PhotometricInterpretation == "YBR_RCT"
    assert header_of(get_frame(rgb.PixelData, 0, number_of_frames=1)).colour_transform
    ybr = file(server, kinds, "YBR", syntax)
    assert ybr.PhotometricInterpretation == "YBR_FULL"
    if syntax == "*":
        assert ybr.file_meta.TransferSyntaxUID == EXPLICIT
        assert ybr.PixelData == PLANES.tobytes()
        return
    codestream = get_frame(ybr.PixelData, 0, number_of_frames=1)
    assert not header_of(codestream).colour_transform
    assert np.array_equal(imagecodecs.jpeg2k_decode(codestream, planar=False), COLOURS)


@pytest.mark.parametrize("syntax", ["*", HTJ2K, ANY_HTJ2K, J2K])
def test_codestreams_state_the_stored_bits(server: ServerProcess, kinds: str, syntax: str) -> None:
    samples = KINDS["12 bits"][0]
    whole = get_frame(file(server, kinds, "12 bits", syntax).PixelData, 0, number_of_frames=1)
    for codestream in (frame(server, kinds, "12 bits", syntax), whole):
        assert header_of(codestream).samples.precision == 12
        assert np.array_equal(imagecodecs.jpeg2k_decode(codestream), samples)


@pytest.mark.parametrize("syntax", [HTJ2K, ANY_HTJ2K, J2K])
def test_deep_samples_are_refused_as_codestreams(server: ServerProcess, kinds: str, syntax: str) -> None:
    refused = [
        get(server, kinds, path_of("dose"), f"application/dicom; transfer-syntax={syntax}"),
        get(server, kinds, SERIES, f'multipart/related; type="application/dicom"; transfer-syntax={syntax}'),
        get(server, kinds, f"{path_of('dose')}/frames/1", f"application/octet-stream; transfer-syntax={syntax}"),
        get(
            server,
            kinds,
            f"{path_of('dose')}/frames/1",
            f'multipart/related; type="image/jphc"; transfer-syntax={syntax}',
        ),
        get(server, kinds, f"{path_of('dose')}/frames/1", "image/jphc"),
        get(server, kinds, f"{path_of('dose')}/frames/1", 'multipart/related; type="image/jphc"'),
    ]
    assert [answer.status_code for answer in refused] == [406] * len(refused)
    assert get(server, kinds, path_of("12 bits"), f"application/dicom; transfer-syntax={syntax}").status_code == 200


def test_deep_samples_are_native_unless_anything_goes(server: ServerProcess, kinds: str) -> None:
    for accept in ("application/octet-stream", f"application/octet-stream; transfer-syntax={EXPLICIT}"):
        assert get(server, kinds, f"{path_of('dose')}/frames/1", accept).content == DOSE.tobytes()
    answer = get(server, kinds, path_of("dose"), "application/dicom")
    assert pydicom.dcmread(BytesIO(answer.content)).PixelData == DOSE.tobytes()
    codestreams = (
        frame(server, kinds, "dose", "*"),
        get_frame(file(server, kinds, "dose", "*").PixelData, 0, number_of_frames=1),
    )
    for codestream in codestreams:
        assert np.array_equal(imagecodecs.htj2k_decode(codestream.rstrip(b"\0")), DOSE)


BITS = np.random.default_rng(1).integers(0, 2, (40, 45)).astype("u1")


@pytest.mark.parametrize("came_as", [EXPLICIT, RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_one_bit(server: ServerProcess, datastore: str, came_as: str) -> None:
    """Whatever is given, its bits allocated are those of its samples; what cannot be given is refused."""
    dataset = slice_of(pixels=BITS, BitsAllocated=1, BitsStored=1, HighBit=0)
    dataset.PixelData = np.packbits(BITS.ravel(), bitorder="little").tobytes()
    dataset.PixelData += bytes(len(dataset.PixelData) % 2)
    if came_as != EXPLICIT:
        encoded = {
            RLELossless: lambda: run_length(np.packbits(BITS.ravel(), bitorder="little").tobytes()),
            JPEGLSLossless: lambda: imagecodecs.jpegls_encode(BITS),
            JPEG2000Lossless: lambda: imagecodecs.jpeg2k_encode(BITS, 0, codecformat="j2k", bitspersample=1, mct=False),
        }[came_as]()
        dataset.PixelData = encapsulate([encoded])
        dataset["PixelData"].VR = "OB"
        dataset.file_meta.TransferSyntaxUID = came_as
    assert store(server, datastore, [part10(dataset)]).status_code in {200, 202}
    for asked in (None, "*", EXPLICIT, HTJ2K, ANY_HTJ2K, J2K):
        wanted = "" if asked is None else f"; transfer-syntax={asked}"
        answer = get(server, datastore, f"{SERIES}/instances/{uid(1, 1, 1)}", f"application/dicom{wanted}")
        assert answer.status_code == 200 or (answer.status_code == 406 and asked not in {None, "*"})
        if answer.status_code == 200:
            check_one_bit(pydicom.dcmread(BytesIO(answer.content)))


def check_one_bit(found: Dataset) -> None:
    if found.file_meta.TransferSyntaxUID == EXPLICIT:
        assert found.BitsAllocated == 1
        assert found.PixelData[: -(-BITS.size // 8)] == np.packbits(BITS.ravel(), bitorder="little").tobytes()
    elif found.file_meta.TransferSyntaxUID in {HTJ2K, ANY_HTJ2K, J2K}:
        assert (found.BitsAllocated, found.BitsStored, found.HighBit) == (8, 1, 0)
        codestream = get_frame(found.PixelData, 0, number_of_frames=1)
        assert np.array_equal(imagecodecs.jpeg2k_decode(codestream), BITS)


def run_length(data: bytes) -> bytes:
    """One segment of literal runs (PS3.5 Annex G)."""
    runs = b"".join(bytes([len(data[at : at + 128]) - 1]) + data[at : at + 128] for at in range(0, len(data), 128))
    return np.array([1, 64, *[0] * 14], "<u4").tobytes() + runs + bytes(len(runs) % 2)
