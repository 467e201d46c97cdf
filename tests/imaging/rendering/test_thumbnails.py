"""Thumbnails through HTTP."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import EncapsulatedPDFStorage

from support.clients.dicomweb import get, part10, store
from support.files.synthetic import slice_of, uid
from support.servers import ServerProcess, active_datastore

STUDY = f"studies/{uid(1)}"
WIDE = np.stack([np.full((200, 400), 100 * n, "<i2") for n in range(5)])
WINDOW = {"WindowCenter": 200, "WindowWidth": 400, "VOILUTFunction": "LINEAR_EXACT"}


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
    """Return the grey level of a thumbnail, which must be the same everywhere."""
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
