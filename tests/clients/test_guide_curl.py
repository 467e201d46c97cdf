"""The curl commands of the STOW-RS page of AWS's guide, as printed there but for host and ids, with the system's curl."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.clients.dicomweb import BOUNDARY, multipart, part10, root, session, values
from support.clients.signed_http import send_signed
from support.files.synthetic import slice_of, uid
from support.required_tools import required_tool
from support.servers import ServerProcess

RECIPE = """
curl -X POST -v \\
'{url}' \\
--aws-sigv4 "aws:amz:$AWS_REGION:medical-imaging" \\
--user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \\
--header "x-amz-security-token:$AWS_SESSION_TOKEN" \\
--header "x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD" \\
--header "x-amz-decoded-content-length: $CONTENT_LENGTH" \\
--header 'Accept: application/dicom+json' \\
--header "Content-Type: {kind}" \\
--upload-file $FILENAME
"""
MULTIPART = f'multipart/related; type=\\"application/dicom\\"; boundary=\\"{BOUNDARY}\\"'


@pytest.fixture(autouse=True)
def _curl() -> None:
    required_tool(shutil.which("curl") is not None, "curl is not installed")


def typed(
    server: ServerProcess,
    datastore: str,
    file: Path,
    *,
    study: str = "",
    kind: str = "application/dicom",
    key: tuple[str, str] | None = None,
    length: int | None = None,
    command: str = RECIPE,
) -> Any:
    """Type a command into a shell; gives the document of the answer."""
    identifier, secret = key or server.key()
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": identifier,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_SESSION_TOKEN": "",
        "CONTENT_LENGTH": str(file.stat().st_size if length is None else length),
        "FILENAME": str(file),
    }
    url = f"{root(server, datastore)}/studies{study and f'/{study}'}"
    line = command.format(url=url, kind=kind)
    done = subprocess.run(["bash", "-c", line], env=environment, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def stored(answer: Any) -> set[str]:
    return {values(item, "00081155")[0] for item in values(answer, "00081199")}


def test_a_file_and_a_file_of_a_study(server: ServerProcess, datastore: str, tmp_path: Path) -> None:
    files = [tmp_path / "one.dcm", tmp_path / "two.dcm"]
    for number, file in enumerate(files, start=1):
        file.write_bytes(part10(slice_of(number=number)))
    assert stored(typed(server, datastore, files[0])) == {uid(1, 1, 1)}
    assert stored(typed(server, datastore, files[1], study=uid(1))) == {uid(1, 1, 2)}


def test_several_files_in_parts(server: ServerProcess, datastore: str, tmp_path: Path) -> None:
    parts = [part10(slice_of(number=number)) for number in (1, 2)]
    payload = tmp_path / "payload"
    payload.write_bytes(multipart(parts))
    # The page tells to state the length of the DICOM file, which is not that of the payload.
    for length in (None, len(parts[0]), sum(map(len, parts))):
        answer = typed(server, datastore, payload, kind=MULTIPART, length=length)
        assert stored(answer) == {uid(1, 1, 1), uid(1, 1, 2)}


def test_a_file_that_is_piped_in(server: ServerProcess, datastore: str, tmp_path: Path) -> None:
    """Then curl does not know how long it is, and sends it in chunks of HTTP."""
    file = tmp_path / "one.dcm"
    file.write_bytes(part10(slice_of()))
    command = RECIPE.replace("--upload-file $FILENAME", "--upload-file - < $FILENAME")
    assert stored(typed(server, datastore, file, command=command)) == {uid(1, 1, 1)}


def test_the_signature_must_still_be_right(server: ServerProcess, datastore: str, tmp_path: Path) -> None:
    file = tmp_path / "one.dcm"
    file.write_bytes(part10(slice_of()))
    wrong = typed(server, datastore, file, key=(server.key()[0], "x" * 40))
    assert "signature" in wrong["message"]
    path, body = f"/datastore/{datastore}/studies", file.read_bytes()
    headers = {
        "Content-Type": "application/dicom",
        "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "x-amz-decoded-content-length": str(len(body)),
    }
    assert send_signed(server, "POST", path, body, {**headers, "Content-Encoding": "aws-chunked"}).status == 400
    assert session(server).get(f"{root(server, datastore)}/studies", timeout=60).json() == []
    assert send_signed(server, "POST", path, body, headers).status == 200
