"""Nothing of a patient can be read in any file that the server leaves, whenever it ends, but in the bucket folder.

Files are imported and stored, the server is killed while both are under way, and the bytes of all files are searched for what
tells of the patient: as text in several encodings, as UIDs, as samples, and as the codestreams that frames are stored as.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from support.clients.dicomweb import BOUNDARY, multipart, part10, root, session, store
from support.files.synthetic import slice_of
from support.imaging.import_folders import fill, import_folder, sop_instances, start_job
from support.imaging.imports import frame
from support.server_files import kept_files, paths_below
from support.servers import ServerProcess, active_datastore, wait_for

NAME = "Zwetschgenbäumle^Quirina"
TEXTS = (NAME, "PATNR-77310-XQ", "ACC-55120-YW", "Knieverletzung links besonders", "19510913")
STUDY_UID = "1.2.826.0.1.3680043.10.999.77310.1"
NEEDLE_BYTES = 24


def told(number: int, rows: int = 64, columns: int = 64) -> Any:
    """Make a slice of the patient, with samples that are nowhere else."""
    pixels = np.random.default_rng(77310 + number).integers(-900, 900, (rows, columns), dtype="<i2")
    return slice_of(
        pixels=pixels,
        number=number,
        SpecificCharacterSet="ISO_IR 100",
        PatientName=NAME,
        PatientID=TEXTS[1],
        AccessionNumber=TEXTS[2],
        StudyDescription=TEXTS[3],
        PatientBirthDate=TEXTS[4],
        StudyInstanceUID=STUDY_UID,
        SeriesInstanceUID=f"{STUDY_UID}.2",
        SOPInstanceUID=f"{STUDY_UID}.2.{number}",
    )


def encodings(text: str) -> Iterator[bytes]:
    """Return the forms in which a text could stand in a file."""
    for encoding in ("utf-8", "latin-1", "utf-16-le", "utf-16-be"):
        data = text.encode(encoding)
        yield data
        yield data.hex().encode()
        yield data.hex().upper().encode()
        # Base64 of it wherever it begins, without the characters that depend on what stands before and behind.
        for shift in range(3):
            whole = base64.b64encode(b"\0" * shift + data)
            yield whole[4 if shift else 0 : len(whole) // 4 * 4 - 4]
    yield text.replace("^", " ").encode()
    yield text.replace("^", "%5E").encode()
    yield text.encode("unicode_escape")


def of_bytes(data: bytes) -> Iterator[bytes]:
    """Return some pieces of a long value, from its middle on."""
    for start in range(len(data) // 2, len(data) - NEEDLE_BYTES, max(1, len(data) // 8)):
        yield data[start : start + NEEDLE_BYTES]


def needles(slices: Iterable[Any]) -> set[bytes]:
    found = {form for text in (*TEXTS, STUDY_UID) for form in encodings(text)}
    for dataset in slices:
        found.update(of_bytes(dataset.PixelData))
    return {needle for needle in found if len(needle) >= 8}


def findings(folder: Path, wanted: set[bytes]) -> list[tuple[str, bytes]]:
    """Search names and bytes of all files below a folder."""
    found = []
    for path, content in kept_files(folder).items():
        told = str(path).encode() + b"\n" + content
        found += [(str(path.relative_to(folder)), needle) for needle in wanted if needle in told]
    return found


class Place:
    """A server whose data, log and temporary files are in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "temporary").mkdir()
        environment = {
            "HOUNSFIELD_IMPORT_WORKERS": "1",
            "HOUNSFIELD_STORE_WORKERS": "1",
            "HOUNSFIELD_LOG_LEVEL": "debug",
            "TMPDIR": str(folder / "temporary"),
        }
        self.server = ServerProcess(folder / "data", environment)
        self.wanted: set[bytes] = set()

    def check(self) -> None:
        """Make sure that nothing is readable anywhere, but what the user put into the bucket folder."""
        buckets = self.server.data / "buckets"
        hidden = [path for path in self.folder.iterdir() if path.name != "data"]
        hidden += [path for path in self.server.data.iterdir() if path != buckets]
        found = [entry for path in hidden if path.is_dir() for entry in findings(path, self.wanted)]
        for path in hidden:
            if path.is_file():
                found += [(path.name, needle) for needle in self.wanted if needle in path.read_bytes()]
        assert found == []

    def kill(self) -> None:
        assert self.server.process is not None
        family = psutil.Process(self.server.process.pid).children(recursive=True)
        for process in (self.server.process, *family):
            process.kill()
        self.server.process.wait()
        psutil.wait_procs(family, timeout=120)
        self.server.log.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    made.server.start()
    yield made
    made.server.stop()


def half_stored(server: ServerProcess, datastore_id: str, body: bytes) -> http.client.HTTPConnection:
    """Begin to store something, and stop in the middle of the body."""
    kind = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
    headers = {"Content-Type": kind, "X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}
    request = AWSRequest("POST", f"{root(server, datastore_id)}/studies", headers=headers)
    SigV4Auth(Credentials(*server.key()), "medical-imaging", "us-east-1").add_auth(request)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.putrequest("POST", f"/datastore/{datastore_id}/studies")
    for name, value in request.headers.items():
        connection.putheader(name, str(value))
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders()
    connection.send(body[: len(body) // 2])
    return connection


def test_nothing_of_a_patient_is_readable_at_rest(place: Place) -> None:
    server = place.server
    client = server.client()
    datastore_id = active_datastore(client, datastoreName="at-rest")
    small, large = [told(number) for number in range(1, 4)], told(9, rows=4096, columns=1024)
    place.wanted = needles([*small, large])

    fill(server, "first", small)
    import_folder(server, client, datastore_id, "first")
    # The search finds what is there to be found.
    assert findings(server.data / "buckets", place.wanted)
    image_set_id = client.search_image_sets(datastoreId=datastore_id, searchCriteria={})["imageSetsMetadataSummaries"][
        0
    ]["imageSetId"]
    for instance in sop_instances(client, datastore_id, image_set_id).values():
        stored, _ = frame(client, datastore_id, image_set_id, instance["ImageFrames"][0]["ID"])
        place.wanted.update(of_bytes(stored))
    assert (server.data / "hounsfield.db-wal").stat().st_size
    place.check()

    fill(server, "second", [told(number) for number in range(20, 60)])
    start_job(server, client, datastore_id, "second")
    body = multipart([part10(large)])
    # A connection that nobody holds is closed, and what came through it is thrown away.
    with contextlib.closing(half_stored(server, datastore_id, body)):
        wait_for(lambda: kept_files(server.data / "spool"), "a part of the body to be on disk")
        place.check()
        place.kill()
    place.check()

    server.start()
    assert store(server, datastore_id, [part10(told(number)) for number in (70, 71)]).status_code == 200
    web = session(server)
    studies = f"{root(server, datastore_id)}/studies"
    assert web.get(f"{studies}?PatientName=Zwetsch*&PatientID={TEXTS[1]}", timeout=60).json()
    assert web.get(f"{studies}/{STUDY_UID}", headers={"Accept": "multipart/related"}, timeout=60).status_code == 200
    # What is refused is not told to the log either.
    assert web.get(f"{studies}?PatientName={TEXTS[1]}&fuzzymatching=maybe", timeout=60).status_code == 400
    assert web.get(f"{studies}/{STUDY_UID}/series/1.2.3", timeout=60).status_code == 404
    damaged = part10(told(80))
    store(server, datastore_id, [damaged[: len(damaged) - 700]])
    place.check()
    check_modes(server.data)
    server.stop()
    place.check()


def mode_of(path: Path) -> int:
    """Return the mode of a file; none of one that is gone."""
    try:
        return path.lstat().st_mode
    except FileNotFoundError:
        return 0


def check_modes(data: Path) -> None:
    """Make sure that nobody else can open anything below the data folder."""
    open_to_others = [
        f"{path.relative_to(data)} {stat.filemode(mode)}"
        for path in (data, *paths_below(data))
        if (mode := mode_of(path)) & 0o077 and not stat.S_ISLNK(mode) and data / "buckets" not in path.parents
    ]
    assert open_to_others == []
