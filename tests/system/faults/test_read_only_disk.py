"""A disk that lets nothing be written: requests that write are put off, reads go on, and so does all once it is mended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.clients.dicomweb import part10, root, session, store
from support.faults.unprivileged_user import as_any_user
from support.files.synthetic import noise, slice_of, uid
from support.servers import ServerProcess, active_datastore


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Let nothing be made in a folder, nor in those below it."""
    modes = {path: path.stat().st_mode for path in (folder, *folder.rglob("*")) if path.is_dir()}
    for path in modes:
        path.chmod(0o500)
    try:
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


def test_a_disk_that_lets_nothing_be_written(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", {"HOUNSFIELD_STORE_WORKERS": "1"})
    server.prepare = as_any_user
    server.start()
    try:
        datastore = active_datastore(server.client())
        small = [part10(slice_of(1, 1))]
        # Of two large ones one is spooled.
        large = [part10(slice_of(2, number, pixels=noise(1024, 1280, number))) for number in (1, 2)]
        for files in (small, large):
            assert store(server, datastore, files).status_code == 200
        for folder, files in (("blobs", [part10(slice_of(1, 2))]), ("spool", large)):
            with read_only(server.data / folder):
                refused = store(server, datastore, files)
                assert (refused.status_code, refused.headers["x-amzn-errortype"]) == (
                    503,
                    "ServiceUnavailableException",
                )
                assert int(refused.headers["Retry-After"]) > 0
                assert str(server.data) not in refused.text
                path = f"/studies/{uid(1)}/series/{uid(1, 1)}/instances/{uid(1, 1, 1)}/frames/1"
                read = session(server).get(root(server, datastore) + path, headers={"Accept": "*/*"}, timeout=60)
                assert read.status_code == 200
            assert store(server, datastore, files).status_code == 200
    finally:
        server.stop()
    told = [json.loads(line) for line in server.log_text().splitlines() if line.startswith("{")]
    assert {
        Path(entry["path"]).relative_to(server.data).parts[0] for entry in told if entry["event"] == "disk refuses"
    } == {
        "blobs",
        "spool",
    }
    assert not [entry for entry in told if "exception" in entry]
