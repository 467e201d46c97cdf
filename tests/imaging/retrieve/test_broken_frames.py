"""Frames that do not decode: no answer breaks off for them, and all that can be had and seen is."""

from __future__ import annotations

import io
import zipfile
from typing import Any, NamedTuple

import numpy as np
import pydicom
import pytest
import requests

from support.clients.dicomweb import parts, root, session, store, values
from support.files.encapsulated import colours, file_of, jpeg, jpeg_2000
from support.files.synthetic import uid
from support.servers import ServerProcess, active_datastore

JPEG, JPEG_2000, NATIVE = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.1"
FILES, PICTURES = 'multipart/related; type="application/dicom"', 'multipart/related; type="image/jpeg"'


class Broken(NamedTuple):
    """A stored instance one of whose frames does not decode: the number of that, and all frames as they came."""

    url: str
    syntax: str
    number: int
    frames: list[bytes]
    warning: list[int]


def scan_cut_short(whole: bytes) -> bytes:
    """Return a JPEG codestream whose header and end are as they should be, and half of whose scan is missing."""
    start = whole.rindex(b"\xff\xda") + 14
    return whole[: start + (len(whole) - start) // 2] + b"\xff\xd9"


def sent(url: str, datastore: str, server: ServerProcess, file: bytes) -> tuple[str, list[int]]:
    answer = store(server, datastore, [file])
    assert answer.status_code == 200, answer.text
    (item,) = answer.json()["00081199"]["Value"]
    path = values(item, "00081190")[0].split("/studies/", 1)[1]
    return f"{url}/studies/{path}", values(item, "00081196")


@pytest.fixture(scope="module", params=["zeros", "empty", "first", "scan", "j2k", "other size"])
def broken(request: pytest.FixtureRequest, server: ServerProcess, client: Any) -> Broken:
    datastore = active_datastore(client)
    whole = [jpeg(colours(seed=seed)) for seed in range(4)]
    syntax, number = JPEG, 3
    if request.param == "j2k":
        syntax, whole = JPEG_2000, [jpeg_2000(colours(seed=seed)) for seed in range(4)]
    damaged = {
        "zeros": bytes(300),
        "empty": b"",
        "first": bytes(300),
        "scan": scan_cut_short(jpeg(colours(seed=2))),
        "j2k": whole[2][: len(whole[2]) // 2],
        "other size": jpeg(colours(16, 16)),
    }[request.param]
    if request.param == "first":
        number = 1
    frames = list(whole)
    frames[number - 1] = damaged
    like = {"PhotometricInterpretation": "YBR_FULL" if syntax == JPEG else "RGB"}
    url, warning = sent(
        root(server, datastore),
        datastore,
        server,
        file_of(frames, syntax, colours(), SeriesInstanceUID=uid(1, 9), **like),
    )
    # Beside it in its series, an instance with which nothing is wrong.
    good = file_of(
        whole, syntax, colours(), SeriesInstanceUID=uid(1, 9), SOPInstanceUID=uid(1, 9, 2), InstanceNumber=2, **like
    )
    sent(root(server, datastore), datastore, server, good)
    return Broken(url, syntax, number, [frame + b"\0" * (len(frame) % 2) for frame in frames], warning)


def get(server: ServerProcess, url: str, accept: str | None = None) -> requests.Response:
    return session(server).get(url, headers={} if accept is None else {"Accept": accept}, timeout=60)


def test_what_an_import_can_see_of_a_frame_is_a_warning(broken: Broken, request: pytest.FixtureRequest) -> None:
    # That a scan is cut short is seen by decoding it, which nothing does that is kept as it comes.
    assert broken.warning == ([] if "[scan]" in request.node.name else [0xB100])


def test_the_instance_comes_as_stored(server: ServerProcess, broken: Broken) -> None:
    for _ in range(2):
        answer = get(server, broken.url)
        assert answer.headers["content-type"] == f"application/dicom; transfer-syntax={broken.syntax}"
        given = pydicom.dcmread(io.BytesIO(answer.content))
        assert list(pydicom.encaps.generate_frames(given.PixelData)) == broken.frames


def test_series_and_study_are_complete(server: ServerProcess, broken: Broken) -> None:
    series = broken.url.partition("/instances/")[0]
    for url in (series, series.partition("/series/")[0]):
        for accept in (None, FILES, "*/*"):
            given = [(headers["content-type"], content) for headers, content in parts(get(server, url, accept))]
            assert [kind.partition("transfer-syntax=")[2] for kind, _ in given] == [broken.syntax, NATIVE]
            first, second = (pydicom.dcmread(io.BytesIO(content)) for _, content in given)
            assert (first.InstanceNumber, second.InstanceNumber) == (1, 2)
            assert second.pixel_array.shape == (4, 32, 32, 3)
        stored = list(parts(get(server, url, f"{FILES}; transfer-syntax=*")))
        assert len(stored) == 2


def test_what_cannot_be_had_is_refused_before_anything_is_sent(server: ServerProcess, broken: Broken) -> None:
    series = broken.url.partition("/instances/")[0]
    for url in (broken.url, series, series.partition("/series/")[0]):
        answer = get(server, url, f"{FILES}; transfer-syntax={NATIVE}")
        assert answer.status_code == 406, answer.text
    octets = f'multipart/related; type="application/octet-stream"; transfer-syntax={NATIVE}'
    assert get(server, f"{broken.url}/frames/1,2,3,4", octets).status_code == 406
    assert get(server, f"{broken.url}/frames/{broken.number}", octets).status_code == 406
    answer = get(server, f"{broken.url}/frames/1,2,3,4/rendered", PICTURES)
    assert answer.status_code == 406
    assert f"frame {broken.number}" in answer.text


def test_archives_and_pixel_data_are_complete(server: ServerProcess, broken: Broken) -> None:
    study = broken.url.partition("/series/")[0]
    with zipfile.ZipFile(io.BytesIO(get(server, study, "application/zip").content)) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == 2
    for url, count in ((broken.url, 4), (study, 8)):
        given = list(parts(get(server, f"{url}/pixeldata")))
        assert len(given) == count
        syntaxes = [headers["content-type"].partition("transfer-syntax=")[2] for headers, _ in given]
        assert [number for number, syntax in enumerate(syntaxes, 1) if syntax != NATIVE] == [broken.number]
        octets = f'multipart/related; type="application/octet-stream"; transfer-syntax={NATIVE}'
        assert get(server, f"{url}/pixeldata", octets).status_code == 406


def test_each_frame_of_a_list_comes_decoded_or_as_stored(server: ServerProcess, broken: Broken) -> None:
    for accept in (None, 'multipart/related; type="application/octet-stream"'):
        given = list(parts(get(server, f"{broken.url}/frames/1,2,3,4", accept)))
        assert len(given) == 4
        for number, (headers, content) in enumerate(given, 1):
            assert headers["content-location"].endswith(f"/frames/{number}")
            syntax = headers["content-type"].partition("transfer-syntax=")[2]
            if number == broken.number:
                assert (syntax, content) == (broken.syntax, broken.frames[number - 1])
            else:
                assert (syntax, len(content)) == (NATIVE, 32 * 32 * 3)
    others = ",".join(str(number) for number in range(1, 5) if number != broken.number)
    octets = f'multipart/related; type="application/octet-stream"; transfer-syntax={NATIVE}'
    assert len(list(parts(get(server, f"{broken.url}/frames/{others}", octets)))) == 3


def test_the_other_frames_are_shown(server: ServerProcess, broken: Broken) -> None:
    others = [number for number in range(1, 5) if number != broken.number]
    series = broken.url.partition("/instances/")[0]
    for url, count in ((broken.url, 3), (series, 7), (series.partition("/series/")[0], 7)):
        given = list(parts(get(server, f"{url}/rendered", PICTURES)))
        shown = [int(headers["content-location"].split("/")[-2]) for headers, _ in given]
        assert len(given) == count
        assert shown[:3] == others
        assert all(content.startswith(b"\xff\xd8") for _, content in given)
    for number in range(1, 5):
        expected = 406 if number == broken.number else 200
        assert get(server, f"{broken.url}/frames/{number}/rendered").status_code == expected
    assert get(server, f"{broken.url}/rendered", "image/jpeg").status_code == 200


def test_thumbnails_take_a_frame_that_decodes(server: ServerProcess, broken: Broken) -> None:
    series = broken.url.partition("/instances/")[0]
    for url in (broken.url, series, series.partition("/series/")[0]):
        answer = get(server, f"{url}/thumbnail")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg"), url
        again = session(server).get(f"{url}/thumbnail", headers={"If-None-Match": answer.headers["etag"]}, timeout=60)
        assert again.status_code == 304
    assert get(server, f"{broken.url}/frames/{broken.number}/thumbnail").status_code == 404


def test_only_what_can_be_had_is_named_as_available(server: ServerProcess, broken: Broken) -> None:
    (metadata,) = get(server, f"{broken.url}/metadata").json()
    assert broken.syntax in values(metadata, "00083002")
    if broken.warning:
        assert values(metadata, "00083002") == [broken.syntax]
    assert np.asarray(values(metadata, "00280008")) == 4


def test_an_instance_none_of_whose_frames_decodes_makes_no_study_unretrievable(
    server: ServerProcess, datastore: str
) -> None:
    frames = [scan_cut_short(jpeg(colours(seed=seed))) for seed in range(2)]
    url, _ = sent(root(server, datastore), datastore, server, file_of(frames, JPEG, colours()))
    study = url.partition("/series/")[0]
    (part,) = parts(get(server, study))
    assert pydicom.dcmread(io.BytesIO(part[1])).file_meta.TransferSyntaxUID == JPEG
    assert get(server, f"{study}/rendered", PICTURES).status_code == 406
    assert get(server, f"{study}/thumbnail").status_code == 404
    given = list(parts(get(server, f"{url}/frames/2,1")))
    assert [headers["content-type"].partition("transfer-syntax=")[2] for headers, _ in given] == [JPEG, JPEG]
