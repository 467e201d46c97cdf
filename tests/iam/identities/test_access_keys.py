"""Users of a running server: their keys are let in, and refused within moments once they are disabled, expired or deleted."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from hounsfield.iam.identities.access_keys import (
    NewKey,
    create_key,
    delete_key,
    list_keys,
    set_key_expiry,
    set_key_status,
)
from hounsfield.iam.identities.identities import create_user, delete_identity
from hounsfield.iam.identities.records import IdentityKind, KeyStatus
from hounsfield.iam.identities.repository import Repository
from support.identities.users import refusal, repository_of
from support.server_files import kept_files
from support.servers import ServerProcess, wait_for

INVALID = ("UnrecognizedClientException", "The security token included in the request is invalid.")


@pytest.fixture(scope="module")
def repository(server: ServerProcess) -> Iterator[Repository]:
    with repository_of(server) as found:
        yield found


def known_key(server: ServerProcess, repository: Repository, user: str) -> NewKey:
    """A key of a new user that the server has noticed."""
    create_user(repository, user)
    key = create_key(repository, user)
    client = server.client(key=(key.record.id, key.secret))
    wait_for(lambda: refusal(client) != INVALID, "the server to notice the key")
    return key


def refused(server: ServerProcess, key: NewKey) -> None:
    client = server.client(key=(key.record.id, key.secret))
    wait_for(lambda: refusal(client) == INVALID, "the key to be refused")


def test_a_user_without_policies_is_known_and_may_do_nothing(server: ServerProcess, repository: Repository) -> None:
    key = known_key(server, repository, "nobody-yet")
    code, message = refusal(server.client(key=(key.record.id, key.secret)))
    assert code == "AccessDeniedException"
    assert message.startswith(
        "User: arn:aws:iam::000000000000:user/nobody-yet is not authorized to perform: medical-imaging:ListDatastores"
    )


def test_a_wrong_secret_of_a_known_key_is_a_wrong_signature(server: ServerProcess, repository: Repository) -> None:
    key = known_key(server, repository, "mistyped")
    code, _ = refusal(server.client(key=(key.record.id, "x" * 40)))
    assert code == "InvalidSignatureException"
    set_key_status(repository, key.record.id, KeyStatus.INACTIVE)
    refused(server, key)
    # Nobody learns whether a disabled key's secret was right.
    assert refusal(server.client(key=(key.record.id, "x" * 40))) == INVALID


def test_a_disabled_key_is_refused_and_let_in_again(server: ServerProcess, repository: Repository) -> None:
    key = known_key(server, repository, "on-leave")
    set_key_status(repository, key.record.id, KeyStatus.INACTIVE)
    refused(server, key)
    set_key_status(repository, key.record.id, KeyStatus.ACTIVE)
    client = server.client(key=(key.record.id, key.secret))
    wait_for(lambda: refusal(client) != INVALID, "the key to be let in again")


def test_a_deleted_key_and_a_deleted_user_are_refused(server: ServerProcess, repository: Repository) -> None:
    first = known_key(server, repository, "leaver")
    second = create_key(repository, "leaver")
    delete_key(repository, first.record.id)
    refused(server, first)
    delete_identity(repository, IdentityKind.USER, "leaver", force=True)
    refused(server, second)


def test_a_key_expires_by_itself(server: ServerProcess, repository: Repository) -> None:
    key = known_key(server, repository, "locum")
    set_key_expiry(repository, key.record.id, datetime.now(UTC) + timedelta(milliseconds=1500))
    refused(server, key)


def test_the_last_use_is_written_down(server: ServerProcess, repository: Repository) -> None:
    key = known_key(server, repository, "regular")
    (used,) = wait_for(
        lambda: [entry for entry in list_keys(repository, "regular") if entry.last_used_at], "the use to be written"
    )
    assert used.id == key.record.id
    assert timedelta(0) <= datetime.now(UTC) - used.last_used_at < timedelta(minutes=2)


def test_secrets_are_in_no_file_and_no_log(server: ServerProcess, repository: Repository) -> None:
    key = known_key(server, repository, "secretive")
    with pytest.raises(sqlite3.DatabaseError):
        sqlite3.connect(server.data / "hounsfield.db").execute("SELECT * FROM access_keys")
    files = kept_files(server.data)
    assert server.data / "hounsfield.db" in files
    assert not any(key.secret.encode() in content for content in files.values())
    assert key.secret not in server.log_text()
    with repository.database.read() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM access_keys").all()
    assert key.secret.encode() not in repr(rows).encode()
