"""Storing files by STOW-RS (PS3.18 10.5), over some connections at once."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import orjson
import pydicom
from pydicom.uid import generate_uid

from bench.server import BenchmarkError, Server
from bench.signing import SignedRequest, connect, post, signed_store

_FAILED = "00081198"
_BOUNDARY = "a-boundary-of-the-benchmark"
STORED_KIND = f'multipart/related; type="application/dicom"; boundary={_BOUNDARY}'
"""Content-Type of the bodies."""


def file_of_own(path: Path, series_uid: str) -> bytes:
    """Return a file of the corpus with UIDs of its own, in a study of its own."""
    dataset = pydicom.dcmread(path)
    dataset.StudyInstanceUID = series_uid[:60].rstrip(".")
    dataset.SeriesInstanceUID = series_uid
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    buffer = pydicom.filebase.DicomBytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    return bytes(buffer.getvalue())


def bodies_of(files: Sequence[bytes], batch: int) -> list[bytes]:
    """Put files into bodies of so many each."""
    head, tail = f"--{_BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode(), f"--{_BOUNDARY}--".encode()
    groups = [files[start : start + batch] for start in range(0, len(files), batch)]
    return [b"".join(head + file + b"\r\n" for file in group) + tail for group in groups]


def store(server: Server, datastore_id: str, files: Sequence[bytes], connections: int, *, whole: bool = False) -> None:
    """Store bodies, or files each in a body of its own, over some connections; raises `BenchmarkError`."""
    bodies = list(files) if whole else bodies_of(files, 1)
    requests = [signed_store(server, f"/datastore/{datastore_id}/studies", STORED_KIND, body) for body in bodies]
    with ThreadPoolExecutor(connections) as pool:
        list(pool.map(_send_all, [server.url] * connections, [requests[at::connections] for at in range(connections)]))


def _send_all(url: str, requests: Sequence[SignedRequest]) -> None:
    with closing(connect(url)) as connection:
        for request in requests:
            _, body = post(connection, request)
            if _FAILED in orjson.loads(body):
                raise BenchmarkError(f"an instance was not stored: {body[:300]!r}")
