"""Names in requests that would lead elsewhere if they became a path, a header or a line: refused, or taken as mere names."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from botocore.exceptions import ClientError

from hounsfield.api.dicomweb.resources import ROUTES
from support.clients.dicomweb import BOUNDARY, multipart, part10, root, session, store
from support.clients.signed_http import send, send_signed, signature
from support.files.synthetic import save, slice_of, uid
from support.servers import ServerProcess, active_datastore, finished_job, start_import

ODD = {
    "parent": "..",
    "parents": "../../../../etc/passwd",
    "encoded parent": "%2e%2e%2f%2e%2e%2fcredentials",
    "twice encoded parent": "%252e%252e%252f",
    "absolute": "/etc/passwd",
    "drive": "C:\\Windows\\win.ini",
    "backslashes": "..\\..\\credentials",
    "zero byte": "a\0b",
    "line end": "a\r\nX-Injected: yes\r\n\r\nb",
    "line feed": "a\nb",
    "Unicode": "\u202e\u0430\u00e9\U0001f600",
    "full-width dots": "\uff0e\uff0e\uff0fcredentials",
    "very long": "a" * 900,
    "quotes": "'; DROP TABLE image_sets; --\"",
    "format": "%s%n{0}${x}",
    "wildcards": "*?[a-z]",
    "blank": " ",
    "dot": ".",
}
NAMES = pytest.mark.parametrize("name", ODD.values(), ids=ODD.keys())


def files_outside_buckets(server: ServerProcess) -> set[Path]:
    """Everything around the buckets that a file could have been written to, but what the server writes itself."""
    folder = server.data.parent
    own = ("buckets", "packs", "blobs", "database", "hounsfield.db", "work.pipe", "audit", "spool")
    return {
        path
        for path in folder.rglob("*")
        if not any(part.startswith(own) for part in path.relative_to(folder).parts[1:])
    }


@pytest.fixture(scope="module")
def datastore_id(server: ServerProcess) -> str:
    identifier = active_datastore(server.client())
    assert store(server, identifier, [part10(slice_of())]).ok
    return identifier


@NAMES
@pytest.mark.parametrize("member", ["inputS3Uri", "outputS3Uri"])
def test_locations_of_import_jobs_stay_in_their_bucket(
    server: ServerProcess, client: Any, datastore_id: str, member: str, name: str
) -> None:
    save(slice_of(study=9), server.bucket("odd") / "in" / "a.dcm")
    secret = save(slice_of(study=8), server.data.parent / "secret.dcm")
    before = files_outside_buckets(server)
    for uri in (f"s3://odd/{name}/", f"s3://{name}/x/", f"s3://odd/in/{name}/../../../"):
        locations = {"inputS3Uri": "s3://odd/in/", "outputS3Uri": "s3://odd/out/", member: uri}
        try:
            job_id = start_import(client, datastore_id, locations["inputS3Uri"], locations["outputS3Uri"])
        except ClientError as error:
            assert error.response["Error"]["Code"] == "ValidationException"  # noqa: PT017 - both outcomes are right
            continue
        job = finished_job(client, datastore_id, job_id)
        assert job["jobStatus"] in {"COMPLETED", "FAILED"}
    assert files_outside_buckets(server) == before
    assert not list(server.data.glob("job-output-manifest.json"))
    studies = session(server).get(f"{root(server, datastore_id)}/studies", timeout=60).json()
    assert not any(uid(8) in study.get("0020000D", {}).get("Value", []) for study in studies)
    assert secret.exists()


@NAMES
def test_labels_of_dicomweb_paths(server: ServerProcess, datastore_id: str, name: str) -> None:
    known = {"study": uid(1), "series": uid(1, 1), "instance": uid(1, 1, 1), "frames": "1", "digest": "0" * 64}
    for method, path, _ in ROUTES:
        if method != "GET" or "{" not in path:
            continue
        for label in known:
            if f"{{{label}}}" not in path:
                continue
            filled = path.format(
                **{key: quote(name if key == label else value, safe="") for key, value in known.items()}
            )
            check_refused(server, f"/datastore/{datastore_id}/{filled}")
    check_refused(server, f"/datastore/{quote(name, safe='')}/studies/{uid(1)}")


@NAMES
def test_labels_of_native_paths(server: ServerProcess, datastore_id: str, name: str) -> None:
    label = quote(name, safe="")
    for path in (f"/datastore/{label}", f"/datastore/{datastore_id}/imageSet/{label}/getImageSet", f"/tags/{label}"):
        for method in ("GET", "POST", "DELETE"):
            check_refused(server, path, method)


def check_refused(server: ServerProcess, path: str, method: str = "GET") -> None:
    answer = send_signed(server, method, path)
    # Searching below something that is not there finds nothing, which is no error.
    assert 400 <= answer.status < 500 or answer.body == b"[]", (path, answer.body)
    assert answer.code or answer.status in {200, 404}
    assert "x-injected" not in answer.headers


@NAMES
def test_query_parameters(server: ServerProcess, datastore_id: str, name: str) -> None:
    value = quote(name, safe="")
    base = f"/datastore/{datastore_id}"
    for path in (
        f"{base}/studies?PatientName={value}",
        f"{base}/studies?{value}=1",
        f"{base}/studies?includefield={value}",
        f"{base}/studies/{uid(1)}/series/{uid(1, 1)}/instances/{uid(1, 1, 1)}?imageSetId={value}",
        f"{base}/studies/{uid(1)}/rendered?window={value}",
        f"/datastore?nextToken={value}",
        f"{base}/imageSet/{'0' * 32}/getImageSet?version={value}",
    ):
        answer = send_signed(server, "POST" if "getImageSet" in path else "GET", path)
        assert answer.status < 500, (path, answer.body)
        assert "x-injected" not in answer.headers


def test_uids_that_are_none_are_mere_names(server: ServerProcess, datastore_id: str) -> None:
    """They are taken with a warning, as AWS does, and come back in URLs and headers of parts, where they end nothing."""
    before = files_outside_buckets(server)
    for number, name in enumerate(name for name in ODD.values() if name.isascii() and len(name) < 100):
        file = slice_of(study=1000 + number)
        uids = [f"{name}{part}" for part in (1, 2, 3)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom says that these are none
            file.StudyInstanceUID, file.SeriesInstanceUID, file.SOPInstanceUID = uids
            body = part10(file)
        answer = store(server, datastore_id, [body])
        assert answer.status_code in {200, 409}, answer.text
        study_uid, series_uid, uid_ = (quote(one, safe="") for one in uids)
        path = f"/datastore/{datastore_id}/studies/{study_uid}/series/{series_uid}/instances/{uid_}"
        for resource in ("/frames/1", "/rendered", "", "/metadata"):
            answer = send_signed(server, "GET", path + resource, headers={"Accept": "*/*"})
            assert answer.status in {200, 400, 404}, answer.body
            assert "x-injected" not in answer.headers
            # The file itself has it in its values, of course.
            assert not resource or b"\nX-Injected" not in answer.body.partition(b"\r\n\r\n")[0]
    assert files_outside_buckets(server) == before


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example", 200),
        ("[::1]:80", 200),
        ("evil.example/x", 400),
        ("a b", 400),
        ('a"b', 400),
        ("a?b", 400),
        ("a@b", 400),
        ("", 400),
    ],
)
def test_hosts(server: ServerProcess, datastore_id: str, host: str, status: int) -> None:
    """A host that is none is refused; another is used in URLs of this answer only, as the caller signed it."""
    path = f"/datastore/{datastore_id}/studies/{uid(1)}/metadata"
    answer = send_signed(server, "GET", path, headers={"Host": host})
    assert answer.status == status, answer.body
    other = send_signed(server, "GET", path)
    assert other.status == 200
    assert b"evil" not in other.body


@pytest.mark.parametrize(
    "boundary", ['"a\\r\\nX-Injected: yes"', '"' + "b" * 71 + '"', "''''", "caf\u00e9", '""', "a\tb"]
)
def test_boundaries(server: ServerProcess, datastore_id: str, boundary: str) -> None:
    headers = {
        "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}'.encode().decode("latin-1")
    }
    body = multipart([part10(slice_of())])
    signed = signature(server, "POST", f"/datastore/{datastore_id}/studies", body)
    answer = send(server, "POST", f"/datastore/{datastore_id}/studies", body, {**signed, **headers})
    assert answer.status == 400, answer.body
    assert BOUNDARY not in answer.headers.get("content-type", "")
    assert "x-injected" not in answer.headers
