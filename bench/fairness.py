"""What one user waits while another sends a burst: searching, storing and reading a frame, quiet and under each burst.

    another user, 24 to 64 requests at once, again and again ─┐
    one user: search ─▶ store ─▶ frame ─▶ search ─▶ …        ─┴─▶ p50, p99 of each, and their ratio to the quiet ones

The burst comes from processes of its own, which share the processors with the server as all of this benchmark does.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Final

import orjson
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, generate_uid

from bench.corpus import write_tiny_series
from bench.report import Report, median, percentile
from bench.scale import Run
from bench.server import BenchmarkError, Server
from bench.signing import SignedRequest, connect, fetch, get, post, signed_get, signed_store
from bench.stow import STORED_KIND, bodies_of
from hounsfield.bootstrap.image_store import open_image_store
from hounsfield.bootstrap.installation import open_repository
from hounsfield.cli.import_command import client_for
from hounsfield.iam.identities.access_keys import create_key
from hounsfield.iam.identities.attachments import attach_policy
from hounsfield.iam.identities.identities import create_user
from hounsfield.iam.identities.managed_policies import create_policy
from hounsfield.iam.identities.records import IdentityKind
from hounsfield.iam.root_credentials import AccessKey

RATIO_LIMIT: Final = 5
PARALLEL: Final = 64
BOMBS: Final = 24
_BOMB_BYTES: Final = 400_000_000
_QUICK_BOMB_BYTES: Final = 4_000_000
_FILES: Final = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_PICTURES: Final = 'multipart/related; type="image/jpeg"'
_WARM_UP: Final = 3
_BURST_SECONDS: Final = 3.0


def run(setting: Run, report: Report) -> None:
    """Measure one user quietly, then under each burst of another."""
    paths = write_tiny_series(setting.corpus / "tiny", setting.scale.tiny_instances)
    rounds = 5 if setting.scale.quick else 150
    report.note(
        f"a series of {len(paths)} instances; {rounds} requests of each kind, one after another; bursts and server share"
    )
    with Server(setting.folder("fairness") / "data") as server:
        key = _other_user(server)
        datastore_id = server.datastore()
        server.put("tiny", paths)
        server.import_prefix(datastore_id, "tiny")
        user = _User(server, datastore_id, paths[0], key)
        quiet = user.measured(rounds)
        _figures(report, "quiet", quiet, None)
        for name, requests in _bursts(server, datastore_id, quick=setting.scale.quick).items():
            with _burst(server.url, requests, seconds=0.2 if setting.scale.quick else _BURST_SECONDS):
                found = user.measured(rounds)
            _figures(report, name, found, quiet)


def _figures(
    report: Report, name: str, found: Mapping[str, Sequence[float]], quiet: Mapping[str, Sequence[float]] | None
) -> None:
    for kind, times in found.items():
        report.figure(f"{name}: {kind}, p50", median(times), "ms")
        report.figure(f"{name}: {kind}, p99", percentile(times, 99), "ms")
        if quiet is not None:
            ratio = percentile(times, 99) / percentile(quiet[kind], 99)
            report.figure(f"{name}: {kind}, ratio of p99 to the quiet one", ratio, "", RATIO_LIMIT)


def _other_user(server: Server) -> AccessKey:
    """Make a user who may do everything, and wait until the server knows the key."""
    image_store, keyring = open_image_store(server.settings)
    repository = open_repository(server.settings, image_store.database, keyring)
    create_user(repository, "other")
    statement = {"Effect": "Allow", "Action": "medical-imaging:*", "Resource": "*"}
    create_policy(repository, "all", json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    attach_policy(repository, IdentityKind.USER, "other", "all")
    made = create_key(repository, "other")
    image_store.database.close()
    client_for(server.settings, server.url).list_datastores()
    time.sleep(2)
    return AccessKey(made.record.id, made.secret)


class _User:
    """The user who is measured."""

    def __init__(self, server: Server, datastore_id: str, path: Path, key: AccessKey) -> None:
        self._server = server
        self._root = f"/datastore/{datastore_id}"
        self._dataset = pydicom.dcmread(path)
        self._key = key
        first = self._dataset
        frame = f"/studies/{first.StudyInstanceUID}/series/{first.SeriesInstanceUID}/instances/{first.SOPInstanceUID}/frames/1"
        self._kinds: dict[str, Callable[[], SignedRequest]] = {
            "search": partial(self._get, f"/studies?PatientID={first.PatientID}"),
            "store": self._store,
            "frame": partial(self._get, frame, 'multipart/related; type="application/octet-stream"; transfer-syntax=*'),
        }

    def _get(self, path: str, accept: str = "application/dicom+json") -> SignedRequest:
        return signed_get(self._server, self._root + path, accept, self._key)

    def _store(self) -> SignedRequest:
        dataset = self._dataset
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        (body,) = bodies_of([_written(dataset)], 1)
        return signed_store(self._server, f"{self._root}/studies", STORED_KIND, body, self._key)

    def measured(self, rounds: int) -> dict[str, list[float]]:
        """Send requests of each kind in turn; gives their times in ms."""
        times: dict[str, list[float]] = {kind: [] for kind in self._kinds}
        with closing(connect(self._server.url)) as connection:
            for number in range(rounds + _WARM_UP):
                for kind, make in self._kinds.items():
                    request = make()
                    seconds, _ = (get if request.method == "GET" else post)(connection, request)
                    if number >= _WARM_UP:
                        times[kind].append(seconds * 1000)
        return times


def _written(dataset: Dataset) -> bytes:
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def _bursts(server: Server, datastore_id: str, *, quick: bool) -> dict[str, list[SignedRequest]]:
    """Return the requests of each burst, one for each of those that send at once."""
    root = f"/datastore/{datastore_id}"
    (found,) = orjson.loads(fetch(server, signed_get(server, f"{root}/series?limit=1")))
    series = f"{root}/studies/{found['0020000D']['Value'][0]}/series/{found['0020000E']['Value'][0]}"
    study = f"{root}/studies/{found['0020000D']['Value'][0]}"
    (bomb,) = bodies_of([_bomb(_QUICK_BOMB_BYTES if quick else _BOMB_BYTES)], 1)
    whole = signed_get(server, series, _FILES)
    document, pictures = signed_get(server, f"{study}/metadata"), signed_get(server, f"{series}/rendered", _PICTURES)
    return {
        f"{PARALLEL} retrieve the series": [whole] * PARALLEL,
        f"{BOMBS} deflate bombs stored": [signed_store(server, f"{root}/studies", STORED_KIND, bomb)] * BOMBS,
        f"{PARALLEL} read metadata and pictures of the series": [document, pictures] * (PARALLEL // 2),
    }


def _bomb(size: int) -> bytes:
    """Return a file of some hundred kilobytes that inflates to so many bytes."""
    dataset = Dataset()
    dataset.PatientID = "bomb"
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.private_block(0x0099, "BOMB", create=True).add_new(0, "OB", bytes(size))
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return _written(dataset)


@contextmanager
def _burst(url: str, requests: Sequence[SignedRequest], seconds: float) -> Iterator[None]:
    """Let a process send all of the requests at once, each again and again, from ``seconds`` before the block to its end."""
    context = get_context("spawn")
    stop = context.Event()
    process = context.Process(target=_send, args=(url, requests, stop))
    process.start()
    try:
        time.sleep(seconds + 1)
        yield
        if not process.is_alive():
            raise BenchmarkError("the burst ended before its time")
    finally:
        stop.set()
        process.join(2)
        process.kill()
        process.join()


def _send(url: str, requests: Sequence[SignedRequest], stop: Event) -> None:
    with ThreadPoolExecutor(len(requests)) as pool:
        list(pool.map(partial(_send_again, url, stop), requests))


def _send_again(url: str, stop: Event, request: SignedRequest) -> None:
    while not stop.is_set():
        with closing(connect(url)) as connection:
            connection.request(request.method, request.path, request.body or None, dict(request.headers))
            answer = connection.getresponse()
            while answer.read(1 << 20) and not stop.is_set():
                pass
