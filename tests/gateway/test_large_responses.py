"""Large answers: one copy for all who read the same, bounded for all, given back afterwards, and byte for byte as stored."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import pytest

from support.clients.dicomweb import part10, root, session, store
from support.clients.raw_http import connection, head
from support.clients.signed_http import send_signed, signature
from support.files.synthetic import slice_of, uid
from support.imaging.imports import document, instances
from support.processes import api_processes
from support.servers import ServerProcess, active_datastore, wait_for

SIDE = 3072
FRAME_BYTES = SIDE * SIDE * 2
ANSWER_MEMORY = 2 * FRAME_BYTES
READERS = 20
INSTANCE = f"/studies/{uid(1)}/series/{uid(1, 1)}/instances"
AS_STORED = {"Accept": "application/octet-stream; transfer-syntax=*"}
_MB = 1_000_000


@dataclass
class World:
    """A server with three instances of one frame of 19 MB of noise each, which no codec makes smaller."""

    server: ServerProcess
    datastore: str
    image_set: str

    def path(self, number: int) -> str:
        return f"/datastore/{self.datastore}{INSTANCE}/{uid(1, 1, number)}/frames/1"

    def pss(self) -> int:
        return sum(process.memory_full_info().pss for process in api_processes(self.server))

    def stalled(self, number: int) -> bytes:
        """A request for a frame whose answer is not read."""
        signed = signature(self.server, "GET", self.path(number), headers=AS_STORED)
        return head("GET", self.path(number), {**signed, "Host": f"127.0.0.1:{self.server.port}"})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    settings = {
        "HOUNSFIELD_API_WORKERS": "1",
        "HOUNSFIELD_STORE_WORKERS": "1",
        "HOUNSFIELD_FRAME_CACHE_BYTES": "0",
        "HOUNSFIELD_ANSWER_MEMORY_BYTES": str(ANSWER_MEMORY),
    }
    server = ServerProcess(tmp_path_factory.mktemp("large") / "data", settings).start()
    client = server.client()
    datastore = active_datastore(client)
    for number in (1, 2, 3):
        pixels = np.random.default_rng(number).integers(0, 65536, (SIDE, SIDE), "<u2")
        assert store(server, datastore, [part10(slice_of(number=number, pixels=pixels))]).status_code == 200
    (found,) = client.search_image_sets(datastoreId=datastore, searchCriteria={})["imageSetsMetadataSummaries"]
    yield World(server, datastore, str(found["imageSetId"]))
    server.stop()


def digest_of(world: World, number: int) -> str:
    answer = session(world.server).get(f"{world.server.url}{world.path(number)}", headers=AS_STORED, timeout=120)
    assert answer.status_code == 200, answer.text
    return hashlib.sha256(answer.content).hexdigest()


def test_a_large_frame_is_the_same_whichever_way(world: World) -> None:
    client = world.server.client()
    described = dict(instances(document(client, world.datastore, world.image_set)))[uid(1, 1, 1)]
    body = json.dumps({"imageFrameId": described["ImageFrames"][0]["ID"]}).encode()
    path = f"/datastore/{world.datastore}/imageSet/{world.image_set}/getImageFrame"
    kind = {"Content-Type": "application/json"}
    native = send_signed(world.server, "POST", path, body, kind).body
    alone = send_signed(world.server, "GET", world.path(1), headers=AS_STORED).body
    assert len(alone) > FRAME_BYTES // 2
    assert native[-len(alone) :] == alone
    assert native[:12] == b"\0\0\0\x0cjP  \r\n\x87\n"
    multipart = {"Accept": 'multipart/related; type="application/octet-stream"; transfer-syntax=*'}
    assert alone in send_signed(world.server, "GET", world.path(1), headers=multipart).body
    ranged = send_signed(world.server, "GET", world.path(1), headers={**AS_STORED, "Range": "bytes=1000000-4999999"})
    assert (ranged.status, ranged.body) == (206, alone[1_000_000:5_000_000])


def grown_by_stalled_readers(world: World) -> int:
    """Let many begin to read a frame and stop; gives by how much the processes that answer have grown meanwhile."""
    before = world.pss()
    with ExitStack() as stack:
        stalled: list[socket.socket] = []
        for _ in range(READERS):
            client = stack.enter_context(connection(world.server, small=True))
            client.sendall(world.stalled(1))
            stalled.append(client)
        for client in stalled:
            assert client.recv(12) == b"HTTP/1.1 200"
        return world.pss() - before


def test_readers_of_one_frame_who_take_nothing_hold_it_once_and_it_is_given_back(world: World) -> None:
    digest = digest_of(world, 1)
    assert grown_by_stalled_readers(world) < 3 * FRAME_BYTES + READERS * 2 * _MB
    # What the first of them needed besides, such as threads, stays.
    wait_for(lambda: digest_of(world, 1) == digest, "the frame to be read")
    before = world.pss()
    assert grown_by_stalled_readers(world) < 3 * FRAME_BYTES + READERS * 2 * _MB
    wait_for(lambda: world.pss() - before < FRAME_BYTES // 2, "the memory to be given back")


def test_more_frames_than_there_is_room_for_wait_for_it(world: World) -> None:
    before = world.pss()
    wanted = {number: digest_of(world, number) for number in (1, 2, 3)}
    peak = 0
    with ThreadPoolExecutor(9) as pool:
        sent = [pool.submit(digest_of, world, 1 + number % 3) for number in range(9)]
        while not all(future.done() for future in sent):
            peak = max(peak, world.pss())
        assert [future.result() for future in sent] == [wanted[1 + number % 3] for number in range(9)]
    assert peak - before < ANSWER_MEMORY + 3 * FRAME_BYTES


def test_an_instance_as_a_file_comes_in_pieces_too(world: World) -> None:
    address = f"{root(world.server, world.datastore)}{INSTANCE}/{uid(1, 1, 2)}"
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: _file(world, address), range(4)))
    assert len(set(answers)) == 1
    status, _ = answers[0]
    assert status == http.client.OK


def _file(world: World, address: str) -> tuple[int, str]:
    answer = session(world.server).get(address, headers={"Accept": "application/dicom"}, timeout=120)
    return answer.status_code, hashlib.sha256(answer.content).hexdigest()
