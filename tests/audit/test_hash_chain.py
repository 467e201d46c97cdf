"""The sealed files of the audit trail: any change of any byte is found, wherever it is."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hounsfield.audit.anchors import make_anchor, read_anchors, write_anchor
from hounsfield.audit.chain_files import chain_files
from hounsfield.audit.chain_index import ChainIndex
from hounsfield.audit.chain_writer import ChainWriter
from hounsfield.audit.recovery import seal_abandoned
from hounsfield.audit.retention import remove_old_files
from hounsfield.audit.s3_delivery import Delivery
from hounsfield.audit.verify import Verification, verify, verify_step
from hounsfield.storage.buckets.bucket import Bucket, BucketError
from hounsfield.storage.db.engines import open_embedded
from support.examples import examples

KEY = bytes(range(32))
FOLDER = "audit"


def written(folder: Path, chains: int = 2, records: int = 12, *, ended: bool = True) -> list[ChainWriter]:
    """Write chains of several files each."""
    writers = [ChainWriter(folder, KEY, "api", file_bytes=900, file_seconds=3600) for _ in range(chains)]
    for number in range(records):
        for writer in writers:
            writer.add([json.dumps({"eventName": f"Event{number}"}, separators=(",", ":")).encode()])
            writer.sync()
    for writer in writers:
        if ended:
            writer.close()
    return writers


def problems(folder: Path, key: bytes = KEY) -> list[str]:
    return [f"{finding.place}: {finding.text}" for finding in verify(folder, key).findings if finding.problem]


def in_steps(folder: Path, most_bytes: int) -> tuple[Verification, int]:
    """Verify step by step; gives what all steps found together, and how many there were."""
    together, number, after = Verification(), 0, None
    while number == 0 or after is not None:
        step = verify_step(folder, KEY, after=after, most_bytes=most_bytes)
        after, number = step.following, number + 1
        together.chains += step.found.chains
        together.files += step.found.files
        together.records += step.found.records
        together.findings += step.found.findings
    return together, number


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("original") / FOLDER
    written(folder)
    found = verify(folder, KEY)
    assert (found.findings, found.chains, found.records) == ([], 2, 24)
    assert found.files > 4
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix == ".jsonl"}


def put(folder: Path, files: dict[str, bytes]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def lines_of(content: bytes) -> list[bytes]:
    return content.splitlines(keepends=True)


@st.composite
def tampered(draw: st.DrawFn, files: dict[str, bytes]) -> dict[str, bytes]:
    """Change one or two of the files in some way."""
    name = draw(st.sampled_from(sorted(files)))
    content = files[name]
    way = draw(st.sampled_from(["flip", "cut", "insert", "line", "swap", "repeat", "remove", "mix", "rename", "end"]))
    changed = dict(files)
    offset = draw(st.integers(0, len(content) - 1))
    lines = lines_of(content)
    first, second = draw(st.integers(0, len(lines) - 1)), draw(st.integers(0, len(lines) - 1))
    if way == "flip":
        flipped = content[offset] ^ draw(st.integers(1, 255))
        changed[name] = content[:offset] + bytes([flipped]) + content[offset + 1 :]
    elif way == "cut":
        end = draw(st.integers(offset + 1, len(content)))
        changed[name] = content[:offset] + content[end:]
    elif way == "insert":
        changed[name] = content[:offset] + draw(st.binary(min_size=1, max_size=40)) + content[offset:]
    elif way == "line":
        changed[name] = b"".join(lines[:first] + lines[first + 1 :])
    elif way == "swap":
        lines[first], lines[second] = lines[second], lines[first]
        changed[name] = b"".join(lines)
    elif way == "repeat":
        changed[name] = b"".join([*lines[: first + 1], lines[first], *lines[first + 1 :]])
    elif way == "remove":
        del changed[name]
    elif way == "mix":
        changed[name] = changed[draw(st.sampled_from(sorted(files)))]
    elif way == "rename":
        other = draw(st.sampled_from(sorted(files)))
        changed[name], changed[other] = changed[other], changed[name]
    else:
        changed[name] = b"".join(lines[:first])
    return changed


@settings(max_examples=examples(400), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_change_of_any_byte_is_found(original: dict[str, bytes], tmp_path: Path, data: st.DataObject) -> None:
    changed = data.draw(tampered(original))
    put(tmp_path / FOLDER, changed)
    assert bool(problems(tmp_path / FOLDER)) == (changed != original)
    stepped, _ = in_steps(tmp_path / FOLDER, data.draw(st.sampled_from([1, 2000])))
    whole = verify(tmp_path / FOLDER, KEY)
    assert [finding.problem for finding in stepped.findings] == [finding.problem for finding in whole.findings]
    assert (stepped.chains, stepped.files, stepped.records) == (whole.chains, whole.files, whole.records)


@pytest.mark.parametrize("position", ["first", "middle", "last"])
def test_the_place_of_a_changed_line_is_told(original: dict[str, bytes], tmp_path: Path, position: str) -> None:
    name = sorted(name for name in original if name != "index.jsonl")[1]
    lines = lines_of(original[name])
    number = {"first": 0, "middle": len(lines) // 2, "last": len(lines) - 1}[position]
    lines[number] = lines[number].replace(b'"body":{', b'"body":{"x":1,', 1)
    put(tmp_path / FOLDER, {**original, name: b"".join(lines)})
    assert problems(tmp_path / FOLDER) == [f"{name}:{number + 1}: the line, or what was before it, was changed"]


def test_what_another_key_sealed_is_not_taken(original: dict[str, bytes], tmp_path: Path) -> None:
    put(tmp_path / FOLDER, original)
    assert problems(tmp_path / FOLDER, bytes(32))


def test_removed_files_of_a_whole_chain_are_missed(original: dict[str, bytes], tmp_path: Path) -> None:
    chain = sorted(original)[0].split(".")[0]
    put(tmp_path / FOLDER, {name: content for name, content in original.items() if not name.startswith(chain)})
    assert problems(tmp_path / FOLDER) == [f"{chain}.000001.jsonl: the file is missing"]


def killed_writer(folder: Path) -> None:
    """Write a chain in a process that is killed in the middle of a record."""
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from hounsfield.audit.chain_writer import ChainWriter\n"
        "writer = ChainWriter(Path(sys.argv[1]), bytes(range(32)), 'api', file_bytes=10**6, file_seconds=3600)\n"
        'writer.add([b\'{"eventName":"A"}\'] * 5); writer.sync(); writer._write_head()\n'
        'writer.add([b\'{"eventName":"B"}\'] * 3); writer.write()\n'
        'os.write(writer._descriptor, b\'{"sequence":10,"ki\')\n'
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL


def test_a_killed_process_leaves_a_chain_that_is_intact_with_a_note(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    killed_writer(folder)
    found = verify(folder, KEY)
    assert found.intact
    assert found.records == 8
    assert any("18 bytes of a record that was not complete" in finding.text for finding in found.findings)
    assert any("did not end its chain" in finding.text for finding in found.findings)
    seal_abandoned(folder, KEY)
    sealed = verify(folder, KEY)
    assert sealed.intact
    assert sealed.records == 8
    assert ["did not end its chain" in finding.text for finding in sealed.findings] == [True]
    # Once the chain is sealed, its end is as certain as that of any other.
    (file,) = chain_files(folder)
    file.path.write_bytes(b"".join(lines_of(file.path.read_bytes())[:-1]))
    assert problems(folder) == [f"{file.path.name}: lines 9 to 9 of the chain are missing at its end"]


def test_what_was_durable_cannot_be_cut_off_a_killed_chain(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    killed_writer(folder)
    (file,) = chain_files(folder)
    whole = lines_of(file.path.read_bytes())
    file.path.write_bytes(b"".join(whole[:4]))
    assert problems(folder) == [f"{file.path.name}: lines 5 to 6 of the chain are missing at its end"]
    seal_abandoned(folder, KEY)
    assert problems(folder) == [f"{file.path.name}: lines 5 to 6 of the chain are missing at its end"]
    file.path.write_bytes(b"".join(whole))
    (head,) = folder.glob("*.head")
    head.unlink()
    assert problems(folder) == [f"{head.name}: the file is missing or was changed"]


def test_a_chain_that_is_being_written_is_intact(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    writers = written(folder, ended=False)
    assert verify(folder, KEY).findings == []
    seal_abandoned(folder, KEY)
    assert verify(folder, KEY).findings == []
    for writer in writers:
        writer.add([b'{"eventName":"Last"}'])
        writer.close()
    found = verify(folder, KEY)
    assert (found.findings, found.records) == ([], 26)


def test_a_chain_that_is_being_written_is_verified_in_steps(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    writers = written(folder, ended=False)
    first = verify_step(folder, KEY, most_bytes=1)
    assert (first.found.files, first.found.chains, first.following is None) == (1, 1, False)
    for writer in writers:
        writer.add([b'{"eventName":"Last"}'] * 3)
        writer.sync()
    found, steps = in_steps(folder, 1)
    assert (found.findings, found.records, found.chains) == ([], 30, 2)
    assert steps == found.files
    second = verify_step(folder, KEY, after=first.following, most_bytes=1)
    aged(folder, 31)
    assert remove_old_files(folder, KEY, 30 * 86400) > 3
    third = verify_step(folder, KEY, after=second.following)
    assert (third.found.findings, third.following) == ([], None)
    (folder / "index.jsonl").unlink()
    (gone,) = verify_step(folder, KEY, after=first.following).found.findings
    assert gone.problem
    assert "was there, and is gone" in gone.text
    for writer in writers:
        writer.close()


def test_files_are_private(tmp_path: Path) -> None:
    written(tmp_path / FOLDER)
    assert {oct(path.stat().st_mode & 0o777) for path in (tmp_path / FOLDER).iterdir()} == {"0o600"}
    assert (tmp_path / FOLDER).stat().st_mode & 0o777 == 0o700


def test_after_an_error_of_the_disk_nothing_is_missing_or_twice(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    (writer,) = written(folder, chains=1, records=3, ended=False)
    writer.add([b'{"eventName":"Written"}'])
    writer.write()
    descriptor = writer._descriptor
    closed = os.open(os.devnull, os.O_RDONLY)
    writer._descriptor = closed  # every write to it fails, as on a disk that is gone
    writer.add([b'{"eventName":"Held"}'])
    with pytest.raises(OSError, match="Bad file descriptor"):
        writer.sync()
    assert writer.unsynced == 2
    os.close(closed)
    writer._descriptor = descriptor
    writer.sync()
    assert writer.unsynced == 0
    writer.close()
    found = verify(folder, KEY)
    assert (found.findings, found.records) == ([], 5)


def test_an_entry_of_the_index_that_was_cut_off_is_told_and_the_next_is_not_lost(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    written(folder, chains=1)
    index = ChainIndex(folder, KEY).path
    index.write_bytes(index.read_bytes()[:-10])
    assert [text.split(":")[0] for text in problems(folder)] == [
        "index.jsonl",
        next(chain_files(folder)).chain + ".head",
    ]
    written(folder, chains=1)
    assert len(problems(folder)) == 1


def aged(folder: Path, days: float) -> None:
    for file in chain_files(folder):
        os.utime(file.path, (time.time() - days * 86400,) * 2)


def test_old_files_are_removed_without_breaking_the_chain(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    written(folder, chains=1)
    going = written(folder, chains=1, ended=False)[0]
    before = [file.path.name for file in chain_files(folder)]
    assert remove_old_files(folder, KEY, 30 * 86400) == 0
    aged(folder, 31)
    kept = chain_files(folder, going.chain)
    newest = list(kept)[-1]
    assert remove_old_files(folder, KEY, 30 * 86400) == len(before) - 1
    assert list(chain_files(folder)) == [newest]
    assert verify(folder, KEY).findings == []
    going.add([b'{"eventName":"Last"}'])
    going.close()
    found = verify(folder, KEY)
    assert (found.findings, found.chains) == ([], 2)
    newest.path.unlink()
    assert problems(folder) == [f"{newest.path.name}: the file is missing"]


def test_only_files_that_are_delivered_and_as_they_were_written_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    written(folder, chains=1)
    aged(folder, 31)
    first, second, *_ = chain_files(folder)
    assert remove_old_files(folder, KEY, 30 * 86400, lambda file: file.number < 2) == 1
    assert not first.path.exists()
    content = second.path.read_bytes()
    second.path.write_bytes(content.replace(b"Event", b"Evens", 1))
    aged(folder, 31)
    assert remove_old_files(folder, KEY, 30 * 86400) == 0
    second.path.write_bytes(content)
    assert verify(folder, KEY).findings == []


class KeptBucket:
    """A bucket in memory that can be away."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.away = False

    def put(self, key: str, data: bytes) -> None:
        if self.away:
            raise BucketError("away")
        self.objects[key] = data

    def names(self) -> list[str]:
        return [
            record["eventName"]
            for key in sorted(self.objects)
            for record in json.loads(gzip.decompress(self.objects[key]))["Records"]
        ]


@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(["write", "deliver", "away", "back", "crash"]), max_size=12))
def test_each_record_is_delivered_whatever_happens_in_between(tmp_path: Path, steps: list[str]) -> None:
    folder = tmp_path / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    writer = ChainWriter(folder, KEY, "api", file_bytes=600, file_seconds=3600)
    bucket = KeptBucket()
    delivery = Delivery(folder, cast("Bucket", bucket), "p/", "000000000000", "us-east-1", object_bytes=90)
    count = 0
    for step in steps:
        if step == "write":
            for _ in range(5):
                writer.add([f'{{"eventName":"{count}"}}'.encode()])
                count += 1
            writer.sync()
        elif step == "crash":
            # The object is there, but it was not written down that it is.
            positions = (folder / "delivered.json").read_bytes() if (folder / "delivered.json").exists() else None
            bucket.away = False
            delivery.run()
            if positions is not None:
                (folder / "delivered.json").write_bytes(positions)
        else:
            bucket.away = step == "away" or (bucket.away and step == "deliver")
            with contextlib.suppress(BucketError):
                delivery.run()
    bucket.away = False
    writer.close()
    delivery.run()
    assert set(bucket.names()) == {str(number) for number in range(count)}
    if "crash" not in steps:
        assert len(bucket.names()) == count


@pytest.mark.parametrize("left", ["the first chain", "nothing", "another folder"])
def test_what_is_removed_together_with_the_index_is_told_by_the_database(tmp_path: Path, left: str) -> None:
    folder, database = tmp_path / FOLDER, open_embedded(tmp_path / "db", bytes(32))
    written(folder, chains=1)
    first = {path: path.read_bytes() for path in folder.iterdir()}
    written(folder, chains=1)
    anchor = make_anchor(ChainIndex(folder, KEY))
    assert anchor is not None
    write_anchor(database, anchor)
    anchors = read_anchors(database)
    database.close()
    assert anchors == [anchor]
    assert verify(folder, KEY, anchors).findings == []
    for path in folder.iterdir():
        path.unlink()
    if left == "the first chain":
        for path, content in first.items():
            path.write_bytes(content)
    elif left == "another folder":
        written(folder, chains=1)
    assert verify(folder, KEY).intact
    (found,) = verify(folder, KEY, anchors).findings
    assert found.problem
    assert "missing" in found.text
    if left == "another folder":
        assert verify(folder, KEY, anchors, only_folder=False).intact
