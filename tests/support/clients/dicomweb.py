"""DICOMweb clients of a test server: requests, and dicomweb-client, whose requests are signed by botocore's signer."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import orjson
import pydicom
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset
from requests.auth import AuthBase

from support.servers import ServerProcess, wait_for

BOUNDARY = "the-boundary"


class SignedRequests(AuthBase):
    """Signs requests; the body's hash is stated unless ``payload`` says another thing, or nothing when it is empty."""

    def __init__(
        self,
        server: ServerProcess,
        payload: str | None = None,
        region: str = "us-east-1",
        key: tuple[str, ...] | None = None,
    ) -> None:
        self._signer = SigV4Auth(Credentials(*(key or server.key())), "medical-imaging", region)
        self._payload = payload

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        whole = isinstance(request.body, bytes | str | None)
        body = request.body or b"" if whole else b""
        signed = AWSRequest(request.method, request.url, data=body)
        if "Host" in request.headers:  # dicomweb-client sets it, without the port
            signed.headers["Host"] = str(request.headers["Host"])
        # Without the header the hash is covered too, but known to the server only when it has the whole body.
        if self._payload != "":
            stated = hashlib.sha256(body if isinstance(body, bytes) else body.encode()).hexdigest()
            signed.headers["X-Amz-Content-SHA256"] = self._payload or (stated if whole else "UNSIGNED-PAYLOAD")
        self._signer.add_auth(signed)
        request.headers.update(dict(signed.headers.items()))
        return request


def session(server: ServerProcess, payload: str | None = None) -> requests.Session:
    """Return a session that signs."""
    result = requests.Session()
    result.auth = SignedRequests(server, payload)
    return result


def root(server: ServerProcess, datastore_id: str) -> str:
    """Return the DICOMweb URL of a data store."""
    return f"{server.url}/datastore/{datastore_id}"


def web_client(server: ServerProcess, datastore_id: str) -> DICOMwebClient:
    """Return a dicomweb-client of a data store."""
    return DICOMwebClient(root(server, datastore_id), session=session(server))


def get(
    server: ServerProcess, datastore_id: str, path: str, accept: str | None = None, **headers: str
) -> requests.Response:
    """Ask for a resource of a data store."""
    given = {**headers, **({"Accept": accept} if accept else {})}
    return session(server).get(f"{root(server, datastore_id)}/{path}", headers=given, timeout=60)


def part10(dataset: Dataset) -> bytes:
    """Return the P10 file of a data set."""
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def multipart(files: Iterable[bytes], kind: str = "application/dicom", boundary: str = BOUNDARY) -> bytes:
    """Return a multipart body as AWS's guide shows it: no line end after the last boundary."""
    parts = b"".join(f"--{boundary}\r\nContent-Type: {kind}\r\n\r\n".encode() + file + b"\r\n" for file in files)
    return parts + f"--{boundary}--".encode()


def store(
    server: ServerProcess, datastore_id: str, files: Sequence[bytes], study: str | None = None, **headers: str
) -> requests.Response:
    """Store P10 files in one multipart request."""
    path = "/studies" if study is None else f"/studies/{study}"
    kind = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
    return session(server).post(
        root(server, datastore_id) + path,
        data=multipart(files),
        headers={"Content-Type": kind, "Accept": "application/dicom+json", **headers},
        timeout=120,
    )


def values(item: dict[str, Any], tag: str) -> list[Any]:
    """Return the values of an attribute of DICOM JSON."""
    return list(item.get(tag, {}).get("Value", []))


def parts(answer: requests.Response) -> Iterator[tuple[dict[str, str], bytes]]:
    """Return the parts of a multipart answer: headers, by their names in lower case, and content."""
    found = re.search(r"boundary=(\w+)", answer.headers["content-type"])
    assert found is not None
    delimiter = f"--{found[1]}".encode()
    first, *others = answer.content.split(delimiter)
    assert first == b""
    assert others.pop() == b"--\r\n"
    for part in others:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        yield {name.lower(): value for name, value in headers.items()}, content.removesuffix(b"\r\n")


def updated(client: Any, datastore: str, image_set_id: str, edit: dict[str, Any]) -> None:
    """Update an image set, and wait until it is."""
    latest = client.get_image_set(datastoreId=datastore, imageSetId=image_set_id)["versionId"]
    client.update_image_set_metadata(
        datastoreId=datastore,
        imageSetId=image_set_id,
        latestVersionId=latest,
        force=True,
        updateImageSetMetadataUpdates={"DICOMUpdates": {"updatableAttributes": orjson.dumps(edit)}},
    )

    def done() -> bool:
        state = client.get_image_set(datastoreId=datastore, imageSetId=image_set_id)
        return bool(state["imageSetState"] == "ACTIVE" and state["imageSetWorkflowStatus"] == "UPDATED")

    wait_for(done, "the update to end")
