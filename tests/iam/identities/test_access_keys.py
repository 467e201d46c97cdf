"""Users of a running server: their keys are let in, and refused within moments once they are disabled, expired or deleted."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support.identities.users import answer, refusal, repository_of
from support.server_files import kept_files
from support.servers import ServerProcess, wait_for

INVALID = ("UnrecognizedClientException", "The security token included in the request is invalid.")
Key = tuple[str, str]


def created_key(server: ServerProcess, user: str) -> Key:
    made = answer(server, "access-key", "create", user)
    return made["access_key_id"], made["secret_access_key"]


def known_key(server: ServerProcess, user: str) -> Key:
    """Return a key of a new user that the server has noticed."""
    answer(server, "user", "create", user)
    key = created_key(server, user)
    client = server.client(key=key)
    wait_for(lambda: refusal(client) != INVALID, "the server to notice the key")
    return key


def refused(server: ServerProcess, key: Key) -> None:
    client = server.client(key=key)
    wait_for(lambda: refusal(client) == INVALID, "the key to be refused")


def test_a_user_without_policies_is_known_and_may_do_nothing(server: ServerProcess) -> None:
    code, message = refusal(server.client(key=known_key(server, "nobody-yet"))) or ("", "")
    assert code == "AccessDeniedException"
    assert message.startswith(
        "User: arn:aws:iam::000000000000:user/nobody-yet is not authorized to perform: medical-imaging:ListDatastores"
    )


def test_a_wrong_secret_of_a_known_key_is_a_wrong_signature(server: ServerProcess) -> None:
    key = known_key(server, "mistyped")
    mistyped = server.client(key=(key[0], "x" * 40))
    code, _ = refusal(mistyped) or ("", "")
    assert code == "InvalidSignatureException"
    answer(server, "access-key", "disable", key[0])
    refused(server, key)
    # Nobody learns whether a disabled key's secret was right.
    assert refusal(mistyped) == INVALID


def test_a_disabled_key_is_refused_and_let_in_again(server: ServerProcess) -> None:
    key = known_key(server, "on-leave")
    answer(server, "access-key", "disable", key[0])
    refused(server, key)
    answer(server, "access-key", "enable", key[0])
    client = server.client(key=key)
    wait_for(lambda: refusal(client) != INVALID, "the key to be let in again")


def test_a_deleted_key_and_a_deleted_user_are_refused(server: ServerProcess) -> None:
    first, second = known_key(server, "leaver"), created_key(server, "leaver")
    answer(server, "access-key", "delete", first[0])
    refused(server, first)
    answer(server, "user", "delete", "leaver", "--force")
    refused(server, second)


def test_a_key_expires_by_itself(server: ServerProcess) -> None:
    key = known_key(server, "locum")
    answer(server, "access-key", "expire", key[0], (datetime.now(UTC) + timedelta(milliseconds=1500)).isoformat())
    refused(server, key)


def test_the_last_use_is_written_down(server: ServerProcess) -> None:
    identifier, _ = known_key(server, "regular")

    def used() -> list[Any]:
        return [entry for entry in answer(server, "access-key", "list", "--user", "regular") if entry["last_used_at"]]

    (entry,) = wait_for(used, "the use to be written")
    assert entry["access_key_id"] == identifier
    assert timedelta(0) <= datetime.now(UTC) - datetime.fromisoformat(entry["last_used_at"]) < timedelta(minutes=2)


def test_secrets_are_in_no_file_and_no_log(server: ServerProcess) -> None:
    _, secret = known_key(server, "secretive")
    with pytest.raises(sqlite3.DatabaseError):
        sqlite3.connect(server.data / "hounsfield.db").execute("SELECT * FROM access_keys")
    files = kept_files(server.data)
    assert server.data / "hounsfield.db" in files
    assert not any(secret.encode() in content for content in files.values())
    assert secret not in server.log_text()
    with repository_of(server) as repository, repository.database.read() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM access_keys").all()
    assert secret.encode() not in repr(rows).encode()
