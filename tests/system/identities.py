"""Users of a running server, made in its database from outside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from hounsfield.access.directory.repository import Repository
from hounsfield.app import open_database, open_keyring, open_repository
from hounsfield.settings import Settings
from servers import ServerProcess


@contextmanager
def repository_of(server: ServerProcess) -> Iterator[Repository]:
    """The users and roles of a server, opened beside it."""
    settings = Settings(data=server.data, database_url=server.environment.get("HOUNSFIELD_DATABASE_URL", ""))
    keyring = open_keyring(settings)
    database = open_database(settings, keyring)
    yield open_repository(settings, database, keyring)
    database.close()


def client_with(server: ServerProcess, key_id: str, secret: str) -> Any:
    """A client that signs with a key of its own."""
    return boto3.client(
        "medical-imaging",
        region_name="us-east-1",
        endpoint_url=server.url,
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        config=Config(inject_host_prefix=False, retries={"max_attempts": 0}),
    )


def refusal(client: Any) -> tuple[str, str] | None:
    """Code and message of the error that ListDatastores answers with; None when it answers."""
    try:
        client.list_datastores()
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    return None
