"""Damaged packs: an answer that meets one never looks complete, and the log names the pack and the image sets, once."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from support.clients.dicomweb import part10, store
from support.clients.raw_http import exchange, head
from support.clients.signed_http import send_signed, signature
from support.files.synthetic import noise, slice_of, uid
from support.imaging.imports import document, instances
from support.servers import ServerProcess, active_datastore, wait_for

STUDY, SERIES = f"/studies/{uid(1)}", f"/studies/{uid(1)}/series/{uid(1, 1)}"
INSTANCE = f"{SERIES}/instances/{uid(1, 1, 2)}"


def _flip(path: Path, start: int, end: int | None = None) -> None:
    data = bytearray(path.read_bytes())
    data[start:end] = bytes(byte ^ 1 for byte in data[start:end])
    path.write_bytes(data)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "a bit of the frame": lambda path: _flip(path, 80, 81),
    "all bits": lambda path: _flip(path, 72),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:100]),
    "gone": Path.unlink,
}


@dataclass
class Damaged:
    """A data store with a series of three slices, of which the pack of the second is damaged."""

    server: ServerProcess
    datastore: str
    image_set: str
    pack: str
    frame_id: str
    frame_only: bool = False
    """Whether all but a frame is as it was."""

    def path(self, path: str) -> str:
        return f"/datastore/{self.datastore}{path}"

    def told(self) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.server.log_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == "pack damaged" and line["pack"] == self.pack]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    settings = {"HOUNSFIELD_FRAME_CACHE_BYTES": "0", "HOUNSFIELD_API_WORKERS": "1", "HOUNSFIELD_STORE_WORKERS": "1"}
    process = ServerProcess(tmp_path_factory.mktemp("damaged") / "data", settings).start()
    yield process
    process.stop()


def slices() -> list[Dataset]:
    return [slice_of(number=number, pixels=noise(64, 64, seed=number)) for number in (1, 2, 3)]


def stored(server: ServerProcess) -> tuple[Damaged, Path]:
    """Store the slices, each with a request and so a pack of its own; gives the pack of the second too."""
    client = server.client()
    datastore = active_datastore(client)
    packs: list[Path] = []
    for dataset in slices():
        assert store(server, datastore, [part10(dataset)]).status_code == 200
        there = (server.data / "blobs" / "packs" / datastore).rglob("*")
        packs += [path for path in there if path.is_file() and path not in packs]
    (found,) = client.search_image_sets(datastoreId=datastore, searchCriteria={})["imageSetsMetadataSummaries"]
    image_set = str(found["imageSetId"])
    described = dict(instances(document(client, datastore, image_set)))[uid(1, 1, 2)]
    return Damaged(server, datastore, image_set, packs[1].name, described["ImageFrames"][0]["ID"]), packs[1]


@pytest.fixture(scope="module")
def all_damaged(server: ServerProcess) -> dict[str, Damaged]:
    found = {}
    for kind, damage in DAMAGES.items():
        found[kind], pack = stored(server)
        found[kind].frame_only = kind == "a bit of the frame"
        damage(pack)
    # Processes that were started since have nothing of them in memory.
    server.stop()
    server.start()
    return found


@pytest.fixture(params=DAMAGES)
def damaged(all_damaged: dict[str, Damaged], request: pytest.FixtureRequest) -> Damaged:
    return all_damaged[request.param]


def exchanged(damaged: Damaged, path: str, headers: dict[str, str]) -> tuple[int, bool]:
    """Send a request with HTTP/1.1; gives the status, and whether the answer is complete by its length or last chunk."""
    host = {"Host": f"127.0.0.1:{damaged.server.port}", "Connection": "close"}
    answer = exchange(damaged.server, head("GET", path, {**headers, **host}))
    assert answer.status is not None
    before, _, body = answer.data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", before)
    return answer.status, len(body) == int(length[1]) if length else body.endswith(b"\r\n0\r\n\r\n")


def by_http2(damaged: Damaged, path: str, headers: dict[str, str]) -> tuple[int, bool]:
    """Send a request with HTTP/2; gives the status, and whether curl takes the answer for complete."""
    words = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
    command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--http2-prior-knowledge", *words]
    done = subprocess.run(
        [*command, damaged.server.url + path], check=False, timeout=60, capture_output=True, text=True
    )
    return int(done.stdout), done.returncode == 0


READS = [
    (SERIES, 'multipart/related; type="application/dicom"; transfer-syntax=*'),
    (STUDY, 'multipart/related; type="application/dicom"'),
    (INSTANCE, "application/dicom; transfer-syntax=*"),
    (INSTANCE, "application/dicom"),
    (f"{INSTANCE}/frames/1", 'multipart/related; type="application/octet-stream"; transfer-syntax=*'),
    (f"{INSTANCE}/frames/1", 'multipart/related; type="application/octet-stream"'),
    (f"{INSTANCE}/rendered", "image/jpeg"),
    (f"{INSTANCE}/thumbnail", "image/jpeg"),
    (f"{SERIES}/rendered", 'multipart/related; type="image/jpeg"'),
    (f"{SERIES}/metadata", "application/dicom+json"),
    (f"{STUDY}/metadata", "application/dicom+json"),
    (f"{SERIES}/metadata", 'multipart/related; type="application/dicom+xml"'),
    (f"{INSTANCE}/metadata", "application/dicom+json"),
]


@pytest.mark.parametrize(("path", "accept"), READS)
@pytest.mark.parametrize("protocol", [exchanged, by_http2], ids=["HTTP/1.1", "HTTP/2"])
def test_an_answer_that_meets_damage_never_looks_complete(
    damaged: Damaged, path: str, accept: str, protocol: Callable[[Damaged, str, dict[str, str]], tuple[int, bool]]
) -> None:
    signed = signature(damaged.server, "GET", damaged.path(path), headers={"Accept": accept})
    status, complete = protocol(damaged, damaged.path(path), signed)
    if "metadata" in path and damaged.frame_only:
        assert (status, complete) == (200, True)
    else:
        assert status == 500 or not complete


def test_http_1_0_which_has_no_chunks_gets_an_error_instead_of_a_beginning(damaged: Damaged) -> None:
    path = damaged.path(f"{STUDY}/metadata")
    signed = signature(damaged.server, "GET", path, headers={"Accept": "application/dicom+json"})
    request = head("GET", path, {**signed, "Host": f"127.0.0.1:{damaged.server.port}"})
    answer = exchange(damaged.server, request.replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", 1))
    status = int(answer.data[9:12])
    assert status == (200 if damaged.frame_only else 500)
    assert status == 500 or json.loads(answer.data.partition(b"\r\n\r\n")[2])


def test_the_native_api_answers_with_an_error(damaged: Damaged) -> None:
    path = f"/datastore/{damaged.datastore}/imageSet/{damaged.image_set}/getImageFrame"
    body = json.dumps({"imageFrameId": damaged.frame_id}).encode()
    answer = send_signed(damaged.server, "POST", path, body, {"Content-Type": "application/json"})
    assert (answer.status, answer.code.partition(":")[0]) == (500, "InternalServerException")


def test_the_log_names_the_pack_and_who_lies_in_it_once(damaged: Damaged) -> None:
    path = damaged.path(f"{INSTANCE}/frames/1")
    for _ in range(5):
        assert send_signed(damaged.server, "GET", path, headers={"Accept": "*/*"}).status == 500
    (line,) = wait_for(damaged.told, "the pack to be told of")
    assert (line["datastore"], line["image_sets"], line["image_set_count"]) == (
        damaged.datastore,
        [damaged.image_set],
        1,
    )
    others = [
        line for line in damaged.server.log_text().splitlines() if "request failed" in line or "broken off" in line
    ]
    assert others == []
