"""Documents that are sent compressed: codings, entity tags, and how much smaller they are."""

from __future__ import annotations

import gzip
from typing import Any

import imagecodecs
import pytest
import requests

from support.clients.dicomweb import part10, root, session, store, updated, web_client
from support.files.synthetic import noise, slice_of, uid
from support.servers import ServerProcess, active_datastore

SERIES = f"studies/{uid(1)}/series/{uid(1, 1)}"
INSTANCE = f"{SERIES}/instances/{uid(1, 1, 1)}"
DOCUMENTS = (
    f"{SERIES}/metadata",
    f"{INSTANCE}/metadata",
    f"studies/{uid(1)}/metadata",
    f"{SERIES}/instances",
    f"{SERIES}/instances?includefield=all",
)


@pytest.fixture(scope="module")
def stored(server: ServerProcess) -> str:
    datastore_id = active_datastore(server.client())
    files = [part10(slice_of(number=n, pixels=noise(4, 4), ImageComments="said of each " * 20)) for n in range(1, 21)]
    assert store(server, datastore_id, files).status_code == 200
    return datastore_id


def get(
    server: ServerProcess, datastore_id: str, path: str, coding: str = "identity", **headers: str
) -> requests.Response:
    """Ask for a document; its content is as it was sent."""
    given = {"Accept-Encoding": coding, "Accept": "application/dicom+json", **headers}
    url = f"{root(server, datastore_id)}/{path}"
    answer = session(server).get(url, headers=given, timeout=60, stream=True)
    answer._content = answer.raw.read(decode_content=False)
    return answer


def plain(answer: requests.Response) -> bytes:
    coding = answer.headers.get("content-encoding")
    if coding == "gzip":
        return gzip.decompress(answer.content)
    return bytes(imagecodecs.zstd_decode(answer.content)) if coding == "zstd" else answer.content


@pytest.mark.parametrize("path", DOCUMENTS)
@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("zstd", "zstd"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip;q=1.0, zstd;q=0.5", "gzip"),
        ("GZIP;Q=0.5", "gzip"),
        ("*", "zstd"),
        ("zstd;q=0, *", "gzip"),
        ("high;q=much, x-gzip", "gzip"),
        ("br, deflate", None),
        ("gzip;q=0", None),
        ("identity, gzip;q=0.5", None),
        ("", None),
    ],
)
def test_codings(server: ServerProcess, stored: str, path: str, accepted: str, coding: str | None) -> None:
    as_it_is, answer = get(server, stored, path), get(server, stored, path, accepted)
    assert answer.status_code == 200
    assert answer.headers.get("content-encoding") == coding
    assert answer.headers["vary"] == "Accept, Accept-Encoding"
    assert plain(answer) == as_it_is.content
    if coding is not None:
        assert len(answer.content) < len(as_it_is.content) / 2
    if "content-length" in answer.headers:
        assert int(answer.headers["content-length"]) == len(answer.content)


@pytest.mark.parametrize("path", DOCUMENTS[:4])
def test_each_coding_has_a_tag_of_its_own(server: ServerProcess, stored: str, path: str) -> None:
    tags = {
        coding: get(server, stored, path, coding).headers.get("etag", "") for coding in ("identity", "gzip", "zstd")
    }
    assert len(set(tags.values())) == 3
    for coding in ("gzip", "zstd"):
        for tag in tags.values():
            again = get(server, stored, path, coding, **{"If-None-Match": tag or '"x"'})
            assert again.status_code == (304 if tag == tags[coding] else 200)
            assert again.headers["vary"] == "Accept, Accept-Encoding"


def test_a_tag_goes_with_the_version(server: ServerProcess, client: Any, datastore: str) -> None:
    assert store(server, datastore, [part10(slice_of(pixels=noise(4, 4)))]).status_code == 200
    paths = [f"{SERIES}/metadata", f"{INSTANCE}/metadata", f"studies/{uid(1)}/metadata"]
    before = {path: get(server, datastore, path, "zstd").headers["etag"] for path in paths}
    (image_set,) = client.search_image_sets(datastoreId=datastore)["imageSetsMetadataSummaries"]
    edit = {"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientName": "Doe^John"}}}
    updated(client, datastore, image_set["imageSetId"], edit)
    for path, tag in before.items():
        after = get(server, datastore, path, "zstd", **{"If-None-Match": tag})
        assert (after.status_code, b"Doe^John" in plain(after)) == (200, True)


def test_what_is_short_is_sent_as_it_is(server: ServerProcess, stored: str) -> None:
    answer = get(server, stored, "studies?PatientID=nobody", "gzip")
    assert (answer.content, answer.headers["vary"]) == (b"[]", "Accept, Accept-Encoding")
    assert "content-encoding" not in answer.headers


def test_xml_is_compressed_too(server: ServerProcess, stored: str) -> None:
    answer = get(server, stored, f"{SERIES}/metadata", "gzip", Accept='multipart/related; type="application/dicom+xml"')
    assert answer.headers["content-encoding"] == "gzip"
    assert plain(answer).count(b"<NativeDicomModel") == 20


def test_clients_that_accept_gzip_without_saying_so_of_themselves(server: ServerProcess, stored: str) -> None:
    """requests, on which dicomweb-client stands, always does."""
    assert len(web_client(server, stored).retrieve_series_metadata(uid(1), uid(1, 1))) == 20
