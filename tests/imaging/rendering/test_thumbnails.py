"""Thumbnails through HTTP, and that they are made of the small resolutions of a codestream."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.uid import EncapsulatedPDFStorage

from hounsfield.pixels.codecs.decode import decode_frame, decode_reduced
from hounsfield.pixels.codecs.encode import encode_frame, uses_colour_transform
from hounsfield.pixels.codecs.wavelet import reduce_resolutions
from hounsfield.pixels.errors import PixelError
from hounsfield.pixels.format import PixelFormat
from hounsfield.pixels.transfer_syntaxes import HTJ2K_LOSSLESS_RPCL, JPEG_2000_LOSSLESS, LosslessFormat
from support.clients.dicomweb import get, part10, store
from support.files.synthetic import noise, slice_of, uid
from support.servers import ServerProcess, active_datastore

STUDY = f"studies/{uid(1)}"
WIDE = np.stack([np.full((200, 400), 100 * n, "<i2") for n in range(5)])
WINDOW = {"WindowCenter": 200, "WindowWidth": 400, "VOILUTFunction": "LINEAR_EXACT"}


def format_of(pixels: NDArray[np.generic]) -> PixelFormat:
    bits, colour = pixels.dtype.itemsize * 8, pixels.ndim == 3
    return PixelFormat(
        rows=pixels.shape[0],
        columns=pixels.shape[1],
        samples_per_pixel=3 if colour else 1,
        photometric_interpretation="RGB" if colour else "MONOCHROME2",
        planar_configuration=0,
        bits_allocated=bits,
        bits_stored=bits,
        high_bit=bits - 1,
        pixel_representation=int(pixels.dtype.kind == "i"),
        number_of_frames=1,
    )


@pytest.mark.parametrize(
    "pixels",
    [
        noise(512, 300),
        noise(333, 517, dtype="<u2"),
        np.random.default_rng(2).integers(0, 256, (200, 260, 3)).astype("u1"),
        noise(150, 150).astype("<i4") * 70001,
    ],
    ids=["signed", "odd sizes", "colour", "32 bits"],
)
def test_a_reduced_decode_is_the_low_band_of_the_whole(pixels: NDArray[np.generic]) -> None:
    format_ = format_of(pixels)
    transform = uses_colour_transform(format_, LosslessFormat.HTJ2K)
    encoded = encode_frame(pixels, LosslessFormat.HTJ2K, colour_transform=transform)
    expected = reduce_resolutions(pixels, 2, colour_transform=transform)
    for halvings in (1, 2):
        found = decode_reduced(encoded, HTJ2K_LOSSLESS_RPCL, format_, halvings)
        assert np.array_equal(found, expected[halvings - 1].limited)
    assert np.array_equal(decode_reduced(encoded, HTJ2K_LOSSLESS_RPCL, format_, 0), pixels)
    deepest = decode_reduced(encoded, HTJ2K_LOSSLESS_RPCL, format_, 30)
    assert max(deepest.shape[:2]) <= 128, "no more than the levels that there are"


def test_what_has_no_small_resolutions_is_decoded_whole() -> None:
    pixels = noise(256, 256)
    encoded = encode_frame(pixels, LosslessFormat.JPEG_2000_LOSSLESS, colour_transform=False)
    assert np.array_equal(decode_reduced(encoded, JPEG_2000_LOSSLESS, format_of(pixels), 2), pixels)
    native = decode_reduced(pixels.tobytes(), "1.2.840.10008.1.2.1", format_of(pixels), 2)
    assert np.array_equal(native, decode_frame(pixels.tobytes(), "1.2.840.10008.1.2.1", format_of(pixels)))


def test_a_damaged_frame_is_refused_at_every_resolution() -> None:
    pixels = noise(256, 256)
    encoded = encode_frame(pixels, LosslessFormat.HTJ2K, colour_transform=False)
    for halvings in (1, 2):
        with pytest.raises(PixelError):
            decode_reduced(encoded[:200], HTJ2K_LOSSLESS_RPCL, format_of(pixels), halvings)


@pytest.fixture(scope="module")
def stored(server: ServerProcess) -> str:
    """A series of a document only, one of five slices of rising brightness, and a multi-frame instance."""
    datastore_id = active_datastore(server.client())
    document = slice_of(series=1, EncapsulatedDocument=b"%PDF", Modality="DOC", SOPClassUID=EncapsulatedPDFStorage)
    for name in ("PixelData", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(document, name)
    document.file_meta.MediaStorageSOPClassUID = EncapsulatedPDFStorage
    slices = [slice_of(series=2, number=n, pixels=WIDE[n - 1], **WINDOW) for n in (4, 2, 5, 1, 3)]
    multi = slice_of(series=3, pixels=WIDE, **WINDOW)
    named = slice_of(series=4, pixels=WIDE, RepresentativeFrameNumber=2, **WINDOW)
    assert store(server, datastore_id, [part10(each) for each in (document, *slices, multi, named)]).ok
    return datastore_id


def level(server: ServerProcess, datastore_id: str, path: str, size: tuple[int, int] = (64, 128)) -> int:
    """Give the grey level of a thumbnail, which must be the same everywhere."""
    answer = get(server, datastore_id, path, "image/png")
    assert answer.status_code == 200, answer.text
    pixels = np.asarray(Image.open(io.BytesIO(answer.content)))
    assert pixels.shape == size
    assert pixels.min() == pixels.max()
    return int(pixels[0, 0])


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (STUDY, 128),
        (f"{STUDY}/series/{uid(1, 2)}", 128),
        (f"{STUDY}/series/{uid(1, 2)}/instances/{uid(1, 2, 2)}", 64),
        (f"{STUDY}/series/{uid(1, 3)}", 128),
        (f"{STUDY}/series/{uid(1, 3)}/instances/{uid(1, 3, 1)}", 128),
        (f"{STUDY}/series/{uid(1, 3)}/instances/{uid(1, 3, 1)}/frames/5", 255),
        (f"{STUDY}/series/{uid(1, 4)}/instances/{uid(1, 4, 1)}", 64),
    ],
)
def test_thumbnails(server: ServerProcess, stored: str, path: str, expected: int) -> None:
    assert abs(level(server, stored, f"{path}/thumbnail") - expected) <= 1


def test_the_size_of_a_thumbnail(server: ServerProcess, stored: str) -> None:
    path = f"{STUDY}/series/{uid(1, 2)}/thumbnail"
    assert get(server, stored, path).headers["content-type"] == "image/jpeg"
    level(server, stored, f"{path}?viewport=32,32", (16, 32))
    level(server, stored, f"{path}?viewport=800,800", (400, 800))


def test_a_small_image_is_not_enlarged(server: ServerProcess, datastore: str) -> None:
    dataset = slice_of(pixels=np.full((20, 30), 200, "<i2"), **WINDOW)
    assert store(server, datastore, [part10(dataset)]).ok
    level(server, datastore, f"{STUDY}/thumbnail", (20, 30))


def test_a_thumbnail_that_the_client_has_is_not_sent_again(server: ServerProcess, stored: str) -> None:
    tag = get(server, stored, f"{STUDY}/thumbnail").headers["etag"]
    assert get(server, stored, f"{STUDY}/thumbnail", **{"If-None-Match": tag}).status_code == 304


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{STUDY}/series/{uid(1, 1)}/thumbnail", 404),
        (f"{STUDY}/series/{uid(1, 1)}/instances/{uid(1, 1, 1)}/thumbnail", 404),
        ("studies/9.9/thumbnail", 404),
        (f"{STUDY}/series/9.9/thumbnail", 404),
        (f"{STUDY}/series/{uid(1, 3)}/instances/{uid(1, 3, 1)}/frames/6/thumbnail", 404),
        (f"{STUDY}/series/{uid(1, 3)}/instances/{uid(1, 3, 1)}/frames/1,2/thumbnail", 400),
        (f"{STUDY}/series/{uid(1, 3)}/instances/{uid(1, 3, 1)}/frames/0/thumbnail", 400),
        (f"{STUDY}/thumbnail?viewport=10,10,0,0,5,5", 400),
        (f"{STUDY}/thumbnail?viewport=0,0", 400),
        (f"{STUDY}/thumbnail?window=1,2,linear", 400),
        (f"{STUDY}/thumbnail?imageSetId=abc", 400),
    ],
)
def test_what_has_no_thumbnail(server: ServerProcess, stored: str, path: str, status: int) -> None:
    answer = get(server, stored, path)
    assert answer.status_code == status, answer.text
    assert answer.json()["message"]
