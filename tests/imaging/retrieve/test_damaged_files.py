"""Files with a damaged frame, a wrong end or a wrong number of frames: what is sound in them is had, seen, given back right."""

from __future__ import annotations

import io
import struct
from typing import Any, NamedTuple

import imagecodecs
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.encaps import generate_frames

from support.clients.dicomweb import parts, root, session, store, updated, values
from support.files.encapsulated import SEQUENCE_END, colours, file_of, jpeg_2000, jpeg_lossless, ramp
from support.imaging.imports import document, frame, image_sets, instances, run_import
from support.servers import ServerProcess, wait_for

JPEG_LOSSLESS, JPEG_LS, JPEG_2000, RLE = (f"1.2.840.10008.1.2.{part}" for part in ("4.70", "4.80", "4.90", "5"))
HTJ2K, NATIVE = "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.1"
ITEM_END = struct.pack("<LL", 0xE00DFFFE, 0)
FRAMES = [ramp(seed=seed) for seed in range(3)]
WHOLE = [jpeg_lossless(samples) for samples in FRAMES]


def without_end(codestream: bytes) -> bytes:
    assert codestream.endswith(b"\xff\xd9")
    return codestream[:-2]


class Case(NamedTuple):
    """A file all of whose frames are sound, and the code of the warning it comes with."""

    file: bytes
    frames: list[NDArray[Any]]
    code: int


def case(frames: list[bytes], code: int, *, count: int = 3, **options: Any) -> Case:
    return Case(file_of(frames, JPEG_LOSSLESS, FRAMES[0], **options), FRAMES[:count], code)


SOUND = {
    "zeros, one frame": case(WHOLE[:1], 0xB000, count=1, end=bytes(8), NumberOfFrames=None, table=False),
    "zeros, three frames": case(WHOLE, 0xB000, end=bytes(32), table=False),
    "item delimiter": case(WHOLE, 0xB000, end=ITEM_END),
    "half a delimiter": case(WHOLE, 0xB000, end=SEQUENCE_END[:4]),
    "no delimiter": case(WHOLE, 0xB000, end=b""),
    "no end marker, one frame": case([without_end(WHOLE[0])], 0xB000, count=1, NumberOfFrames=None, table=False),
    "no end marker in one of three": case([without_end(WHOLE[0]), *WHOLE[1:]], 0xB000, table=False),
    "no end marker in one of three, table": case([without_end(WHOLE[0]), *WHOLE[1:]], 0xB000),
    "no number, table": case(WHOLE, 0xB111, NumberOfFrames=None),
    "no number, no table": case(WHOLE, 0xB111, NumberOfFrames=None, table=False),
    "one more": case(WHOLE, 0xB111, NumberOfFrames=4, table=False),
    "one less": case(WHOLE, 0xB111, NumberOfFrames=2, table=False),
    "one less, table": case(WHOLE, 0xB111, NumberOfFrames=2),
    "fragments, as many as frames are claimed, table": Case(
        file_of([[WHOLE[0][:200], WHOLE[0][200:]], *WHOLE[1:]], JPEG_LOSSLESS, FRAMES[0], NumberOfFrames=4),
        FRAMES,
        0xB111,
    ),
    "fragments, one less": Case(
        file_of([[w[:200], w[200:]] for w in WHOLE], JPEG_LOSSLESS, FRAMES[0], table=False, NumberOfFrames=2),
        FRAMES,
        0xB111,
    ),
}


def sent(server: ServerProcess, datastore: str, file: bytes) -> tuple[str, list[int]]:
    answer = store(server, datastore, [file])
    assert answer.status_code == 200, answer.text
    (item,) = answer.json()["00081199"]["Value"]
    path = values(item, "00081190")[0].split("/studies/", 1)[1]
    return f"{root(server, datastore)}/studies/{path}", values(item, "00081196")


@pytest.mark.parametrize("name", SOUND)
def test_sound_frames_are_stored_losslessly_and_what_comes_back_is_valid(
    server: ServerProcess, datastore: str, name: str
) -> None:
    file, frames, code = SOUND[name]
    url, warnings = sent(server, datastore, file)
    assert warnings == [code]
    web = session(server)
    for accept, syntax in ((NATIVE, NATIVE), ("*", HTJ2K)):
        answer = web.get(url, headers={"Accept": f"application/dicom; transfer-syntax={accept}"})
        given = pydicom.dcmread(io.BytesIO(answer.content))
        assert given.file_meta.TransferSyntaxUID == syntax
        assert int(given.get("NumberOfFrames", 1)) == len(frames)
        found = given.pixel_array if syntax == NATIVE else decoded(given, len(frames))
        assert np.array_equal(found.reshape(np.stack(frames).shape), np.stack(frames))
    (metadata,) = web.get(f"{url}/metadata").json()
    assert (values(metadata, "00280008") or [1]) == [len(frames)]
    numbers = ",".join(str(number) for number in range(1, len(frames) + 1))
    assert len(list(parts(web.get(f"{url}/frames/{numbers}")))) == len(frames)
    assert web.get(f"{url}/frames/{len(frames) + 1}").status_code == 404
    pictures = web.get(f"{url}/rendered", headers={"Accept": 'multipart/related; type="image/jpeg"'})
    assert len(list(parts(pictures))) == len(frames)
    assert web.get(f"{url}/thumbnail").status_code == 200


def decoded(given: pydicom.Dataset, count: int) -> NDArray[Any]:
    return np.stack([imagecodecs.htj2k_decode(one) for one in generate_frames(given.PixelData, number_of_frames=count)])


def rle_without_its_last_byte(samples: NDArray[Any]) -> bytes:
    """Pack planes as literals; the last byte of the high plane is lost, and a zero pads the segment."""
    high, low = ((samples >> 8).astype("u1").tobytes(), samples.astype("u1").tobytes())
    segments = [
        b"".join(bytes([len(plane[at : at + 128]) - 1]) + plane[at : at + 128] for at in range(0, len(plane), 128))
        for plane in (high[:-1], low)
    ]
    segments = [segment + b"\0" * (len(segment) % 2) for segment in segments]
    return struct.pack("<16L", 2, 64, 64 + len(segments[0]), *[0] * 13) + b"".join(segments)


DAMAGED = {
    "zeros": (JPEG_LOSSLESS, jpeg_lossless, lambda _: bytes(100)),
    "cut off": (JPEG_LOSSLESS, jpeg_lossless, lambda whole: whole[: len(whole) // 2]),
    "scan": (JPEG_LOSSLESS, jpeg_lossless, lambda whole: whole[: len(whole) // 2] + b"\xff\xd9"),
    "empty": (JPEG_2000, jpeg_2000, lambda _: b""),
    "j2k": (JPEG_2000, jpeg_2000, lambda whole: whole[: len(whole) // 2]),
    "jpeg-ls": (JPEG_LS, lambda samples: bytes(imagecodecs.jpegls_encode(samples)), lambda whole: whole[:300]),
    "htj2k": (
        HTJ2K,
        lambda samples: bytes(imagecodecs.htj2k_encode(samples, reversible=True)),
        lambda whole: whole[:300],
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_one_damaged_frame_costs_no_other(server: ServerProcess, client: Any, datastore: str, name: str) -> None:
    syntax, encode, damage = DAMAGED[name]
    frames = [encode(samples) for samples in FRAMES]
    frames[1] = damage(frames[1])
    kept = [encoded + b"\0" * (len(encoded) % 2) for encoded in frames]
    answer = store(server, datastore, [file_of(frames, syntax, FRAMES[0])])
    (item,) = answer.json()["00081199"]["Value"]
    assert values(item, "00081196") == [0xB100]
    assert values(item, "00000902")[0].endswith("cannot be decoded; all frames are kept as they came: frame 2.")
    url = f"{root(server, datastore)}/studies/{values(item, '00081190')[0].split('/studies/', 1)[1]}"
    web = session(server)
    answer = web.get(url)
    assert answer.headers["content-type"].endswith(f"transfer-syntax={syntax}")
    given = pydicom.dcmread(io.BytesIO(answer.content))
    assert list(generate_frames(given.PixelData, number_of_frames=3)) == kept
    found = list(parts(web.get(f"{url}/frames/1,2,3")))
    for number, (headers, content) in enumerate(found):
        stays = number == 1
        assert headers["content-type"].endswith(f"transfer-syntax={syntax if stays else NATIVE}")
        assert content == (kept[1] if stays else FRAMES[number].tobytes())
    pictures = list(parts(web.get(f"{url}/rendered", headers={"Accept": 'multipart/related; type="image/png"'})))
    assert [headers["content-location"].split("/")[-2] for headers, _ in pictures] == ["1", "3"]
    assert web.get(f"{url}/thumbnail").status_code == 200
    # HealthImaging gives the same bytes, frame by frame.
    (image_set,) = image_sets(client, datastore)
    identifier = image_set["imageSetId"]
    ((_, instance),) = instances(document(client, datastore, identifier))
    served = [frame(client, datastore, identifier, entry["ID"])[0] for entry in instance["ImageFrames"]]
    assert served == kept


def test_copies_and_edits_of_a_damaged_instance_are_had_alike(
    server: ServerProcess, client: Any, datastore: str
) -> None:
    frames = [WHOLE[0], b"", WHOLE[2]]
    url, _ = sent(server, datastore, file_of(frames, JPEG_LOSSLESS, FRAMES[0]))
    identifier = image_sets(client, datastore)[0]["imageSetId"]
    updated(client, datastore, identifier, {"SchemaVersion": 1.1, "Study": {"DICOM": {"StudyDescription": "edited"}}})
    version = client.get_image_set(datastoreId=datastore, imageSetId=identifier)["versionId"]
    source = {"sourceImageSet": {"latestVersionId": version}}
    answer = client.copy_image_set(datastoreId=datastore, sourceImageSetId=identifier, copyImageSetInformation=source)
    copy = answer["destinationImageSetProperties"]["imageSetId"]
    wait_for(
        lambda: client.get_image_set(datastoreId=datastore, imageSetId=copy)["imageSetState"] == "ACTIVE", "the copy"
    )
    web = session(server)
    for query in ("", f"?imageSetId={copy}"):
        given = pydicom.dcmread(io.BytesIO(web.get(url + query).content))
        assert (given.file_meta.TransferSyntaxUID, given.StudyDescription) == (JPEG_LOSSLESS, "edited")
        kinds = [
            headers["content-type"].rpartition("=")[2] for headers, _ in parts(web.get(f"{url}/frames/1,2,3{query}"))
        ]
        assert kinds == [NATIVE, JPEG_LOSSLESS, NATIVE]
        assert web.get(f"{url}/thumbnail{query}").status_code == 200


@pytest.mark.parametrize("interpretation", ["RGB", "YBR_FULL"])
def test_kept_colour_codestreams_come_as_they_are(server: ServerProcess, datastore: str, interpretation: str) -> None:
    """Also where frames that were stored by us would be given with a colour transform."""
    samples = [colours(seed=seed) for seed in range(3)]
    frames = [bytes(imagecodecs.htj2k_encode(one, reversible=True, rgb=False, planar=False)) for one in samples]
    frames[1] = b""
    kept = [encoded + b"\0" * (len(encoded) % 2) for encoded in frames]
    file = file_of(frames, HTJ2K, samples[0], PhotometricInterpretation=interpretation)
    url, warnings = sent(server, datastore, file)
    assert warnings == [0xB100]
    web = session(server)
    for headers in ({}, {"Accept": "application/dicom; transfer-syntax=*"}):
        answer = web.get(url, headers=headers)
        assert answer.headers["content-type"].endswith(f"transfer-syntax={HTJ2K}")
        given = pydicom.dcmread(io.BytesIO(answer.content))
        assert given.PhotometricInterpretation == interpretation
        assert list(generate_frames(given.PixelData, number_of_frames=3)) == kept
    for number in (1, 2, 3):
        for form in ("transfer-syntax=*", f"transfer-syntax={HTJ2K}"):
            (part,) = parts(web.get(f"{url}/frames/{number}", headers={"Accept": f"multipart/related; {form}"}))
            assert part[1] == kept[number - 1]
    native = list(parts(web.get(f"{url}/frames/1,3")))
    assert [content for _, content in native] == [samples[0].tobytes(), samples[2].tobytes()]


def test_a_run_length_plane_without_its_last_byte_is_shown_and_kept(server: ServerProcess, datastore: str) -> None:
    encoded = rle_without_its_last_byte(FRAMES[0])
    url, warnings = sent(server, datastore, file_of([encoded], RLE, FRAMES[0], NumberOfFrames=None))
    assert warnings == [0xB100]
    web = session(server)
    stored = pydicom.dcmread(
        io.BytesIO(web.get(url, headers={"Accept": "application/dicom; transfer-syntax=*"}).content)
    )
    assert next(generate_frames(stored.PixelData, number_of_frames=1)) == encoded
    native = pydicom.dcmread(io.BytesIO(web.get(url).content)).pixel_array
    assert np.array_equal(native.reshape(-1)[:-1], FRAMES[0].reshape(-1)[:-1])
    assert native[-1, -1] == FRAMES[0][-1, -1] & 0xFF
    assert web.get(f"{url}/frames/1/rendered").status_code == 200


def test_an_import_names_the_frames(server: ServerProcess, client: Any, datastore: str) -> None:
    frames = [*WHOLE, b"", without_end(WHOLE[0])]
    folder = server.bucket("input") / f"damaged-{datastore}"
    folder.mkdir()
    (folder / "a.dcm").write_bytes(file_of(frames, JPEG_LOSSLESS, FRAMES[0], end=bytes(16)))
    (line,) = run_import(server, client, datastore, f"{folder.name}/").warning
    told = [warning["message"] for warning in line["importResponse"]["warnings"]]
    assert any("ends in zeros" in text for text in told)
    assert any("cannot be decoded" in text and text.endswith("frame 4.") for text in told)
    assert any("end marker" in text and text.endswith("frame 5.") for text in told)
    assert all("(7FE0,0010)" in text for text in told)
