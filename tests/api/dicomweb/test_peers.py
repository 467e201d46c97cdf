"""What DICOMweb clients and proxies of others send, and what they need to be answered."""

from __future__ import annotations

import gzip
import hashlib
import uuid
from collections.abc import Iterator

import numpy as np
import pytest
import requests
from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage

from support.clients.dicomweb import multipart, part10, parts, root, session, store, values
from support.clients.signed_http import send, signature
from support.files.synthetic import noise, slice_of, uid
from support.servers import ServerProcess, active_datastore

HTJ2K, HTJ2K_ANY, J2K = "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.90"
EXPLICIT = "1.2.840.10008.1.2.1"
SERIES = f"studies/{uid(1)}/series/{uid(1, 1)}"
INSTANCE = f"{SERIES}/instances/{uid(1, 1, 1)}"
MULTI = f"studies/{uid(1)}/series/{uid(1, 2)}/instances/{uid(1, 2, 1)}"
PDF = f"studies/{uid(1)}/series/{uid(1, 3)}/instances/{uid(1, 3, 1)}"


def document() -> Dataset:
    dataset = slice_of(series=3, EncapsulatedDocument=b"%PDF-1.7 ", MIMETypeOfEncapsulatedDocument="application/pdf")
    for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(dataset, keyword)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = EncapsulatedPDFStorage
    return dataset


@pytest.fixture(scope="module")
def stored(server: ServerProcess) -> str:
    """A data store with a slice, a multi-frame instance, a document, and the names of four patients."""
    datastore_id = active_datastore(server.client())
    multi = slice_of(series=2, pixels=np.stack([noise(4, 4, seed=n) for n in range(3)]))
    named = [
        slice_of(study=10 + n, pixels=noise(4, 4), PatientName=name, SpecificCharacterSet="ISO_IR 192")
        for n, name in enumerate(("Yamada^Tarou=山田^太郎=やまだ^たろう", "Wang^Li", "王^小東", "Ang^Lee"))
    ]
    files = [part10(one) for one in (slice_of(), multi, document(), *named)]
    assert store(server, datastore_id, files).status_code == 200
    return datastore_id


def get(
    server: ServerProcess, datastore_id: str, path: str, accept: str | None = None, **headers: str
) -> requests.Response:
    given = {**headers, **({"Accept": accept} if accept else {})}
    return session(server).get(f"{root(server, datastore_id)}/{path}", headers=given, timeout=60)


# What is stored.


def posted(server: ServerProcess, datastore: str, body: bytes, kind: str, **headers: str) -> requests.Response:
    return session(server).post(
        f"{root(server, datastore)}/studies", data=body, headers={"Content-Type": kind, **headers}, timeout=60
    )


@pytest.mark.parametrize(
    "boundary",
    [
        f"{uuid.UUID(int=1)}-{uuid.UUID(int=2)}",  # Orthanc's
        "x" * 200,
        "@;with what=RFC 2046 allows nobody",
    ],
)
def test_boundaries_as_long_as_they_come(server: ServerProcess, datastore: str, boundary: str) -> None:
    kind = f'multipart/related; type="application/dicom"; boundary="{boundary}"'
    answer = posted(server, datastore, multipart([part10(slice_of())], boundary=boundary), kind)
    assert answer.status_code == 200, answer.text


def test_folded_headers_and_blanks_behind_a_boundary(server: ServerProcess, datastore: str) -> None:
    files = [part10(slice_of(number=n)) for n in (1, 2)]
    head = b"--the-boundary \t\r\nContent-Type: application/dicom;\r\n transfer-syntax=1.2.840.10008.1.2.1\r\n\r\n"
    body = b"".join(head + file + b"\r\n" for file in files) + b"--the-boundary-- \r\n"
    answer = posted(server, datastore, body, "multipart/related; boundary=the-boundary")
    assert answer.status_code == 200, answer.text
    assert len(values(answer.json(), "00081199")) == 2


def test_a_boundary_of_more_than_200_characters(server: ServerProcess, datastore: str) -> None:
    answer = posted(server, datastore, b"", f"multipart/related; boundary={'x' * 201}")
    assert (answer.status_code, "1 to 200" in answer.text) == (400, True)


@pytest.mark.parametrize("coding", ["gzip", "GZIP, aws-chunked", "zstd"])
def test_compressed_bodies_are_not_taken_for_damaged_ones(server: ServerProcess, datastore: str, coding: str) -> None:
    headers = {"Content-Encoding": coding}
    answer = posted(server, datastore, gzip.compress(part10(slice_of())), "application/dicom", **headers)
    assert answer.status_code == 415
    assert answer.headers["accept-encoding"] == "identity"
    assert "Content-Encoding" in answer.json()["message"]


def test_the_hash_of_the_body_need_not_be_among_the_signed_headers(server: ServerProcess, datastore: str) -> None:
    """aws-requests-auth sends it so; it is the last line of what is signed all the same."""
    path, body = f"/datastore/{datastore}/studies", part10(slice_of())
    signed = {**signature(server, "POST", path, body), "x-amz-content-sha256": hashlib.sha256(body).hexdigest()}
    assert "x-amz-content-sha256" not in signed["Authorization"]
    headers = {**signed, "Content-Type": "application/dicom"}
    assert send(server, "POST", path, body, headers=headers).status == 200
    changed = {**headers, "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    assert send(server, "POST", path, body, headers=changed).status == 403


# What is retrieved.


def test_an_entity_tag_names_the_form(server: ServerProcess, stored: str) -> None:
    path = f"{INSTANCE}/frames/1"
    forms = (
        "image/jphc",
        'multipart/related; type="image/jphc"',
        f"application/octet-stream; transfer-syntax={HTJ2K}",
        f'multipart/related; type="application/octet-stream"; transfer-syntax={HTJ2K}',
        "application/octet-stream",
    )
    answers = {accept: get(server, stored, path, accept) for accept in forms}
    assert all(answer.headers["vary"] == "Accept" for answer in answers.values())
    tags = {accept: answer.headers["etag"] for accept, answer in answers.items()}
    assert len(set(tags.values())) == len(forms)
    for accept in forms:
        for other, tag in tags.items():
            again = get(server, stored, path, accept, **{"If-None-Match": tag})
            assert again.status_code == (304 if other == accept else 200)
            assert again.headers["vary"] == "Accept"
    # The boundary between parts is another one each time.
    assert all(tag.startswith("W/") == accept.startswith("multipart") for accept, tag in tags.items())


@pytest.mark.parametrize("path", [INSTANCE, f"{INSTANCE}/rendered"])
def test_alone_and_in_parts_are_two_forms(server: ServerProcess, stored: str, path: str) -> None:
    kind = "image/png" if path.endswith("rendered") else "application/dicom"
    alone = get(server, stored, path, kind)
    in_parts = get(
        server, stored, path, f'multipart/related; type="{kind}"', **{"If-None-Match": alone.headers["etag"]}
    )
    assert (in_parts.status_code, in_parts.headers["vary"]) == (200, "Accept")


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("hello, image/jphc", "image/jphc"),
        ('image/jphc, image/png; a="', "image/jphc"),
        (", image/jphc", "image/jphc"),
        (", ,image/jphc;q=0.5,,", "image/jphc"),
        ("image/jpeg; q=high, image/jphc", "image/jphc"),
        ('image/jpeg; note="a, b", image/jphc', "image/jphc"),
        ("application/octet-stream;q=0, */*", "multipart/related"),
        ("image/*;q=0, image/jphc", "image/jphc"),
        ("*/*;q=0, image/jphc;q=0.1", "image/jphc"),
        (f"application/octet-stream; transfer-syntax={EXPLICIT};q=0, application/octet-stream", None),
        ('multipart/related; type="image/jpeg"; transfer-syntax=*', None),
        ("image/jpeg; transfer-syntax=*", None),
        ("application/octet-stream;q=0, image/*;q=0, */*", None),
    ],
)
def test_what_counts_of_an_accept_header(server: ServerProcess, stored: str, accept: str, kind: str | None) -> None:
    answer = get(server, stored, f"{INSTANCE}/frames/1", accept)
    assert answer.status_code == (406 if kind is None else 200), answer.text
    if kind == "multipart/related":
        ((headers, _),) = parts(answer)
        assert headers["content-type"] == f"image/jphc; transfer-syntax={HTJ2K}"
    elif kind is not None:
        assert answer.headers["content-type"].partition(";")[0] == kind


def test_metadata_of_who_takes_no_json(server: ServerProcess, stored: str) -> None:
    answer = get(server, stored, f"{INSTANCE}/metadata", "application/*;q=0, */*")
    assert answer.status_code == 406
    answer = get(server, stored, f"{INSTANCE}/metadata", "application/dicom+json;q=0, application/json;q=0, */*")
    assert 'type="application/dicom+xml"' in answer.headers["content-type"]


def test_long_frame_lists(server: ServerProcess, datastore: str) -> None:
    count = 1500
    dataset = slice_of(pixels=np.stack([noise(2, 2, seed=n) for n in range(count)]))
    assert store(server, datastore, [part10(dataset)]).status_code == 200
    numbers = list(range(count, 0, -1))
    for separator in (",", "%2C"):
        frames = separator.join(map(str, numbers))
        assert len(frames) > 4096
        answer = get(server, datastore, f"{INSTANCE}/frames/{frames}", 'multipart/related; type="image/jphc"')
        assert answer.status_code == 200, answer.text
        places = [headers["content-location"].rsplit("/", 1)[1] for headers, _ in parts(answer)]
        assert places == list(map(str, numbers))
    too_many = ",".join(map(str, range(1, 10_002)))
    refused = get(server, datastore, f"{INSTANCE}/frames/{too_many}")
    assert (refused.status_code, "10000" in refused.text) == (400, True)


def test_a_document_has_no_picture_for_a_true_reason(server: ServerProcess, stored: str) -> None:
    answer = get(server, stored, f"{PDF}/rendered")
    assert answer.status_code == 406
    assert "no pixel data" in answer.json()["message"]
    assert "BitsAllocated" not in answer.text


def test_urls_have_the_port_that_a_client_leaves_out_of_host(server: ServerProcess, stored: str) -> None:
    """dicomweb-client does."""
    path = f"{root(server, stored)}/studies?limit=1"
    (found,) = session(server).get(path, headers={"Host": "127.0.0.1"}, timeout=60).json()
    (url,) = values(found, "00081190")
    assert url.startswith(root(server, stored))
    # What came through a proxy came through its port.
    behind = session(server).get(path, headers={"Host": "pacs.example.org", "Via": "1.1 proxy"}, timeout=60).json()
    assert values(behind[0], "00081190")[0].startswith("http://pacs.example.org/datastore/")


# What is searched.


def found(server: ServerProcess, datastore_id: str, query: str, tag: str = "0020000D") -> set[str]:
    answer = get(server, datastore_id, f"studies?{query}")
    assert answer.status_code == 200, answer.text
    return {values(study, tag)[0] for study in answer.json()}


def test_all_transfer_syntaxes_that_an_instance_is_served_in(server: ServerProcess, stored: str) -> None:
    """wsidicom and large_image open no slide that has none of those they know."""
    (instance,) = get(server, stored, f"{SERIES}/instances").json()
    assert values(instance, "00083002") == [HTJ2K, EXPLICIT, J2K, HTJ2K_ANY]
    (metadata,) = get(server, stored, f"{SERIES}/metadata").json()
    assert values(metadata, "00083002") == values(instance, "00083002")
    assert values(metadata, "00020010") == [HTJ2K]
    for syntax in values(instance, "00083002"):
        assert get(server, stored, INSTANCE, f"application/dicom; transfer-syntax={syntax}").status_code == 200
    (instance,) = get(server, stored, f"{PDF.rpartition('/')[0]}").json()
    assert values(instance, "00083002") == [EXPLICIT]


def test_the_transfer_syntax_by_the_tag_of_the_file_meta_information(server: ServerProcess, stored: str) -> None:
    """ez-wsi-dicomweb asks for it."""
    (instance,) = get(server, stored, f"{SERIES}/instances?includefield=00020010&includefield=SliceThickness").json()
    assert values(instance, "00020010") == [HTJ2K]
    (instance,) = get(server, stored, f"{SERIES}/instances").json()
    assert "00020010" not in instance


def test_more_than_the_maximum_is_the_maximum(server: ServerProcess, stored: str) -> None:
    everything = found(server, stored, "limit=1000")
    assert found(server, stored, "limit=5000") == found(server, stored, "limit=99999999999") == everything


def test_a_uid_key_may_come_twice(server: ServerProcess, stored: str) -> None:
    both = f"StudyInstanceUID={uid(1)}&0020000D={uid(10)},{uid(11)}"
    assert found(server, stored, both) == {uid(1), uid(10), uid(11)}
    assert found(server, stored, "ModalitiesInStudy=MR&ModalitiesInStudy=CT") == found(server, stored, "")


@pytest.mark.parametrize(
    "pattern", ["*ang*", "?ang^*", "?ang*", "ang*", "W*g^L?", "*^Li", "*a*", "*東", "?amada*", "*"]
)
def test_fuzzy_matching_never_finds_less(server: ServerProcess, stored: str, pattern: str) -> None:
    plainly = found(server, stored, f"PatientName={pattern}")
    assert plainly, pattern
    for name in ("fuzzymatching", "FuzzyMatching", "FUZZYMATCHING"):
        assert found(server, stored, f"PatientName={pattern}&{name}=true") >= plainly


@pytest.mark.parametrize(
    ("name", "studies"),
    [
        ("*太郎*", {10}),
        ("山田*", {10}),
        ("*たろう", {10}),
        ("山田^太郎", {10}),
        ("やまだ^たろう", {10}),
        ("=山田*", {10}),
        ("王*", {12}),
        ("*小東", {12}),
        ("*arou", {10}),
        ("?ang^L?", {11}),
        ("*山田^太郎=*", set()),
    ],
)
def test_names_are_found_by_any_component_group(
    server: ServerProcess, stored: str, name: str, studies: set[int]
) -> None:
    assert found(server, stored, f"PatientName={name}") == {uid(study) for study in studies}


HOW = ["charset=latin1", "emptyvaluematching=true", "multiplevaluematching=true", "iccprofile=yes", "_=1", "orderby=x"]


@pytest.mark.parametrize("parameter", [*HOW, "OrderBy=Modality", "charset=utf-8", "Charset=UTF-8;q=0.5,latin1"])
@pytest.mark.parametrize("path", ["studies", f"{INSTANCE}/metadata", INSTANCE, f"{INSTANCE}/rendered"])
def test_parameters_that_say_how_are_ignored_with_a_warning(
    server: ServerProcess, stored: str, path: str, parameter: str
) -> None:
    plain, answer = get(server, stored, path), get(server, stored, f"{path}?{parameter}")
    assert (answer.status_code, answer.content) == (200, plain.content)
    if "utf-8" in parameter.lower():
        assert "warning" not in answer.headers
    else:
        assert answer.headers["warning"].startswith("299 ")
        assert parameter.partition("=")[0].lower() in answer.headers["warning"]


@pytest.mark.parametrize("query", ["InstitutionName=x&_=1", "PatientNam=x", "patientid=x", "imageset=1"])
def test_what_says_which_results_is_never_ignored(server: ServerProcess, stored: str, query: str) -> None:
    assert get(server, stored, f"studies?{query}").status_code == 400
    assert get(server, stored, f"{INSTANCE}?{query}").status_code == 400


def test_the_icc_profile_that_pictures_have_not(server: ServerProcess, stored: str) -> None:
    assert "warning" not in get(server, stored, f"{INSTANCE}/rendered?iccprofile=no").headers
    assert get(server, stored, f"{INSTANCE}/rendered?iccprofile=srgb").headers["warning"].startswith("299 ")


@pytest.fixture(scope="module")
def lenient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    settings = {"HOUNSFIELD_DESCRIPTIONS_IGNORE_CASE": "true"}
    process = ServerProcess(tmp_path_factory.mktemp("lenient") / "data", settings).start()
    yield process
    process.stop()


DESCRIPTIONS = {"CT Schädel [1]": 0, "ct schädel [1]": 1, "MR Knie": 2}


@pytest.mark.parametrize(
    ("text", "with_case", "without"),
    [
        ("CT Schädel [1]", {0}, {0, 1}),
        ("CT SCHÄDEL [1]", set(), {0, 1}),
        ("ct sch*", {1}, {0, 1}),
        ("*SCHÄDEL*", set(), {0, 1}),
        ("?t sch?del [1]", {1}, {0, 1}),
        ("knie", set(), set()),
        ("mr ^knie", set(), set()),
    ],
)
def test_descriptions_without_regard_to_case(
    server: ServerProcess,
    lenient: ServerProcess,
    described: dict[ServerProcess, str],
    text: str,
    with_case: set[int],
    without: set[int],
) -> None:
    for process, studies in ((server, with_case), (lenient, without)):
        assert found(process, described[process], f"StudyDescription={text}") == {uid(n) for n in studies}


@pytest.fixture(scope="module")
def described(server: ServerProcess, lenient: ServerProcess) -> dict[ServerProcess, str]:
    files = [
        part10(slice_of(study=n, pixels=noise(2, 2), StudyDescription=text, SpecificCharacterSet="ISO_IR 192"))
        for text, n in DESCRIPTIONS.items()
    ]
    made = {process: active_datastore(process.client()) for process in (server, lenient)}
    assert all(store(process, datastore_id, files).status_code == 200 for process, datastore_id in made.items())
    return made
