"""One user's burst does not keep another waiting, also where everything it asks for is stuck.

The packs of the one are in an object store that does not answer for them until it is told to: what is with threads and workers
then stays there, and whoever had to wait for it would wait for ever.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import pytest
import requests

from support.clients.dicomweb import SignedRequests, multipart, part10, root
from support.files.synthetic import slice_of, uid
from support.identities.users_and_roles import UsersAndRoles, allow
from support.servers import ServerProcess, active_datastore, wait_for
from support.services.object_store import ObjectStore, proxy

PARALLEL = 60
BUCKET = "fair-packs"
SERIES = f"/studies/{uid(1)}/series/{uid(1, 1)}"
ANY_FILE = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
JPEG = {"Accept": "image/jpeg"}


@dataclass
class Gate:
    """Holds back every request for the packs of some data store."""

    datastore: str = "none"
    held: int = 0
    open: threading.Event = field(default_factory=threading.Event)

    def __call__(self, _method: str, path: str, _headers: Mapping[str, str]) -> int | None:
        if f"/packs/{self.datastore}/" in path:
            self.held += 1
            self.open.wait(120)
        return None

    @contextmanager
    def closed(self, datastore: str) -> Iterator[None]:
        self.open.clear()
        self.datastore, self.held = datastore, 0
        try:
            yield
        finally:
            self.datastore = "none"
            self.open.set()


@dataclass
class World:
    """A server with one API process, the data store of a user who sends bursts, and that of another user."""

    server: ServerProcess
    gate: Gate
    busy: str
    other: str
    key: tuple[str, str]

    def burst(self, method: str, path: str, **how: object) -> list[Future[requests.Response]]:
        """Send a request many times at once, as the root of the account."""
        pool = ThreadPoolExecutor(PARALLEL)
        url, auth = root(self.server, self.busy) + path, SignedRequests(self.server)
        sent = [pool.submit(requests.request, method, url, auth=auth, timeout=120, **how) for _ in range(PARALLEL)]
        pool.shutdown(wait=False)
        return sent

    def ask(self, method: str, path: str, **how: object) -> requests.Response:
        """Send a request as the other user."""
        auth = SignedRequests(self.server, key=self.key)
        return requests.request(method, root(self.server, self.other) + path, auth=auth, timeout=60, **how)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, s3: ObjectStore) -> Iterator[World]:
    s3.client.create_bucket(Bucket=BUCKET)
    gate = Gate()
    with ExitStack() as stack:
        environment = {
            **stack.enter_context(proxy(s3, gate)).environment(),
            "HOUNSFIELD_BLOBS_URL": f"s3://{BUCKET}",
            "HOUNSFIELD_API_WORKERS": "1",
            "HOUNSFIELD_STORE_WORKERS": "1",
            "HOUNSFIELD_FRAME_CACHE_BYTES": "0",
            "HOUNSFIELD_READ_CACHE_BYTES": "0",
        }
        server = ServerProcess(tmp_path_factory.mktemp("fair") / "data", environment).start()
        stack.callback(server.stop)
        users = UsersAndRoles(server)
        stack.callback(users.close)
        key = users.user("other", allow("medical-imaging:*"))
        world = World(server, gate, active_datastore(server.client()), active_datastore(server.client()), key)
        for datastore in (world.busy, world.other):
            body = multipart(part10(slice_of(number=number)) for number in range(3))
            headers = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=the-boundary'}
            url = f"{root(server, datastore)}/studies"
            assert requests.post(url, data=body, headers=headers, auth=SignedRequests(server), timeout=60).ok
        yield world


def check_burst(sent: list[Future[requests.Response]]) -> None:
    assert [future.result().status_code for future in sent] == [200] * PARALLEL


def check_other_reads(world: World) -> None:
    assert world.ask("GET", "/studies").json() != []
    assert world.ask("GET", f"{SERIES}/metadata").status_code == 200
    assert world.ask("GET", SERIES, headers=ANY_FILE).status_code == 200
    assert world.ask("GET", f"{SERIES}/instances/{uid(1, 1, 1)}/frames/1").status_code == 200
    assert world.ask("GET", f"{SERIES}/instances/{uid(1, 1, 1)}/rendered", headers=JPEG).status_code == 200


@pytest.mark.parametrize(
    ("path", "headers"),
    [(SERIES, ANY_FILE), (f"{SERIES}/metadata", {}), (f"{SERIES}/instances/{uid(1, 1, 2)}/rendered", JPEG)],
    ids=["series", "metadata", "rendered"],
)
def test_reads_of_another_are_answered_while_a_burst_of_reads_is_stuck(
    world: World, path: str, headers: dict[str, str]
) -> None:
    with world.gate.closed(world.busy):
        sent = world.burst("GET", path, headers=headers)
        wait_for(lambda: world.gate.held, "the burst to be with the object store")
        check_other_reads(world)
        assert not any(future.done() for future in sent)
    check_burst(sent)


def test_another_stores_and_reads_while_what_a_burst_stores_is_stuck(world: World) -> None:
    kind = {"Content-Type": "application/dicom", "Accept": "application/dicom+json"}
    with world.gate.closed(world.busy):
        sent = world.burst("POST", "/studies", data=part10(slice_of(9, 9)), headers=kind)
        wait_for(lambda: world.gate.held, "the burst to be with the object store")
        for number in range(3):
            stored = world.ask("POST", "/studies", data=part10(slice_of(3, number)), headers=kind)
            assert stored.status_code == 200, stored.text
        check_other_reads(world)
        assert not any(future.done() for future in sent)
    check_burst(sent)
