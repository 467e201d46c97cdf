"""Instances as DICOMweb gives them: files, frames and metadata."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import pydicom
import requests
from pydicom.dataset import Dataset

from support.clients.dicomweb import parts, root, session, values
from support.files.synthetic import uid
from support.servers import ServerProcess

_SMALL = 1 << 20


@dataclass(frozen=True)
class RetrievedInstance:
    """An instance, and the session of HTTP by which it is retrieved."""

    url: str
    web: requests.Session
    image_set: str | None = None
    """The image set that is asked for; None for the primary one."""
    known: dict[str | None, tuple[bytes, str]] = field(default_factory=dict, compare=False)
    """Files that were retrieved with `file_once`."""

    def get(self, accept: str, below: str = "", **headers: str) -> requests.Response:
        """Ask for the instance, or for something below it."""
        query = "" if self.image_set is None else f"?imageSetId={self.image_set}"
        return self.web.get(f"{self.url}{below}{query}", headers={"Accept": accept, **headers}, timeout=120)

    def answer(self, transfer_syntax: str | None = None) -> requests.Response:
        """Ask for the file."""
        return self.get(_with_syntax("application/dicom", transfer_syntax))

    def file(self, transfer_syntax: str | None = None) -> tuple[bytes, str]:
        """Return the file and its transfer syntax."""
        answer = self.answer(transfer_syntax)
        assert answer.status_code == 200, answer.text
        assert int(answer.headers.get("Content-Length", len(answer.content))) == len(answer.content)
        kind, given = answer.headers["Content-Type"].split("; transfer-syntax=")
        assert kind == "application/dicom"
        return answer.content, given

    def file_once(self, transfer_syntax: str | None = None) -> tuple[bytes, str]:
        """Return the file and its transfer syntax, which are retrieved once where the file is small."""
        if transfer_syntax in self.known:
            return self.known[transfer_syntax]
        found = self.file(transfer_syntax)
        if len(found[0]) < _SMALL:
            self.known[transfer_syntax] = found
        return found

    def dataset(self, transfer_syntax: str | None = None) -> Dataset:
        """Return the file as pydicom reads it."""
        return _read(*self.file(transfer_syntax))

    def dataset_once(self, transfer_syntax: str | None = None) -> Dataset:
        """Return what `file_once` gives as pydicom reads it."""
        return _read(*self.file_once(transfer_syntax))

    def answer_with_frames(self, numbers: list[int], transfer_syntax: str | None = None) -> requests.Response:
        """Ask for frames."""
        accept = _with_syntax('multipart/related; type="application/octet-stream"', transfer_syntax)
        return self.get(accept, f"/frames/{','.join(map(str, numbers))}")

    def frames(self, numbers: list[int], transfer_syntax: str | None = None) -> list[bytes]:
        """Return frames."""
        answer = self.answer_with_frames(numbers, transfer_syntax)
        assert answer.status_code == 200, answer.text
        return [content for _, content in parts(answer)]

    def metadata(self) -> dict[str, Any]:
        """Return the DICOM JSON of the instance."""
        answer = self.get("application/dicom+json", "/metadata")
        assert answer.status_code == 200, answer.text
        (model,) = answer.json()
        return dict(model)

    def transfer_syntaxes(self) -> list[str]:
        """Return Available Transfer Syntax UID (0008,3002): what is stored, then all others that can be asked for."""
        return values(self.metadata(), "00083002")


def retrieved(
    server: ServerProcess,
    datastore: str,
    sop: str,
    *,
    study: str = uid(1),
    series: str = uid(1, 1),
    image_set: str | None = None,
) -> RetrievedInstance:
    """Return an instance of a server, which need not be there."""
    url = f"{root(server, datastore)}/studies/{study}/series/{series}/instances/{sop}"
    return RetrievedInstance(url, session(server), image_set)


def refused(answer: requests.Response, status: int, text: str) -> None:
    """Check that a request was refused, and in which words."""
    assert (answer.status_code, text in answer.json()["message"]) == (status, True), answer.text


def _with_syntax(kind: str, transfer_syntax: str | None) -> str:
    return kind if transfer_syntax is None else f"{kind}; transfer-syntax={transfer_syntax}"


def _read(data: bytes, syntax: str) -> Dataset:
    dataset = pydicom.dcmread(BytesIO(data))
    assert dataset.file_meta.TransferSyntaxUID == syntax
    assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
    return dataset
