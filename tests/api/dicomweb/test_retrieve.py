"""WADO-RS through HTTP: instances, frames, metadata and bulk data, with dicomweb-client and as viewers ask for them."""

from __future__ import annotations

import io
from typing import Any
from urllib.parse import quote

import imagecodecs
import numpy as np
import pydicom
import pytest
import requests
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from support.clients.dicomweb import get, part10, parts, root, session, store, updated, values, web_client
from support.files.synthetic import noise, slice_of, uid
from support.servers import ServerProcess, active_datastore

HTJ2K = "1.2.840.10008.1.2.4.202"
EXPLICIT = "1.2.840.10008.1.2.1"
J2K = "1.2.840.10008.1.2.4.90"
STUDY, SERIES = uid(1), uid(1, 1)


@pytest.fixture(scope="module")
def stored(server: ServerProcess) -> str:
    """A data store with three slices, a multi-frame instance in another series, and one outside the hierarchy."""
    datastore_id = active_datastore(server.client())
    files = [part10(slice_of(number=n)) for n in (2, 1, 3)]
    multi = slice_of(series=2, pixels=np.stack([noise(48, 40, seed=n) for n in range(5)]))
    assert store(server, datastore_id, [*files, part10(multi)]).status_code == 200
    assert store(server, datastore_id, [part10(slice_of(number=9, PatientID="other"))]).status_code == 200
    return datastore_id


INSTANCE = f"studies/{STUDY}/series/{SERIES}/instances/{uid(1, 1, 1)}"
MULTI = f"studies/{STUDY}/series/{uid(1, 2)}/instances/{uid(1, 2, 1)}"


def test_instance_as_explicit_little_endian(server: ServerProcess, stored: str) -> None:
    answer = get(server, stored, INSTANCE, "application/dicom")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == f"application/dicom; transfer-syntax={EXPLICIT}"
    dataset = pydicom.dcmread(io.BytesIO(answer.content))
    assert dataset == slice_of(number=1)
    assert dataset.file_meta.TransferSyntaxUID == EXPLICIT


@pytest.mark.parametrize("syntax", [EXPLICIT, HTJ2K, J2K, "*", f'"{HTJ2K}"'])
def test_each_transfer_syntax(server: ServerProcess, stored: str, syntax: str) -> None:
    answer = get(server, stored, INSTANCE, f"application/dicom; transfer-syntax={syntax}")
    dataset = pydicom.dcmread(io.BytesIO(answer.content))
    expected = HTJ2K if syntax == "*" else syntax.strip('"')
    assert dataset.file_meta.TransferSyntaxUID == expected
    if expected != EXPLICIT:
        (frame,) = pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1)
        decode = imagecodecs.jpeg2k_decode if expected == J2K else imagecodecs.htj2k_decode
        assert np.array_equal(decode(frame), noise(64, 64, seed=1))


def test_transfer_syntax_that_cannot_be_had(server: ServerProcess, stored: str) -> None:
    answer = get(server, stored, INSTANCE, "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.50")
    assert answer.status_code == 406
    assert answer.headers["x-amzn-errortype"] == "NotAcceptableException"
    assert "transfer-syntax=*" in answer.json()["message"]


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        (INSTANCE, f'application/dicom; transfer-syntax="{HTJ2K}"'),
        (INSTANCE, f"APPLICATION/DICOM;Transfer-Syntax={HTJ2K} ; q=0.5, text/html"),
        (f"{INSTANCE}/frames/1", f'multipart/related; type="image/jphc"; transfer-syntax="{HTJ2K}"'),
        (f"{INSTANCE}/metadata", 'application/dicom+json; charset="utf-8"'),
    ],
)
def test_accept_in_header_and_query_say_the_same(server: ServerProcess, stored: str, path: str, accept: str) -> None:
    by_header = get(server, stored, path, accept)
    assert by_header.status_code == 200
    by_query = get(server, stored, f"{path}?accept={quote(accept)}", "image/gif")
    assert by_query.status_code == 200
    kinds = [answer.headers["content-type"].partition("boundary=")[0] for answer in (by_header, by_query)]
    assert kinds[0] == kinds[1]


def test_alternatives_are_tried_in_order_of_preference(server: ServerProcess, stored: str) -> None:
    accept = (
        "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.50, "
        f"application/dicom; transfer-syntax={EXPLICIT}; q=0.5, application/dicom; transfer-syntax={HTJ2K}; q=0.7"
    )
    assert get(server, stored, INSTANCE, accept).headers["content-type"].endswith(HTJ2K)


def test_dicomweb_client_retrieves_what_it_stored(server: ServerProcess, stored: str) -> None:
    client = web_client(server, stored)
    explicit = (("application/dicom", EXPLICIT),)
    assert client.retrieve_instance(STUDY, SERIES, uid(1, 1, 1), media_types=explicit) == slice_of(number=1)
    assert client.retrieve_instance(STUDY, SERIES, uid(1, 1, 1)).file_meta.TransferSyntaxUID == HTJ2K, "it asks for *"
    series = client.retrieve_series(STUDY, SERIES)
    assert [dataset.InstanceNumber for dataset in series] == [1, 2, 3]
    assert len(client.retrieve_study(STUDY)) == 4
    (frame,) = client.retrieve_instance_frames(
        STUDY, SERIES, uid(1, 1, 2), [1], media_types=(("application/octet-stream", EXPLICIT),)
    )
    assert frame == noise(64, 64, seed=2).tobytes()
    metadata = client.retrieve_series_metadata(STUDY, SERIES)
    assert [values(item, "00200013") for item in metadata] == [[1], [2], [3]]
    assert values(client.retrieve_instance_metadata(STUDY, SERIES, uid(1, 1, 3)), "00080018") == [uid(1, 1, 3)]
    assert len(client.retrieve_study_metadata(STUDY)) == 4


def test_frames_as_stored_for_ohif(server: ServerProcess, stored: str) -> None:
    accept = "multipart/related; type=application/octet-stream; transfer-syntax=*"
    answer = get(server, stored, f"{MULTI}/frames/3", accept)
    assert int(answer.headers["content-length"]) == len(answer.content)
    ((headers, content),) = parts(answer)
    assert headers["content-type"].endswith(f"transfer-syntax={HTJ2K}")
    assert np.array_equal(imagecodecs.htj2k_decode(content), noise(48, 40, seed=2))


def test_several_frames_in_the_order_asked_for(server: ServerProcess, stored: str) -> None:
    answer = get(
        server, stored, f"{MULTI}/frames/5,1,3", f"multipart/related; type=image/jphc; transfer-syntax={HTJ2K}"
    )
    found = list(parts(answer))
    assert {headers["content-type"] for headers, _ in found} == {f"image/jphc; transfer-syntax={HTJ2K}"}
    assert [headers["content-location"].rsplit("/", 1)[1] for headers, _ in found] == ["5", "1", "3"]
    for (_, content), seed in zip(found, (4, 0, 2), strict=True):
        assert np.array_equal(imagecodecs.htj2k_decode(content), noise(48, 40, seed=seed))


def test_a_single_frame_by_ranges(server: ServerProcess, stored: str) -> None:
    whole = get(server, stored, f"{INSTANCE}/frames/1", "image/jphc")
    assert whole.headers["accept-ranges"] == "bytes"
    assert int(whole.headers["content-length"]) == len(whole.content)
    start = get(server, stored, f"{INSTANCE}/frames/1?accept=image/jphc", Range="bytes=0-99")
    rest = get(server, stored, f"{INSTANCE}/frames/1?accept=image/jphc", Range="bytes=100-")
    assert (start.status_code, start.headers["content-range"]) == (206, f"bytes 0-99/{len(whole.content)}")
    assert start.content + rest.content == whole.content
    last = get(server, stored, f"{INSTANCE}/frames/1", "image/jphc", Range="bytes=-7")
    assert last.content == whole.content[-7:]
    beyond = get(server, stored, f"{INSTANCE}/frames/1", "image/jphc", Range="bytes=9999999-")
    assert beyond.status_code == 416
    assert beyond.headers["content-range"] == f"bytes */{len(whole.content)}"
    other = get(server, stored, f"{INSTANCE}/frames/1", "image/jphc", Range="bytes=0-9", **{"If-Range": '"old"'})
    assert (other.status_code, other.content) == (200, whole.content)


@pytest.mark.parametrize("path", [INSTANCE, f"{INSTANCE}/frames/1"])
def test_what_the_client_has_is_not_sent_again(server: ServerProcess, stored: str, path: str) -> None:
    tag = get(server, stored, path).headers["etag"]
    again = get(server, stored, path, **{"If-None-Match": f'"x", {tag}'})
    assert (again.status_code, again.content) == (304, b"")
    assert get(server, stored, path, **{"If-None-Match": '"x"'}).status_code == 200


def test_what_the_client_has_is_told_from_the_index_alone(server: ServerProcess, datastore: str) -> None:
    pixels = np.stack([noise(48, 40, seed=n) for n in range(3)])
    assert store(server, datastore, [part10(slice_of(pixels=pixels))]).status_code == 200
    stored, decoded = (
        "application/octet-stream; transfer-syntax=*",
        f"application/octet-stream; transfer-syntax={EXPLICIT}",
    )
    several = f'multipart/related; type="application/octet-stream"; transfer-syntax={EXPLICIT}'
    asked = [("1", stored), ("2", "image/jphc"), ("1", decoded), ("3,1", several)]
    tags = [get(server, datastore, f"{INSTANCE}/frames/{frames}", accept).headers["etag"] for frames, accept in asked]
    assert len(set(tags)) == len(tags)
    (pack,) = [path for path in (server.data / "blobs" / "packs" / datastore).rglob("*") if path.is_file()]
    pack.write_bytes(b"")
    for (frames, accept), tag in zip(asked, tags, strict=True):
        path = f"{INSTANCE}/frames/{frames}"
        again = get(server, datastore, path, accept, **{"If-None-Match": tag})
        assert (again.status_code, again.headers["etag"], again.content) == (304, tag, b"")
        if EXPLICIT in accept:
            # A frame as it is stored may be kept in memory.
            assert get(server, datastore, path, accept).status_code == 500, "nothing is left to be read"
    any_tag = get(server, datastore, f"{INSTANCE}/frames/1", stored, **{"If-None-Match": "*"})
    assert any_tag.status_code == 304
    no_frame = get(server, datastore, f"{INSTANCE}/frames/4", stored, **{"If-None-Match": "*"})
    assert no_frame.status_code != 304, "there is no such frame"


def test_accept_that_viewers_send_for_metadata(server: ServerProcess, stored: str) -> None:
    accept = 'application/dicom+json, multipart/related; type="application/octet-stream"'
    answer = get(server, stored, f"studies/{STUDY}/series/{SERIES}/metadata", accept)
    assert answer.headers["content-type"] == "application/dicom+json"
    assert all(HTJ2K in values(item, "00083002") for item in answer.json())


def test_metadata_of_a_series_is_that_of_its_instances(server: ServerProcess, client: Any, datastore: str) -> None:
    """Also when they differ, were edited, or came after an edit; instances are written one by one, a series is not."""
    series = f"studies/{uid(1)}/series/{uid(1, 1)}"

    def check(count: int) -> list[Any]:
        as_it_is = {"Accept-Encoding": "identity"}
        found = get(server, datastore, f"{series}/metadata", "application/dicom+json", **as_it_is)
        assert int(found.headers["content-length"]) == len(found.content)
        alone = [
            get(server, datastore, f"{series}/instances/{uid(1, 1, number)}/metadata", "application/dicom+json").json()
            for number in range(1, count + 1)
        ]
        assert found.json() == [instance for (instance,) in alone]
        return [instance["00101030"]["Value"][0] for instance in found.json()]

    def slices(*weights: tuple[int, int], **elements: Any) -> None:
        some = [slice_of(number=number, PatientWeight=weight, **elements) for number, weight in weights]
        assert store(server, datastore, [part10(one) for one in some]).status_code == 200

    slices((1, 70), (2, 70), (3, 71))
    slices((4, 72), SliceLocation=3.5)
    slices((5, 72), ImageComments="a longer one than before", PhotometricInterpretation="MONOCHROME1")
    assert check(5) == [70, 70, 71, 72, 72]
    (image_set,) = client.search_image_sets(datastoreId=datastore)["imageSetsMetadataSummaries"]
    updated(
        client, datastore, image_set["imageSetId"], {"SchemaVersion": 1.1, "Study": {"DICOM": {"PatientWeight": 70}}}
    )
    assert check(5) == [70] * 5
    slices((6, 73))
    check(6)


def test_metadata_as_xml(server: ServerProcess, stored: str) -> None:
    answer = get(server, stored, f"studies/{STUDY}/metadata", 'multipart/related; type="application/dicom+xml"')
    assert answer.headers["content-type"].startswith('multipart/related; type="application/dicom+xml"')
    assert all(content.startswith(b"<?xml") for _, content in parts(answer))


def test_instance_outside_the_hierarchy_needs_its_image_set(server: ServerProcess, client: Any, stored: str) -> None:
    path = f"studies/{STUDY}/series/{SERIES}/instances/{uid(1, 1, 9)}"
    assert get(server, stored, path).status_code == 404
    found = client.search_image_sets(datastoreId=stored)["imageSetsMetadataSummaries"]
    (image_set_id,) = [s["imageSetId"] for s in found if not s["isPrimary"]]
    assert get(server, stored, f"{path}?imageSetId={image_set_id}").status_code == 200
    assert get(server, stored, f"{path}/metadata?imageSetId={image_set_id}").status_code == 200
    assert get(server, stored, f"{path}/frames/1?imageSetId={image_set_id}").status_code == 200


def test_bulk_data(server: ServerProcess, datastore: str) -> None:
    large = bytes(range(256)) * 5000
    dataset = slice_of(EncapsulatedDocument=large)
    assert store(server, datastore, [part10(dataset)]).status_code == 200
    metadata = get(server, datastore, f"{INSTANCE}/metadata").json()[0]
    uri = metadata["00420011"]["BulkDataURI"]
    assert uri.startswith(root(server, datastore))
    assert session(server).get(uri, timeout=60).content == large
    assert web_client(server, datastore).retrieve_bulkdata(uri) == [large]


BAD_REQUESTS = {
    "unknown study": (f"studies/9.9/series/{SERIES}/instances/{uid(1, 1, 1)}", 404),
    "unknown instance": (f"studies/{STUDY}/series/{SERIES}/instances/9.9", 404),
    "series of another study": (f"studies/9.9/series/{SERIES}/metadata", 404),
    "frame out of range": (f"{INSTANCE}/frames/2", 404),
    "frame zero": (f"{INSTANCE}/frames/0", 400),
    "frame list with words": (f"{INSTANCE}/frames/one", 400),
    "frame twice": (f"{MULTI}/frames/1,1", 400),
    "empty frame": (f"{MULTI}/frames/1,,2", 400),
    "unknown parameter": (f"{INSTANCE}?size=3", 400),
    "image set twice": (f"{INSTANCE}?imageSetId=a&imageSetId=b", 400),
    "image set that is not there": (f"{INSTANCE}?imageSetId={'0' * 32}", 404),
    "no bulk data": (f"{INSTANCE}/bulkdata/{'0' * 32}", 404),
    "no such path": (f"{INSTANCE}/nothing", 404),
    "not UTF-8": ("studies/%ff", 400),
    "zero byte": ("studies/1.2%00", 400),
}


@pytest.mark.parametrize("case", BAD_REQUESTS)
def test_bad_requests(server: ServerProcess, stored: str, case: str) -> None:
    path, status = BAD_REQUESTS[case]
    answer = get(server, stored, path)
    assert answer.status_code == status, answer.text
    assert answer.json()["message"]


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        (INSTANCE, "image/png"),
        (INSTANCE, "application/dicom; q=0"),
        (f"{INSTANCE}/frames/1", "image/jpeg"),
        (f"{MULTI}/frames/1,2", "image/jphc"),
        (f"{INSTANCE}/metadata", "text/html"),
        (f"studies/{STUDY}", "multipart/related; type=application/dicom; transfer-syntax=1.2.840.10008.1.2.4.50"),
    ],
)
def test_what_is_not_acceptable(server: ServerProcess, stored: str, path: str, accept: str) -> None:
    answer = get(server, stored, path, accept)
    assert answer.status_code == 406, answer.text


def test_malformed_accept(server: ServerProcess, stored: str) -> None:
    for accept in ("hello", "application/dicom; q=high", "a/b," * 100, ", ;", ","):
        assert get(server, stored, INSTANCE, accept).status_code == 400, accept


def test_methods(server: ServerProcess, stored: str) -> None:
    answer = session(server).put(f"{root(server, stored)}/{INSTANCE}", timeout=60)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    head = session(server).head(
        f"{root(server, stored)}/{INSTANCE}/frames/1", headers={"Accept": "image/jphc"}, timeout=60
    )
    assert head.status_code == 200
    assert int(head.headers["content-length"]) > 0


def test_presigned_url(server: ServerProcess, stored: str) -> None:
    request = AWSRequest("GET", f"{root(server, stored)}/{INSTANCE}/metadata")
    SigV4QueryAuth(Credentials(*server.key()), "medical-imaging", "us-east-1", expires=60).add_auth(request)
    assert values(requests.get(request.url, timeout=60).json()[0], "00080018") == [uid(1, 1, 1)]


def test_without_a_signature(server: ServerProcess, stored: str) -> None:
    for path in ("studies", INSTANCE, f"{INSTANCE}/frames/1", f"studies/{STUDY}/metadata"):
        answer = requests.get(f"{root(server, stored)}/{path}", timeout=60)
        assert answer.status_code in {403, 405}, path
