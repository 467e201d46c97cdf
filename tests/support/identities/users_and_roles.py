"""Users and roles of a running server, made as an administrator would, and their clients."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from sqlalchemy import delete, insert

from hounsfield.bootstrap.installation import open_database, open_keyring, open_repository
from hounsfield.iam.identities.access_keys import create_key, set_key_status
from hounsfield.iam.identities.attachments import set_boundary
from hounsfield.iam.identities.directory import Directory
from hounsfield.iam.identities.identities import create_role, create_user, delete_identity, get_identity, update_role
from hounsfield.iam.identities.records import IdentityKind, KeyStatus
from hounsfield.iam.identities.repository import Repository
from hounsfield.iam.sessions.sessions import SEALED_WITH, Sessions
from hounsfield.settings import load_settings
from hounsfield.storage.db.iam_tables import inline_policies
from hounsfield.storage.keys.installation_secrets import installation_secret
from support.servers import ServerProcess, wait_for

ACCOUNT = "000000000000"
_numbers = count()
Statement = Mapping[str, Any]


def policy(*statements: Statement) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: str | Sequence[str], resource: str | Sequence[str] = "*", **more: Any) -> Statement:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: str, resource: str = "*") -> Statement:
    return {"Effect": "Deny", "Action": action, "Resource": resource}


def trust(principal: Mapping[str, Any], action: str | Sequence[str] = "sts:AssumeRole", **more: Any) -> Statement:
    return {"Effect": "Allow", "Principal": principal, "Action": action, **more}


def role_arn(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


def user_arn(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:user/{name}"


class UsersAndRoles:
    """Users and roles of a server."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        settings = load_settings({**server.environment, "HOUNSFIELD_DATA": str(server.data)})
        keyring = open_keyring(settings)
        self.database = open_database(settings, keyring)
        self.repository: Repository = open_repository(settings, self.database, keyring)
        self.secret = installation_secret(self.database, keyring, SEALED_WITH)
        self._asking: dict[tuple[str, ...], Any] = {}

    def close(self) -> None:
        self.database.close()

    def sessions(self, clock: Any) -> Sessions:
        """Return what makes tokens as the server does, with another clock."""
        return Sessions(self.secret, Directory(self.repository), clock)

    def role(self, name: str, trusted: Statement, *statements: Statement, **more: Any) -> str:
        create_role(self.repository, name, policy(trusted), **more)
        self.let_role(name, *statements)
        return role_arn(name)

    def user(self, name: str, *statements: Statement, tags: Mapping[str, str] | None = None) -> tuple[str, str]:
        """Make a user, and return a key that the server knows already."""
        create_user(self.repository, name, dict(tags or {}))
        self.let_user(name, *statements)
        made = create_key(self.repository, name)
        key = (made.record.id, made.secret)
        wait_for(lambda: self.knows(key), "the server to know the key")
        return key

    def some_user(self, *statements: Statement) -> tuple[str, str]:
        """Make a user with a name of its own."""
        return self.user(f"user-{next(_numbers)}", *statements)

    def let_user(self, name: str, *statements: Statement) -> None:
        """Put the inline policy of a user in the place of the one it has."""
        self._let(IdentityKind.USER, name, *statements)

    def let_role(self, name: str, *statements: Statement) -> None:
        """Put the inline policy of a role in the place of the one it has."""
        self._let(IdentityKind.ROLE, name, *statements)

    def bound(self, name: str, policy_arn: str) -> None:
        """Put a permissions boundary on a user."""
        set_boundary(self.repository, IdentityKind.USER, name, policy_arn)

    def disable(self, key: tuple[str, str]) -> None:
        """Disable an access key."""
        set_key_status(self.repository, key[0], KeyStatus.INACTIVE)

    def _let(self, kind: IdentityKind, name: str, *statements: Statement) -> None:
        identity = get_identity(self.repository, kind, name)
        with self.repository.change() as connection:
            connection.execute(delete(inline_policies).where(inline_policies.c.identity_id == identity.id))
            if statements:
                row = {"identity_id": identity.id, "name": "own", "document": policy(*statements)}
                connection.execute(insert(inline_policies).values(row))

    def trust(self, name: str, statement: Statement) -> None:
        update_role(self.repository, name, trust=policy(statement))

    def remove_role(self, name: str) -> None:
        delete_identity(self.repository, IdentityKind.ROLE, name, force=True)

    def knows(self, key: tuple[str, ...]) -> bool:
        if key not in self._asking:
            self._asking[key] = self.client("sts", key)
        try:
            self._asking[key].get_caller_identity()
        except ClientError as error:
            if error.response["Error"]["Code"] != "InvalidClientTokenId":
                raise
            return False
        return True

    def client(self, service: str, key: Sequence[str] | Mapping[str, str] = ()) -> Any:
        """Return a client with a key, with the Credentials of an answer, or with the root key."""
        return client_of(self.server, service, key)


def client_of(server: ServerProcess, service: str, key: Sequence[str] | Mapping[str, str] = ()) -> Any:
    if isinstance(key, Mapping):
        key = (key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"])
    key_id, secret, token = (*(key or server.key()), None)[:3]
    return boto3.client(
        service,
        region_name="us-east-1",
        endpoint_url=server.url,
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=Config(inject_host_prefix=False, retries={"max_attempts": 0}),
    )


def refusal(call: Any, **parameters: Any) -> tuple[str, int, str]:
    """Return code, status and message of the error that a call ends with."""
    try:
        call(**parameters)
    except ClientError as error:
        found = error.response["Error"]
        return found["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"], found["Message"]
    raise AssertionError("the call was not refused")
