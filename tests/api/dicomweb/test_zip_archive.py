"""ZIP archives: names of their files, and that other programs read them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from hounsfield.api.dicomweb.zip_archive import encode_zip, file_name


def test_files_of_an_archive_stay_in_their_folder() -> None:
    assert file_name("1.2", "1.3", 7) == "1.2/1.3.dcm"
    for bad in ("..", "1..2", "/etc/x", "1.2/..", "1.2\\x", "", ".1", "1.", "1.2\n", "١"):
        assert file_name(bad, "1.2", 7) == file_name("1.2", bad, 7) == "instance-000007.dcm"


def test_other_programs_read_the_archives(tmp_path: Path) -> None:
    def chunks(size: int) -> Iterable[bytes]:
        return (bytes([n % 256]) * 1000 for n in range(size))

    files = [("1/1.dcm", 5000, chunks(5)), ("1/2.dcm", None, chunks(7)), ("2/1.dcm", 0, chunks(0))]
    archive = tmp_path / "a.zip"
    pieces = list(encode_zip(files))
    assert len(pieces) > 12, "it is written as it goes out"
    archive.write_bytes(b"".join(pieces))
    done = subprocess.run(
        [sys.executable, "-m", "zipfile", "-e", str(archive), str(tmp_path)], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "1" / "2.dcm").read_bytes() == b"".join(chunks(7))
