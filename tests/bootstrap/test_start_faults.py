"""What cannot be opened is said in one sentence, with what to do, by the server and every command, and not tried for ever."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import text

from hounsfield.bootstrap.image_store import open_image_store
from hounsfield.iam.root_credentials import credentials_file, root_key
from hounsfield.settings import Settings
from support.faults.standard_error import FAULTS as FAULTS_OF_OUTPUT
from support.faults.unprivileged_user import as_any_user
from support.files.synthetic import save, slice_of
from support.programs import environment_of_programs, hounsfield
from support.servers import free_port

SERVERS = ("serve", "api", "runner", "import", "demo")
COMMANDS = (
    "user list",
    "role list",
    "policy list",
    "access-key list",
    "master-key list",
    "master-key export copy",
    "audit verify",
    "verify",
)
ALL = (*SERVERS, *COMMANDS)
SERVING = ("serve", "api", "demo")
OPENING = ("serve", "api", "runner", "import", "demo")


@dataclass(frozen=True)
class Fault:
    """Something that is wrong with an installation.

    Attributes
    ----------
    words : str
        What must be said of it; a pattern.
    make : callable
        Makes it, in a data folder that was in order.
    environment : Mapping
        Settings that are a part of it.
    commands : tuple of str
        Whom it keeps from working.
    prepare : callable or None
        What the process does before it becomes the command.
    """

    words: str
    make: Callable[[Path], object] = lambda _: None
    environment: Mapping[str, str] = field(default_factory=dict)
    commands: tuple[str, ...] = ALL
    prepare: Callable[[], None] | None = None


def _master(content: bytes | None) -> Callable[[Path], object]:
    return _file("keys/master.json", content)


def _file(name: str, content: bytes | None) -> Callable[[Path], object]:
    """Return what puts something in the place of a file; None for nothing."""

    def make(data: Path) -> None:
        if (data / name).is_dir():
            shutil.rmtree(data / name)
        else:
            (data / name).unlink(missing_ok=True)
        if content is not None:
            (data / name).write_bytes(content)

    return make


def _folder(name: str) -> Callable[[Path], object]:
    def make(data: Path) -> None:
        _file(name, None)(data)
        (data / name).mkdir()

    return make


def _mode(name: str, mode: int) -> Callable[[Path], object]:
    return lambda data: (data / name).chmod(mode)


def _read_only(data: Path) -> None:
    for path in (*data.rglob("*"), data):
        path.chmod(path.stat().st_mode & ~0o222)


def _half(name: str) -> Callable[[Path], object]:
    def make(data: Path) -> None:
        content = (data / name).read_bytes()
        (data / name).write_bytes(content[: len(content) // 2])

    return make


def _of_another(name: str) -> Callable[[Path], object]:
    def make(data: Path) -> None:
        shutil.copy(data.parent / "another" / name, data / name)

    return make


def _newer(data: Path) -> None:
    image_store, _ = open_image_store(Settings(data=data))
    with image_store.database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        connection.execute(
            text("INSERT INTO schema_upgrades (revision, version, upgraded_at) VALUES ('9999', '12.3', 0)")
        )
    image_store.database.close()


def _many_packs(data: Path) -> list[Path]:
    packs = [path for path in (data / "blobs" / "packs").rglob("*") if path.is_file()]
    assert len(packs) > 2
    return packs


def _without_packs(data: Path) -> None:
    for pack in _many_packs(data):
        pack.unlink()


def _packs_cut_short(data: Path) -> None:
    for pack in _many_packs(data):
        os.truncate(pack, 100)


def _blobs_of_another(data: Path) -> None:
    shutil.rmtree(data / "blobs")
    shutil.copytree(data.parent / "another" / "blobs", data / "blobs")


def _without_log(data: Path) -> None:
    """Leave the database as it was before the import, as a copy has it whose log was not copied."""
    for name in ("hounsfield.db-wal", "hounsfield.db-shm"):
        (data / name).unlink(missing_ok=True)
    shutil.copy(data.parent / "before" / "hounsfield.db", data)


def _of_another_user(data: Path) -> None:
    for path in (data, *data.rglob("*")):
        os.chown(path, 10_001, 10_001)


def _no_room() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _gone(data: Path) -> None:
    shutil.rmtree(data)


KEY = r"keys/master\.json cannot be used, it is damaged; put back the copy"
FAULTS: dict[str, Fault] = {
    "master key that is no JSON": Fault(KEY, _master(b"\x00garbage")),
    "master key cut short": Fault(KEY, _half("keys/master.json")),
    "master key that is a folder": Fault(
        r"master\.json cannot be used, it cannot be read: Is a directory", _folder("keys/master.json")
    ),
    "master key that may not be read": Fault(
        r"master\.json cannot be used, it cannot be read: Permission denied",
        _mode("keys/master.json", 0),
        prepare=as_any_user,
    ),
    "master key of another installation": Fault(
        r"master\.json is not the master key of this database.*put back", _of_another("keys/master.json")
    ),
    "no master key": Fault(
        r"keys/master\.json is missing, and .*database\.key cannot be read without it.*master-key import",
        _master(None),
        commands=OPENING,
    ),
    "no master key, for commands": Fault(
        r"keys/master\.json is missing, and .*database\.key cannot be read without it.*master-key import",
        _master(None),
        commands=COMMANDS,
    ),
    "no keys, for commands": Fault(
        r"keys/master\.json is missing, and .*hounsfield\.db cannot be read without it.*master-key import",
        _file("keys", None),
        commands=COMMANDS,
    ),
    "no keys and no database, but packs": Fault(
        r"master\.json is missing, and the packs in .*blobs cannot be read without it",
        lambda data: [_file(name, None)(data) for name in ("keys", "hounsfield.db")],
        commands=OPENING,
    ),
    "database that is garbage": Fault(
        r"hounsfield\.db does not open with .*database\.key: .*put back copies of both",
        _file("hounsfield.db", b"x" * 8192),
    ),
    "database of another installation": Fault(
        r"hounsfield\.db does not open with .*database\.key", _of_another("hounsfield.db")
    ),
    "database that is a folder": Fault(
        r"hounsfield\.db cannot be used: unable to open database file", _folder("hounsfield.db")
    ),
    "database of a newer version": Fault(
        r"the database is of a newer Hounsfield than this \(version 12\.3 made it, its schema is 9999, this one knows \d{4}\)",
        _newer,
    ),
    "keys of another installation": Fault(
        r"hounsfield\.db does not open with .*database\.key: .*put back copies of both that were made together",
        lambda data: [_of_another(f"keys/{name}")(data) for name in ("master.json", "database.key")],
    ),
    "database and its key of another installation": Fault(
        r"master\.json is not the master key of this database",
        lambda data: [_of_another(name)(data) for name in ("hounsfield.db", "keys/database.key")],
    ),
    "database and all keys of another installation": Fault(
        r"blobs cannot be the place of the packs: installation\.json there names the installation",
        lambda data: [_of_another(name)(data) for name in ("hounsfield.db", "keys/master.json", "keys/database.key")],
        commands=(*OPENING, "verify"),
    ),
    "packs of another installation": Fault(
        r"blobs cannot be the place of the packs: installation\.json there names the installation",
        _blobs_of_another,
        commands=("verify", *OPENING),
    ),
    "packs that were not copied": Fault(
        r"(\d+) of \1 packs that were looked for are missing or cut short in .*blobs: the copy of it is not whole",
        _without_packs,
        commands=("serve", "api", "runner", "import"),
    ),
    "packs that were copied halfway": Fault(
        r"(\d+) of \1 packs that were looked for are missing or cut short in .*blobs: the copy of it is not whole",
        _packs_cut_short,
        commands=("runner", "serve", "api", "import"),
    ),
    "database without its write-ahead log": Fault(
        r"the database is older than the journal beside the packs in .*blobs: \d+ changes that were answered are missing",
        _without_log,
        commands=("serve", "api", "runner", "import"),
    ),
    "folder of another user": Fault(
        r"master\.json belongs to the user 10001, .*run this as 10001, .*chown -R", _of_another_user
    ),
    "no database, but packs": Fault(
        r"hounsfield\.db is missing, but the packs in .* are those of an installation; put it back",
        _file("hounsfield.db", None),
        commands=OPENING,
    ),
    "empty database, but packs": Fault(
        r"hounsfield\.db is missing, but the packs in", _file("hounsfield.db", b""), commands=OPENING
    ),
    "database that may not be written": Fault(
        r"hounsfield\.db cannot be used: (unable to open database file|attempt to write a readonly database)",
        _mode("hounsfield.db", 0),
        prepare=as_any_user,
    ),
    "database key that is garbage": Fault(r"database\.key is damaged", _file("keys/database.key", b"x")),
    "no database key": Fault(
        r"keys/database\.key is missing, and nothing else opens .*put it back", _file("keys/database.key", None)
    ),
    "credentials that are garbage": Fault(
        r"credentials has no key pair in its profile default; put its copy back",
        _file("credentials", b"\xff\x00"),
        commands=("serve", "api", "import", "demo"),
    ),
    "credentials without a key": Fault(
        r"credentials has no key pair",
        _file("credentials", b"[default]\n"),
        commands=("serve", "api", "import", "demo"),
    ),
    "credentials that may not be read": Fault(
        r"credentials cannot be read: Permission denied",
        _mode("credentials", 0),
        commands=("serve", "api", "import", "demo"),
        prepare=as_any_user,
    ),
    "data folder that may not be written": Fault(
        r"(cannot be used|cannot be written to .*audit): (Permission denied|unable to open database file|attempt to write)",
        _read_only,
        prepare=as_any_user,
        commands=("serve", "api", "runner", "import", "demo", "master-key export copy", "user list"),
    ),
    "full disk": Fault(r"cannot be used: .*room", _gone, commands=OPENING, prepare=_no_room),
    "audit trail that is a file": Fault(
        r"the audit trail cannot be written to .*audit: .*room",
        _file("audit", b""),
        commands=(*OPENING, "master-key export copy"),
    ),
    "PostgreSQL that cannot be reached": Fault(
        r"the database none on 127\.0\.0\.1 of HOUNSFIELD_DATABASE_URL cannot be used: .*refused.*; see that it runs",
        environment={"HOUNSFIELD_DATABASE_URL": "postgresql://u:hidden@127.0.0.1:9/none"},
    ),
    "place of packs that is none": Fault(
        r"HOUNSFIELD_BLOBS_URL is 'nonsense://packs', which cannot be a place of packs",
        environment={"HOUNSFIELD_BLOBS_URL": "nonsense://packs"},
        commands=(*OPENING, "master-key list", "master-key export copy"),
    ),
    "place of packs that is another": Fault(
        r"cannot be the place of the packs: installation\.json is not there",
        lambda data: shutil.rmtree(data / "blobs"),
        commands=OPENING,
    ),
    "TLS files that are not there": Fault(
        r"the TLS files /none/c\.pem, /none/k\.pem cannot be used: .*No such file",
        environment={"HOUNSFIELD_TLS_CERTIFICATE": "/none/c.pem", "HOUNSFIELD_TLS_KEY": "/none/k.pem"},
        commands=SERVING,
    ),
}
"""What can be wrong, by its name."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data folders of two installations in order."""
    folder = tmp_path_factory.mktemp("whole")
    for name in ("data", "another"):
        image_store, _ = open_image_store(Settings(data=folder / name))
        image_store.database.close()
        root_key(credentials_file(folder / name))
        (folder / name / "audit").mkdir()
    shutil.copytree(folder / "data", folder / "before")
    for number in range(3):
        save(slice_of(series=number + 1), folder / "files" / f"{number}.dcm")
    done = hounsfield("import", "--data", str(folder / "data"), str(folder / "files"))
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def data(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    return tmp_path / "data"


def _words(command: str, data: Path) -> list[str]:
    more = {
        "serve": ["--port", str(free_port())],
        "api": ["--port", str(free_port())],
        "import": [__file__],
        "demo": ["--stop"],
        "master-key export copy": ["--passphrase-file", str(data.parent / "passphrase")],
    }
    words = command.split()
    if words[-1] == "copy":
        (data.parent / "passphrase").write_text("a passphrase of some words\n")
        words[-1] = str(data.parent / "copy")
    return [*words, "--data", str(data), *more.get(command, [])]


def _run(command: str, data: Path, fault: Fault) -> subprocess.CompletedProcess[str]:
    words = _words(command, data)
    if fault.prepare is None:
        return hounsfield(*words, environment=fault.environment)
    return subprocess.run(
        [sys.executable, "-m", "hounsfield", *words],
        env={**environment_of_programs(), **fault.environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=fault.prepare,
    )


def _contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return every file of a folder but locks, and what shows that a process has the database open."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith((".lock", ".use", "-shm", "-wal"))
    }


def _check(done: subprocess.CompletedProcess[str], words: str, code: int = 1) -> None:
    said = done.stderr
    lines = [line for line in said.splitlines() if not line.startswith("{")]
    assert done.returncode == code, said
    assert len(lines) == 1, said
    assert re.match(r"Error: .*" + words, lines[0], re.DOTALL), said
    assert "hidden" not in said + done.stdout
    logged = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert [entry for entry in logged if "exception" in entry] == []


def _code(command: str) -> int:
    """Return the exit code of a command that is refused."""
    return 3 if command == "verify" else 1


OF_TWO_KINDS = ("database and its key of another installation", "packs that were copied halfway")
"""Faults that are met as another one is."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in OF_TWO_KINDS else ()) for name in FAULTS]
)
def test_what_is_wrong_is_said_in_one_sentence(name: str, data: Path) -> None:
    """By one of those that it keeps from working, another for each fault; by all of them in the slow test."""
    fault = FAULTS[name]
    fault.make(data)
    command = fault.commands[list(FAULTS).index(name) % len(fault.commands)]
    before = _contents(data)
    _check(_run(command, data, fault), fault.words, _code(command))
    assert _contents(data) == before


@pytest.mark.slow
@pytest.mark.parametrize("command", ALL)
@pytest.mark.parametrize("name", FAULTS)
def test_every_command_says_what_is_wrong(name: str, command: str, data: Path) -> None:
    fault = FAULTS[name]
    if command not in fault.commands:
        pytest.skip("it does not need what is wrong")
    fault.make(data)
    before = _contents(data)
    _check(_run(command, data, fault), fault.words, _code(command))
    assert _contents(data) == before


@pytest.mark.parametrize("command", ["serve", "api"])
def test_a_port_that_another_process_has_is_told(data: Path, command: str) -> None:
    with closing(socket.create_server(("127.0.0.1", free_port()))) as taken:
        port = taken.getsockname()[1]
        done = hounsfield(command, "--data", str(data), "--port", str(port))
        _check(done, rf"127\.0\.0\.1 port {port} cannot be listened on: another process listens there; stop it")


def test_nothing_new_is_made_where_something_is_missing(data: Path) -> None:
    """No new master key, and no new database, may be left where the old ones are missing."""
    shutil.rmtree(data / "keys")
    _check(_run("runner", data, FAULTS["no master key"]), r"keys/master\.json is missing, and .*hounsfield\.db cannot")
    assert not (data / "keys").exists()


def test_a_setting_that_cannot_be_is_another_code(tmp_path: Path) -> None:
    for variable, value, words in (
        ("HOUNSFIELD_LOG_LEVEL", "loud", "must be one of debug, info, warning, error"),
        ("HOUNSFIELD_CONFIG", "/none.toml", "cannot be read: No such file"),
        ("HOUNSFIELD_DATABASE_URL", "mysql://u:hidden@h/n", "must be the URL of a PostgreSQL database"),
    ):
        done = _run("runner", tmp_path / "data", Fault("", environment={variable: value}))
        said = done.stderr
        assert done.returncode == 2, said
        assert said.count("\n") == 1
        assert words in said
        assert "hidden" not in said


@pytest.mark.parametrize(
    "words", ["policy list", "policy list --json", "master-key list", "audit tail -n 100000 --json"]
)
def test_a_command_ends_quietly_when_nobody_reads_on(data: Path, words: str) -> None:
    """As before `| head`: without a word where the reader has gone, and with one where a disk is full."""
    for _ in range(3):
        made = hounsfield("master-key", "prepare", "--data", str(data))
        assert made.returncode == 0, made.stderr
    for name, said in (("closed pipe", ""), ("full disk", "No space left on device")):
        with FAULTS_OF_OUTPUT[name]() as output:
            done = hounsfield(*words.split(), "--data", str(data), stdout=output)
        assert done.returncode == 1
        assert said in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stderr.count("\n") == (1 if said else 0), done.stderr
