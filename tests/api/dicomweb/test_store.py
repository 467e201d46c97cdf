"""STOW-RS through HTTP: what is stored, what is answered, and what a request that fails leaves behind."""

from __future__ import annotations

import http.client
import itertools
import json
import re
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import requests

from support.clients.dicomweb import BOUNDARY, multipart, part10, root, session, store, values, web_client
from support.clients.signed_http import signature
from support.files.synthetic import noise, slice_of, uid
from support.processes import api_processes
from support.servers import ServerProcess

LARGE_PARTS, LARGE_PART = 200, 1_900_000
"""Parts that are held in memory, of about 400 MB together."""


def image_sets(client: Any, datastore_id: str) -> list[dict[str, Any]]:
    return client.search_image_sets(datastoreId=datastore_id)["imageSetsMetadataSummaries"]


def test_dicomweb_client_stores(server: ServerProcess, client: Any, datastore: str) -> None:
    web_client(server, datastore).store_instances([slice_of(number=n) for n in (1, 2, 3)])
    found = image_sets(client, datastore)
    assert [(s["DICOMTags"]["DICOMNumberOfStudyRelatedInstances"], s["isPrimary"]) for s in found] == [(3, True)]


def test_answer_names_what_was_stored(server: ServerProcess, datastore: str) -> None:
    files = [part10(slice_of(number=n)) for n in (1, 2)]
    answer = store(server, datastore, files)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/dicom+json"
    content = answer.json()
    assert values(content, "00081190") == [f"{root(server, datastore)}/studies/{uid(1)}"]
    stored = values(content, "00081199")
    assert [values(item, "00081155") for item in stored] == [[uid(1, 1, 1)], [uid(1, 1, 2)]]
    assert values(stored[0], "00081190") == [
        f"{root(server, datastore)}/studies/{uid(1)}/series/{uid(1, 1)}/instances/{uid(1, 1, 1)}"
    ]
    assert "00081198" not in content


def test_single_part(server: ServerProcess, client: Any, datastore: str) -> None:
    answer = session(server).post(
        f"{root(server, datastore)}/studies",
        data=part10(slice_of()),
        headers={"Content-Type": "application/dicom"},
        timeout=60,
    )
    assert answer.status_code == 200
    assert len(image_sets(client, datastore)) == 1


def test_instances_join_their_image_set(server: ServerProcess, client: Any, datastore: str) -> None:
    for number in (1, 2):
        assert store(server, datastore, [part10(slice_of(number=number))]).status_code == 200
    (found,) = image_sets(client, datastore)
    assert found["version"] == 2
    assert found["DICOMTags"]["DICOMNumberOfStudyRelatedInstances"] == 2


def test_conflicting_instance_is_not_primary(server: ServerProcess, client: Any, datastore: str) -> None:
    assert store(server, datastore, [part10(slice_of(number=1))]).status_code == 200
    answer = store(server, datastore, [part10(slice_of(number=2, PatientID="P-2"))])
    assert answer.status_code == 200
    (item,) = values(answer.json(), "00081199")
    assert "00081190" not in item, "an instance outside the hierarchy has no URL in it"
    assert sorted(s["isPrimary"] for s in image_sets(client, datastore)) == [False, True]


def test_wrong_study_is_refused_alone(server: ServerProcess, client: Any, datastore: str) -> None:
    files = [part10(slice_of(study=1)), part10(slice_of(study=2))]
    answer = store(server, datastore, files, study=uid(1))
    assert answer.status_code == 202
    (failed,) = values(answer.json(), "00081198")
    assert values(failed, "00081155") == values(failed, "00080018") == [uid(2, 1, 1)]
    assert values(failed, "00081197") == [0xA901]
    assert [s["DICOMTags"]["DICOMStudyInstanceUID"] for s in image_sets(client, datastore)] == [uid(1)]


def test_nothing_stored_is_a_conflict(server: ServerProcess, client: Any, datastore: str) -> None:
    answer = store(server, datastore, [b"no DICOM at all"])
    assert answer.status_code == 409
    (failed,) = values(answer.json(), "0008119A")
    assert values(failed, "00081197") == [0xC000]
    assert "DICOM" in values(failed, "00000902")[0]
    assert image_sets(client, datastore) == []


def test_large_instance_waits_on_disk_unreadably(server: ServerProcess, client: Any, datastore: str) -> None:
    pixels = np.stack([noise(512, 512, seed=n) for n in range(12)])
    answer = store(server, datastore, [part10(slice_of(pixels=pixels)), part10(slice_of(number=2))])
    assert answer.status_code == 200
    assert list((server.data / "spool").iterdir()) == []
    assert image_sets(client, datastore)[0]["DICOMTags"]["DICOMNumberOfStudyRelatedInstances"] == 2


@pytest.mark.parametrize("payload", ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"])
def test_payloads_that_the_signature_does_not_cover(server: ServerProcess, datastore: str, payload: str) -> None:
    answer = session(server, payload).post(
        f"{root(server, datastore)}/studies",
        data=multipart([part10(slice_of())]),
        headers={"Content-Type": f"multipart/related; boundary={BOUNDARY}"},
        timeout=60,
    )
    assert answer.status_code == 200


def test_body_that_is_not_the_signed_one_stores_nothing(server: ServerProcess, client: Any, datastore: str) -> None:
    url = f"{root(server, datastore)}/studies"
    kind = {"Content-Type": f"multipart/related; boundary={BOUNDARY}"}
    with session(server) as signed:
        request = signed.prepare_request(requests.Request("POST", url, data=multipart([b"x"]), headers=kind))
        request.headers["x-amz-content-sha256"] = "0" * 64
        request.body = multipart([part10(slice_of())])
        request.headers["content-length"] = str(len(request.body))
        answer = signed.send(request, timeout=60)
    assert answer.status_code == 403
    assert image_sets(client, datastore) == []


BAD_BODIES = {
    "no boundary in the type": ("multipart/related", multipart([b"x"]), 400, "boundary"),
    "another boundary": ("multipart/related; boundary=other", multipart([b"x"]), 400, "boundary"),
    "no closing boundary": (f"multipart/related; boundary={BOUNDARY}", multipart([b"x"])[:-4], 400, "boundary"),
    "cut short": (f"multipart/related; boundary={BOUNDARY}", multipart([part10(slice_of())])[:2000], 400, "boundary"),
    "empty": (f"multipart/related; boundary={BOUNDARY}", b"", 400, "boundary"),
    "no parts": (f"multipart/related; boundary={BOUNDARY}", f"--{BOUNDARY}--".encode(), 400, ""),
    "not multipart": (f"multipart/related; boundary={BOUNDARY}", b"hello", 400, "boundary"),
    "metadata and bulk data": (
        f'multipart/related; type="application/dicom+json"; boundary={BOUNDARY}',
        multipart([b"[]"], "application/dicom+json"),
        415,
        "application/dicom",
    ),
    "form": ("multipart/form-data; boundary=x", b"", 415, "application/dicom"),
    "no type": ("", b"x", 400, "Content-Type"),
    "header without end": (
        f"multipart/related; boundary={BOUNDARY}",
        f"--{BOUNDARY}\r\nX: ".encode() + b"y" * 50_000,
        400,
        "",
    ),
}


@pytest.mark.parametrize("case", BAD_BODIES)
def test_bad_bodies(server: ServerProcess, client: Any, datastore: str, case: str) -> None:
    kind, body, status, word = BAD_BODIES[case]
    headers = {"Content-Type": kind} if kind else {}
    answer = session(server).post(f"{root(server, datastore)}/studies", data=body, headers=headers, timeout=60)
    assert answer.status_code == status, answer.text
    assert word in answer.json()["message"]
    assert image_sets(client, datastore) == []
    spool = server.data / "spool"
    assert not spool.exists() or list(spool.iterdir()) == []


def test_parts_of_another_type_fail_alone(server: ServerProcess, datastore: str) -> None:
    body = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\n\r\nxyz\r\n".encode() + multipart([part10(slice_of())])
    answer = session(server).post(
        f"{root(server, datastore)}/studies",
        data=body,
        headers={"Content-Type": f"multipart/related; boundary={BOUNDARY}"},
        timeout=60,
    )
    assert answer.status_code == 202
    assert len(values(answer.json(), "00081199")) == 1
    assert "image/jpeg" in values(values(answer.json(), "0008119A")[0], "00000902")[0]


def test_preamble_and_epilogue_are_ignored(server: ServerProcess, datastore: str) -> None:
    body = b"a preamble\r\n" + multipart([part10(slice_of())]) + b"\r\nan epilogue"
    answer = session(server).post(
        f"{root(server, datastore)}/studies",
        data=body,
        headers={"Content-Type": f'multipart/related; type="application/dicom"; boundary="{BOUNDARY}"'},
        timeout=60,
    )
    assert answer.status_code == 200


def test_unknown_data_store(server: ServerProcess) -> None:
    assert store(server, "0" * 32, [part10(slice_of())]).status_code == 404


def test_hash_that_is_not_stated(server: ServerProcess, client: Any, datastore: str) -> None:
    """boto3 and curl leave the header out; then the whole body must be held before the signature can be checked."""
    headers = {"Content-Type": "application/dicom"}
    url = f"{root(server, datastore)}/studies"
    small = session(server, "").post(url, data=part10(slice_of()), headers=headers, timeout=60)
    assert small.status_code == 200
    large = session(server, "").post(url, data=b"x" * 5_000_000, headers=headers, timeout=60)
    assert large.status_code == 400
    assert "x-amz-content-sha256" in large.json()["message"]
    assert len(image_sets(client, datastore)) == 1


_XML = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"


def stored_accepting(server: ServerProcess, datastore_id: str, accept: str, query: str = "") -> requests.Response:
    return session(server).post(
        f"{root(server, datastore_id)}/studies{query}",
        data=multipart([part10(slice_of()), b"no DICOM at all"]),
        headers={"Content-Type": f"multipart/related; boundary={BOUNDARY}", "Accept": accept},
        timeout=60,
    )


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/dicom+json", "application/dicom+json"),
        ("*/*", "application/dicom+json"),
        ("application/*", "application/dicom+json"),
        ("application/json", "application/json"),
        ("application/dicom+xml, application/dicom+json;q=0.5", "application/dicom+json"),
        ("application/dicom+xml", "application/dicom+xml"),
        ("application/dicom+json;q=0, application/dicom+xml", "application/dicom+xml"),
        ('text/html, multipart/related; type="application/dicom+xml"', "multipart/related"),
    ],
)
def test_form_of_the_answer(server: ServerProcess, datastore: str, accept: str, kind: str) -> None:
    answer = stored_accepting(server, datastore, accept)
    assert answer.status_code == 202
    assert answer.headers["content-type"].partition(";")[0] == kind


def test_answer_in_xml_says_what_the_one_in_json_says(server: ServerProcess, datastore: str) -> None:
    answer = stored_accepting(server, datastore, "application/dicom+xml")
    attributes = {element.get("tag"): element for element in ET.fromstring(answer.content)}
    assert list(attributes) == ["00081190", "00081199", "0008119A"]
    (item,) = attributes["00081199"].iterfind(f"{_XML}Item")
    stored = {element.get("keyword"): element.findtext(f"{_XML}Value") for element in item}
    assert stored == {
        "ReferencedSOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
        "ReferencedSOPInstanceUID": uid(1, 1, 1),
        "RetrieveURL": f"{root(server, datastore)}/studies/{uid(1)}/series/{uid(1, 1)}/instances/{uid(1, 1, 1)}",
    }
    (item,) = attributes["0008119A"].iterfind(f"{_XML}Item")
    failed = {element.get("keyword"): element.findtext(f"{_XML}Value") for element in item}
    assert failed["FailureReason"] == str(0xC000)
    assert "DICOM" in str(failed["ErrorComment"])


def test_answer_named_in_the_query(server: ServerProcess, datastore: str) -> None:
    answer = stored_accepting(server, datastore, "text/html", "?accept=application/dicom%2Bxml")
    assert answer.headers["content-type"] == "application/dicom+xml"


@pytest.mark.parametrize("accept", ["text/html", "application/dicom", 'multipart/related; type="application/dicom"'])
def test_answer_that_cannot_be_given_stores_nothing(
    server: ServerProcess, client: Any, datastore: str, accept: str
) -> None:
    answer = stored_accepting(server, datastore, accept)
    assert answer.status_code == 406
    assert "application/dicom+xml" in answer.json()["message"]
    assert image_sets(client, datastore) == []


def test_answer_warns_of_what_is_stored_all_the_same(server: ServerProcess, datastore: str) -> None:
    answer = store(server, datastore, [part10(slice_of(number=1)), part10(slice_of(number=2, StationName="S" * 40))])
    assert answer.status_code == 200
    good, warned = values(answer.json(), "00081199")
    assert "00081196" not in good
    assert values(warned, "00081196") == [0xB202]


@pytest.mark.skipif(sys.platform != "linux", reason="peaks of memory are read from /proc")
def test_a_request_takes_memory_for_what_is_worked_on_only(server: ServerProcess, datastore: str) -> None:
    part = b"--" + BOUNDARY.encode() + b"\r\nContent-Type: application/dicom\r\n\r\n" + bytes(LARGE_PART) + b"\r\n"
    end = b"--" + BOUNDARY.encode() + b"--"
    path = f"/datastore/{datastore}/studies"
    headers = {
        "Content-Type": f"multipart/related; boundary={BOUNDARY}",
        "Accept": "application/dicom+json",
        "X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD",
    }
    signed = signature(server, "POST", path, headers=headers)
    signed["Content-Length"] = str(LARGE_PARTS * len(part) + len(end))
    # A request before it starts what is started once.
    assert store(server, datastore, [b"no DICOM"]).status_code == 409
    (_, process) = api_processes(server)
    before = peak_of_memory(process.pid)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    connection.request("POST", path, body=itertools.chain(itertools.repeat(part, LARGE_PARTS), [end]), headers=signed)
    answer = connection.getresponse()
    assert len(values(json.loads(answer.read()), "0008119A")) == LARGE_PARTS
    connection.close()
    assert peak_of_memory(process.pid) - before < LARGE_PARTS * LARGE_PART / 2


def peak_of_memory(pid: int) -> int:
    """Return the most bytes that a process had resident since this was asked last."""
    status = Path(f"/proc/{pid}/status").read_text()
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024
