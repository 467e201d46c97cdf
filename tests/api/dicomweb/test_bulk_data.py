"""Bulk data, pixel data, and ZIP archives of instances, series and studies."""

from __future__ import annotations

import io
import zipfile

import imagecodecs
import numpy as np
import pydicom
import pytest
import requests
from pydicom.dataset import Dataset
from pydicom.uid import JPEGBaseline8Bit

from support.clients.dicomweb import part10, parts, root, session, store, web_client
from support.clients.raw_http import exchange, head
from support.clients.signed_http import signature
from support.files.synthetic import noise, slice_of, uid
from support.servers import ServerProcess, active_datastore

EXPLICIT, HTJ2K = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.202"
STUDY = f"studies/{uid(1)}"
SERIES = f"{STUDY}/series/{uid(1, 1)}"
INSTANCE = f"{SERIES}/instances/{uid(1, 1, 1)}"
MULTI = f"{STUDY}/series/{uid(1, 2)}/instances/{uid(1, 2, 1)}"
BARE = f"{STUDY}/series/{uid(1, 3)}/instances/{uid(1, 3, 1)}"
OCTETS = 'multipart/related; type="application/octet-stream"'
LARGE = bytes(range(256)) * 5000
FRAMES = np.stack([noise(8, 6, seed=n) for n in range(3)])


def without_pixels() -> Dataset:
    dataset = slice_of(series=3)
    del dataset.PixelData
    return dataset


@pytest.fixture(scope="module")
def stored(server: ServerProcess) -> str:
    """A study: two slices, one with a document in it and one in an item; a multi-frame instance; one without pixels."""
    datastore_id = active_datastore(server.client())
    item = Dataset()
    item.EncapsulatedDocument = LARGE[::-1]
    nested = slice_of(number=2, ReferencedImageSequence=[item])
    files = [
        slice_of(number=1, EncapsulatedDocument=LARGE),
        nested,
        slice_of(series=2, pixels=FRAMES),
        without_pixels(),
    ]
    assert store(server, datastore_id, [part10(one) for one in files]).status_code == 200
    return datastore_id


def get(
    server: ServerProcess, datastore_id: str, path: str, accept: str | None = None, **headers: str
) -> requests.Response:
    given = {**headers, **({"Accept": accept} if accept else {})}
    return session(server).get(f"{root(server, datastore_id)}/{path}", headers=given, timeout=60)


def uri(server: ServerProcess, datastore_id: str) -> str:
    (metadata,) = get(server, datastore_id, f"{INSTANCE}/metadata").json()
    return str(metadata["00420011"]["BulkDataURI"])


def test_ranges_of_a_value(server: ServerProcess, stored: str) -> None:
    path = uri(server, stored).removeprefix(f"{root(server, stored)}/")
    whole = get(server, stored, path, "application/octet-stream")
    assert (whole.content, whole.headers["accept-ranges"]) == (LARGE, "bytes")
    assert whole.headers["content-location"] == uri(server, stored)
    part = get(server, stored, path, "application/octet-stream", Range="bytes=1000-1999")
    assert (part.status_code, part.content) == (206, LARGE[1000:2000])
    assert part.headers["content-range"] == f"bytes 1000-1999/{len(LARGE)}"
    last = get(server, stored, path, Range="bytes=-5", **{"If-Range": whole.headers["etag"]})
    assert (last.status_code, last.content) == (206, LARGE[-5:])
    beyond = get(server, stored, path, Range=f"bytes={len(LARGE)}-")
    assert beyond.status_code == 416
    again = get(server, stored, path, "application/octet-stream", **{"If-None-Match": whole.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    in_parts = get(server, stored, path, OCTETS, Range="bytes=0-9", **{"If-None-Match": whole.headers["etag"]})
    ((headers, content),) = parts(in_parts)
    assert (in_parts.status_code, content, headers["content-location"]) == (200, LARGE, uri(server, stored))


@pytest.mark.parametrize("path", [INSTANCE, f"{INSTANCE}/bulkdata"])
def test_all_bulk_data_of_an_instance(server: ServerProcess, stored: str, path: str) -> None:
    answer = get(server, stored, path, OCTETS)
    assert answer.headers["content-type"].startswith(OCTETS)
    assert answer.headers["vary"] == "Accept"
    (document, content), (pixels, frame) = parts(answer)
    assert (document["content-location"], content) == (uri(server, stored), LARGE)
    assert pixels["content-location"] == f"{root(server, stored)}/{INSTANCE}/frames/1"
    assert pixels["content-type"] == f"application/octet-stream; transfer-syntax={EXPLICIT}"
    assert frame == noise(64, 64, seed=1).tobytes()
    # What a part says it is can be had where it says it is.
    for headers, content in parts(answer):
        path = headers["content-location"].removeprefix(f"{root(server, stored)}/")
        ((_, again),) = parts(get(server, stored, path, OCTETS))
        assert again == content


@pytest.mark.parametrize(("path", "frames", "values"), [(SERIES, 2, 2), (STUDY, 5, 2), (MULTI, 3, 0)])
def test_all_bulk_data_of_more(server: ServerProcess, stored: str, path: str, frames: int, values: int) -> None:
    for answer in (get(server, stored, path, OCTETS), get(server, stored, f"{path}/bulkdata")):
        places = [headers["content-location"] for headers, _ in parts(answer)]
        assert len(set(places)) == len(places) == frames + values
        assert sum("/bulkdata/" in place for place in places) == values
    assert get(server, stored, f"{path}/bulkdata", "application/dicom").status_code == 406


def test_values_of_items_are_there_too(server: ServerProcess, stored: str) -> None:
    found = {content for _, content in parts(get(server, stored, f"{SERIES}/bulkdata"))}
    assert {LARGE, LARGE[::-1]} <= found
    assert LARGE[::-1] in web_client(server, stored).retrieve_bulkdata(f"{root(server, stored)}/{SERIES}/bulkdata")


@pytest.mark.parametrize("path", [MULTI, STUDY])
@pytest.mark.parametrize(
    "wanted", [OCTETS, 'multipart/related; type="image/jphc"', f"{OCTETS}; transfer-syntax=*", "*/*"]
)
def test_pixel_data(server: ServerProcess, stored: str, path: str, wanted: str) -> None:
    answer = get(server, stored, f"{path}/pixeldata", wanted)
    assert answer.status_code == 200, answer.text
    found = [(headers, content) for headers, content in parts(answer) if f"/{MULTI}/" in headers["content-location"]]
    assert [headers["content-location"].rsplit("/", 1)[1] for headers, _ in found] == ["1", "2", "3"]
    for (headers, content), frame in zip(found, FRAMES, strict=True):
        if "jphc" in wanted or "*" in wanted.removesuffix("*/*"):
            assert headers["content-type"].endswith(f"transfer-syntax={HTJ2K}")
            np.testing.assert_array_equal(imagecodecs.htj2k_decode(content), frame)
        else:
            assert headers["content-type"] == f"application/octet-stream; transfer-syntax={EXPLICIT}"
            assert content == frame.tobytes()


def test_what_there_is_none_of(server: ServerProcess, stored: str) -> None:
    for resource in ("bulkdata", "pixeldata"):
        assert get(server, stored, f"{BARE}/{resource}").status_code == 404
        assert get(server, stored, f"studies/9.9/{resource}").status_code == 404
        assert get(server, stored, f"{STUDY}/{resource}?size=3").status_code == 400
    assert get(server, stored, BARE, OCTETS).status_code == 404
    for accept in ("image/png", "application/octet-stream", 'multipart/related; type="image/jpeg"; transfer-syntax=*'):
        assert get(server, stored, f"{STUDY}/pixeldata", accept).status_code == 406


def test_pixel_data_of_several_kinds(server: ServerProcess, datastore: str) -> None:
    """Lossy frames come decoded, or as they are stored; never in a lossless syntax."""
    lossy = slice_of(series=2, pixels=noise(16, 16))
    lossy.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    picture = np.arange(256, dtype="u1").reshape(16, 16)
    for keyword, value in {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PixelRepresentation": 0}.items():
        setattr(lossy, keyword, value)
    lossy.PixelData = pydicom.encaps.encapsulate([imagecodecs.jpeg8_encode(picture, level=90)])
    assert store(server, datastore, [part10(slice_of()), part10(lossy)]).status_code == 200
    stored = list(parts(get(server, datastore, f"{STUDY}/pixeldata", f"{OCTETS}; transfer-syntax=*")))
    assert [headers["content-type"].rpartition(".")[2] for headers, _ in stored] == ["202", "50"]
    decoded = list(parts(get(server, datastore, f"{STUDY}/pixeldata", OCTETS)))
    assert [len(content) for _, content in decoded] == [64 * 64 * 2, 16 * 16]
    assert get(server, datastore, f"{STUDY}/pixeldata", 'multipart/related; type="image/jphc"').status_code == 406


def unzipped(content: bytes) -> dict[str, Dataset]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: pydicom.dcmread(io.BytesIO(archive.read(name))) for name in archive.namelist()}


@pytest.mark.parametrize(("path", "count"), [(INSTANCE, 1), (SERIES, 2), (STUDY, 4)])
@pytest.mark.parametrize("syntax", ["", f"; transfer-syntax={HTJ2K}", "; transfer-syntax=*"])
def test_zip_archives(server: ServerProcess, stored: str, path: str, count: int, syntax: str) -> None:
    answer = get(server, stored, path, f"application/zip{syntax}")
    if HTJ2K in syntax and path == STUDY:
        assert answer.status_code == 406, "the instance without pixel data has no such form"
        return
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    files = unzipped(answer.content)
    assert len(files) == count
    for name, dataset in files.items():
        assert name == f"{dataset.SeriesInstanceUID}/{dataset.SOPInstanceUID}.dcm"
        if "PixelData" in dataset:
            assert dataset.file_meta.TransferSyntaxUID == (HTJ2K if syntax else EXPLICIT)
    assert files[f"{uid(1, 1)}/{uid(1, 1, 1)}.dcm"].EncapsulatedDocument == LARGE


def test_a_zip_archive_is_one_form_of_an_instance(server: ServerProcess, stored: str) -> None:
    archive, file = get(server, stored, INSTANCE, "application/zip"), get(server, stored, INSTANCE, "application/dicom")
    tag = archive.headers["etag"]
    assert get(server, stored, INSTANCE, "application/zip", **{"If-None-Match": tag}).status_code == 304
    assert get(server, stored, INSTANCE, "application/dicom", **{"If-None-Match": tag}).status_code == 200
    assert get(server, stored, INSTANCE, "application/zip").content == archive.content
    preferred = get(server, stored, INSTANCE, "application/zip;q=0.5, application/dicom")
    assert preferred.content == file.content
    assert get(server, stored, INSTANCE, "*/*").headers["content-type"].startswith("application/dicom")


def test_an_archive_is_not_gathered_for_who_speaks_http_1_0(server: ServerProcess, stored: str) -> None:
    """nginx does so of itself; a study need not fit into memory, as the end of an archive is seen in it."""
    path = f"/datastore/{stored}/{STUDY}"
    headers = {**signature(server, "GET", path), "Host": f"127.0.0.1:{server.port}", "Accept": "application/zip"}
    answer = exchange(server, head("GET", path, headers).replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n"))
    headers_sent, _, content = answer.data.partition(b"\r\n\r\n")
    assert b" 200 " in headers_sent.splitlines()[0]
    assert b"content-length" not in headers_sent.lower()
    assert len(unzipped(content)) == 4
