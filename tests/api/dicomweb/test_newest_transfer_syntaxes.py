"""The newest transfer syntaxes over HTTP: imported by frame, shown, given back, re-coded without loss."""

from __future__ import annotations

import io
import zlib
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image

from support.clients.dicomweb import parts, root, session, store, values
from support.files.encapsulated import colours, file_of, jpeg, ramp
from support.servers import ServerProcess

UNCOMPRESSED, DEFLATED = "1.2.840.10008.1.2.1.98", "1.2.840.10008.1.2.8.1"
JXL_LOSSLESS, JXL_JPEG = "1.2.840.10008.1.2.4.110", "1.2.840.10008.1.2.4.111"
JPIP, JPIP_DEFLATED = "1.2.840.10008.1.2.4.94", "1.2.840.10008.1.2.4.95"
HTJ2K, NATIVE = "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.1"


def deflated(samples: NDArray[Any]) -> bytes:
    stream = zlib.compressobj(6, zlib.DEFLATED, -15)
    return stream.compress(samples.tobytes()) + stream.flush()


def halves(samples: NDArray[Any]) -> list[bytes]:
    data = samples.tobytes()
    return [data[:4000], data[4000:]]


def lossless_jxl(samples: NDArray[Any]) -> bytes:
    return bytes(imagecodecs.jpegxl_encode(samples, lossless=True, bitspersample=12))


def instance_url(server: ServerProcess, datastore: str, answer: Any) -> str:
    """Return the URL of the one instance that was stored."""
    assert answer.status_code == 200, answer.text
    (item,) = answer.json()["00081199"]["Value"]
    path = values(item, "00081190")[0].split("/studies/", 1)[1]
    return f"{root(server, datastore)}/studies/{path}"


@pytest.mark.parametrize(
    ("syntax", "encode"),
    [(UNCOMPRESSED, halves), (DEFLATED, deflated), (JXL_LOSSLESS, lossless_jxl)],
    ids=["uncompressed", "deflated", "jxl"],
)
def test_lossless_frames_are_recoded_bit_for_bit(
    server: ServerProcess, datastore: str, syntax: str, encode: Any
) -> None:
    frames = [ramp(seed=seed) for seed in range(3)]
    answer = store(server, datastore, [file_of([encode(frame) for frame in frames], syntax, frames[0])])
    (item,) = answer.json()["00081199"]["Value"]
    assert values(item, "00081196") == []
    url, web = instance_url(server, datastore, answer), session(server)
    native = pydicom.dcmread(io.BytesIO(web.get(url).content))
    assert native.file_meta.TransferSyntaxUID == NATIVE
    assert np.array_equal(native.pixel_array, np.stack(frames))
    stored = web.get(url, headers={"Accept": "application/dicom; transfer-syntax=*"})
    recoded = pydicom.dcmread(io.BytesIO(stored.content))
    assert recoded.file_meta.TransferSyntaxUID == HTJ2K
    for number, frame in enumerate(frames, 1):
        (part,) = parts(web.get(f"{url}/frames/{number}", headers={"Accept": "multipart/related; type=image/jphc"}))
        assert np.array_equal(imagecodecs.htj2k_decode(part[1]), frame)
        picture = web.get(f"{url}/frames/{number}/rendered", headers={"Accept": "image/png"})
        shown = np.asarray(Image.open(io.BytesIO(picture.content))).astype(int)
        assert np.abs(shown - frame.astype(int) * 255 / 4095).max() <= 1
    assert web.get(f"{url}/thumbnail").status_code == 200


def test_bits_that_came_deflated_stay_packed(server: ServerProcess, datastore: str) -> None:
    frames = [(np.arange(15 * 9).reshape(15, 9) % (3 + seed) == 0).astype("u1") for seed in range(3)]
    packed = [np.packbits(frame.reshape(-1), bitorder="little") for frame in frames]
    file = file_of(
        [deflated(one) for one in packed],
        DEFLATED,
        frames[0],
        BitsAllocated=1,
        BitsStored=1,
        HighBit=0,
        Rows=15,
        Columns=9,
    )
    url, web = instance_url(server, datastore, store(server, datastore, [file])), session(server)
    given = pydicom.dcmread(io.BytesIO(web.get(url).content))
    assert given.file_meta.TransferSyntaxUID == NATIVE
    assert np.array_equal(given.pixel_array, np.stack(frames))
    (part,) = parts(web.get(f"{url}/frames/2"))
    assert part[1] == packed[1].tobytes()


def test_recompressed_jpeg_is_kept_decoded_and_shown(server: ServerProcess, datastore: str) -> None:
    frames = [colours(seed=seed) for seed in range(2)]
    originals = [jpeg(frame) for frame in frames]
    kept = [bytes(imagecodecs.jpegxl_encode_jpeg(one, numthreads=1)) for one in originals]
    like = {"PhotometricInterpretation": "YBR_FULL_422"}
    file = file_of(kept, JXL_JPEG, frames[0], **like)
    beside = file_of(originals, "1.2.840.10008.1.2.4.50", frames[0], number=2, **like)
    web = session(server)
    url = instance_url(server, datastore, store(server, datastore, [file]))
    jpeg_url = instance_url(server, datastore, store(server, datastore, [beside]))
    for number, one in enumerate(kept, 1):
        (part,) = parts(web.get(f"{url}/frames/{number}", headers={"Accept": "multipart/related; type=image/jxl"}))
        assert part[0]["content-type"] == f"image/jxl; transfer-syntax={JXL_JPEG}"
        assert part[1] == one
        assert imagecodecs.jpegxl_decode_jpeg(part[1], numthreads=1) == originals[number - 1]
        rendered = [web.get(f"{of}/frames/{number}/rendered").content for of in (url, jpeg_url)]
        assert rendered[0] == rendered[1]
    given, wanted = (pydicom.dcmread(io.BytesIO(web.get(of).content)) for of in (url, jpeg_url))
    assert given.file_meta.TransferSyntaxUID == NATIVE
    assert given.PhotometricInterpretation == wanted.PhotometricInterpretation == "RGB"
    assert np.array_equal(given.pixel_array, wanted.pixel_array)


@pytest.mark.parametrize("syntax", [JPIP, JPIP_DEFLATED])
def test_data_sets_that_name_their_pixels_by_url_keep_their_syntax(
    server: ServerProcess, datastore: str, syntax: str
) -> None:
    data_set = pydicom.dcmread(io.BytesIO(file_of([b"\0\0"], NATIVE, ramp(), end=b"")), stop_before_pixels=True)
    data_set.PixelDataProviderURL = "https://jpip.example/1"
    # pydicom deflates one transfer syntax alone, whose UID is as long.
    known = "1.2.840.10008.1.2.1.99" if syntax == JPIP_DEFLATED else syntax
    data_set.file_meta.TransferSyntaxUID = known
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, data_set, enforce_file_format=True)
    file = buffer.getvalue().replace(known.encode(), syntax.encode())
    url, web = instance_url(server, datastore, store(server, datastore, [file])), session(server)
    answer = web.get(url)
    assert answer.headers["content-type"] == f"application/dicom; transfer-syntax={syntax}"
    assert syntax.encode() in answer.content
    given = pydicom.dcmread(io.BytesIO(answer.content.replace(JPIP_DEFLATED.encode(), known.encode())))
    assert given.PixelDataProviderURL == "https://jpip.example/1"
    (metadata,) = web.get(f"{url}/metadata").json()
    assert values(metadata, "00083002") == [syntax]
    assert web.get(url, headers={"Accept": f"application/dicom; transfer-syntax={NATIVE}"}).status_code == 406
