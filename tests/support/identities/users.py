"""Users of a running server, made in its database from outside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from botocore.exceptions import ClientError
from click.testing import CliRunner, Result

from hounsfield.bootstrap.installation import open_database, open_keyring, open_repository
from hounsfield.cli.main import cli
from hounsfield.iam.identities.repository import Repository
from hounsfield.settings import Settings
from support.servers import ServerProcess


@contextmanager
def repository_of(server: ServerProcess) -> Iterator[Repository]:
    """The users and roles of a server, opened beside it."""
    settings = Settings(data=server.data, database_url=server.environment.get("HOUNSFIELD_DATABASE_URL", ""))
    keyring = open_keyring(settings)
    database = open_database(settings, keyring)
    yield open_repository(settings, database, keyring)
    database.close()


def refusal(client: Any) -> tuple[str, str] | None:
    """Code and message of the error that ListDatastores answers with; None when it answers."""
    try:
        client.list_datastores()
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    return None


def command(server: ServerProcess, *arguments: str, given: str | None = None) -> Result:
    """Run a command of ours on the data folder of a server, within this process: it starts sooner than one of its own."""
    words = [*arguments, "--data", str(server.data)]
    try:
        return CliRunner(env=server.environment).invoke(cli, words, input=given)
    finally:
        # What the command set up logs to a stream that is closed now.
        structlog.reset_defaults()


def answer(server: ServerProcess, *arguments: str, given: str | None = None) -> Any:
    """Run a command that works, and return what it prints as JSON."""
    result = command(server, *arguments, "--json", given=given)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)
