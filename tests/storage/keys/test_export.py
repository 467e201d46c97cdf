"""Exported master keys: what goes out comes in, with the passphrase alone, and nothing of it can be changed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hounsfield.bootstrap.image_store import open_image_store
from hounsfield.cli.main import cli
from hounsfield.settings import Settings
from hounsfield.storage.keys.key_export import ExportError, export_keys, import_keys
from hounsfield.storage.keys.master_keys import KeyringContent, KeyringError, LocalKeyring, MasterKey

PASSPHRASE = "correct horse battery staple"
OLD, NEW = MasterKey(b"1" * 8, b"a" * 32), MasterKey(b"2" * 8, b"b" * 32, datetime(2026, 1, 1, tzinfo=UTC))
CONTENT = KeyringContent({OLD.id: OLD, NEW.id: NEW}, NEW.id, NEW.made_at)


@pytest.fixture(scope="module")
def exported() -> bytes:
    return export_keys(CONTENT, PASSPHRASE)


def test_what_goes_out_comes_in(exported: bytes) -> None:
    found = import_keys(exported, PASSPHRASE)
    assert (dict(found.keys), found.current, found.since) == (dict(CONTENT.keys), CONTENT.current, CONTENT.since)
    document = json.loads(exported)
    assert (document["kdf"]["name"], document["kdf"]["n"]) == ("scrypt", 2**17)
    assert exported != export_keys(CONTENT, PASSPHRASE)


def test_another_passphrase_opens_nothing(exported: bytes) -> None:
    with pytest.raises(ExportError, match="the passphrase is another one, or the file was changed"):
        import_keys(exported, PASSPHRASE + " ")


def test_a_short_passphrase_is_refused() -> None:
    with pytest.raises(ExportError, match="at least 12 characters"):
        export_keys(CONTENT, "short")


def _effort(**other: object) -> dict[str, object]:
    return {"kdf": {"name": "scrypt", "n": 2**14, "r": 8, "p": 1, "salt": "AAAA", **other}}


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": "AAAAAAAAAAAAAAAA"},
        {"nonce": "AA=="},
        {"sealed": "AAAA"},
        {"sealed": "not base64!"},
        {"format": "something else"},
        {"version": 2},
        {"version": "1"},
        {"kdf": None},
        _effort(),
        _effort(n=2**40),
        _effort(n=3),
        _effort(n="x"),
        _effort(n=1e300),
        _effort(r=-8),
        _effort(p=10**9),
        _effort(salt=1),
        # Numbers of scrypt that OpenSSL does not take together, or has not the memory for.
        _effort(n=2**16, r=1),
        _effort(n=2, r=2**22, p=16),
    ],
)
def test_what_was_changed_is_refused(exported: bytes, change: dict[str, object]) -> None:
    with pytest.raises(ExportError):
        import_keys(json.dumps(json.loads(exported) | change).encode(), PASSPHRASE)


def test_another_function_is_told(exported: bytes) -> None:
    document = json.loads(exported)
    document["kdf"]["name"] = "argon2id"
    with pytest.raises(ExportError, match="another function than scrypt"):
        import_keys(json.dumps(document).encode(), PASSPHRASE)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b"1", b'"x"', b"\xff\xfe", b"[" * 100_000])
def test_anything_else_is_no_export(content: bytes) -> None:
    with pytest.raises(ExportError, match="no export"):
        import_keys(content, PASSPHRASE)


@pytest.mark.parametrize("content", [
    b"", b"{}", b"[1]", b'{"keys": []}', b'{"keys": 1}', b'{"keys": [{"id": "00", "key": "AA=="}]}', b"[" * 100_000,
    b'{"keys": [{"id": "0102030405060708", "key": "AA=="}]}', b'{"keys": [{"id": 1, "key": 2}]}',
    CONTENT.text().replace(b'"current": "32', b'"current": "33'), CONTENT.text()[:100],
])  # fmt: skip
def test_a_keyring_that_is_damaged_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "master.json").write_bytes(content)
    with pytest.raises(KeyringError, match="it is damaged"):
        LocalKeyring(tmp_path / "master.json")


def _keys(data: Path, *words: str, given: str = "") -> Result:
    return CliRunner().invoke(cli, ["master-key", words[0], "--data", str(data), *words[1:]], input=given)


def test_the_commands_carry_the_keys_to_another_folder(tmp_path: Path) -> None:
    data, file, passphrase = tmp_path / "data", tmp_path / "copy.json", tmp_path / "passphrase"
    image_store, _ = open_image_store(Settings(data=data))
    image_store.database.close()
    passphrase.write_text(f"{PASSPHRASE}\n")
    made = _keys(data, "export", str(file), "--passphrase-file", str(passphrase))
    assert (made.exit_code, made.stdout[: len(str(file))]) == (0, str(file)), made.output
    assert file.stat().st_mode & 0o777 == 0o600
    before = file.read_bytes()
    for secret in json.loads((data / "keys" / "master.json").read_text())["keys"]:
        assert secret["key"].encode() not in before
    again = _keys(data, "export", str(file), "--passphrase-file", str(passphrase))
    assert (again.exit_code, file.read_bytes()) == (1, before)
    assert "is there already" in again.stderr
    asked = _keys(data, "export", str(tmp_path / "asked.json"), given=f"{PASSPHRASE}\n{PASSPHRASE}\n")
    assert asked.exit_code == 0, asked.output
    assert PASSPHRASE not in asked.output
    assert any("ExportKeys" in path.read_text() for path in (data / "audit").glob("*.jsonl"))

    master = data / "keys" / "master.json"
    kept = master.read_bytes()
    # The same keys may come in again; others are left as they are.
    assert _keys(data, "import", str(file), "--passphrase-file", str(passphrase)).exit_code == 0
    other = tmp_path / "other"
    LocalKeyring(other / "keys" / "master.json")
    refused = _keys(other, "import", str(file), "--passphrase-file", str(passphrase))
    assert (refused.exit_code, "holds other keys, which are left as they are" in refused.stderr) == (1, True)
    master.unlink()
    wrong = _keys(data, "import", str(file), given="another passphrase\n")
    assert wrong.exit_code == 1
    assert "cannot be imported: the passphrase is another one, or the file was changed" in wrong.stderr
    assert not master.exists()
    assert _keys(data, "import", str(file), given=f"{PASSPHRASE}\n").exit_code == 0
    assert (master.read_bytes(), master.stat().st_mode & 0o777) == (kept, 0o600)
    image_store, _ = open_image_store(Settings(data=data))
    image_store.database.close()


def test_a_passphrase_is_the_same_with_the_byte_order_mark_of_an_editor(tmp_path: Path) -> None:
    data, file, passphrase = tmp_path / "data", tmp_path / "copy.json", tmp_path / "passphrase"
    image_store, _ = open_image_store(Settings(data=data))
    image_store.database.close()
    passphrase.write_bytes(b"\xef\xbb\xbf" + f"{PASSPHRASE}\r\n".encode())
    assert _keys(data, "export", str(file), "--passphrase-file", str(passphrase)).exit_code == 0
    assert _keys(tmp_path / "new", "import", str(file), given=f"{PASSPHRASE}\n").exit_code == 0


@pytest.mark.parametrize("command", ["export", "import"])
def test_a_passphrase_that_is_no_text_is_refused_and_not_shown(command: str, exported: bytes, tmp_path: Path) -> None:
    file, passphrase = tmp_path / "copy.json", tmp_path / "passphrase"
    passphrase.write_bytes(b"secret\xf5words that are long enough\n")
    if command == "import":
        file.write_bytes(exported)
    refused = _keys(tmp_path / "data", command, str(file), "--passphrase-file", str(passphrase))
    assert "is no text in UTF-8" in refused.stderr, refused.output
    assert isinstance(refused.exception, SystemExit)
    assert "secret" not in refused.output
    assert "f5" not in refused.output


def test_an_import_says_that_a_damaged_file_is_in_its_way(exported: bytes, tmp_path: Path) -> None:
    file, master = tmp_path / "copy.json", tmp_path / "data" / "keys" / "master.json"
    file.write_bytes(exported)
    master.parent.mkdir(parents=True)
    master.write_bytes(b"null")
    refused = _keys(tmp_path / "data", "import", str(file), given=f"{PASSPHRASE}\n")
    assert (refused.exit_code, master.read_bytes()) == (1, b"null")
    assert f"{master} is in the way, it is damaged; move it away first" in refused.stderr
    assert "keys import" not in refused.stderr
