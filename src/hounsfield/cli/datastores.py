"""``hounsfield datastore``: data stores that ask for the permission on each image set."""

from __future__ import annotations

import click

from hounsfield.cli.installation import with_directory
from hounsfield.cli.output import Output
from hounsfield.iam.identities.repository import Repository
from hounsfield.iam.identities.restricted_datastores import (
    restrict_datastore,
    restricted_datastores,
    unrestrict_datastore,
)


@click.group("datastore")
def commands() -> None:
    """Say who sees the image sets of a data store."""


@commands.command("restrict")
@click.argument("datastore")
@with_directory
def restrict(repository: Repository, output: Output, datastore: str) -> None:
    """Let image sets of DATASTORE be seen by those only whose policies allow them, each."""
    restrict_datastore(repository, datastore)
    output.say({"datastoreId": datastore, "restricted": True}, [f"{datastore} is restricted"])


@commands.command("unrestrict")
@click.argument("datastore")
@with_directory
def unrestrict(repository: Repository, output: Output, datastore: str) -> None:
    """Let the permission on DATASTORE be enough for its image sets, as at AWS."""
    unrestrict_datastore(repository, datastore)
    output.say({"datastoreId": datastore, "restricted": False}, [f"{datastore} is not restricted"])


@commands.command("list")
@with_directory
def list_restricted(repository: Repository, output: Output) -> None:
    """List the data stores that are restricted."""
    found = restricted_datastores(repository)
    output.say([{"datastoreId": datastore, "restricted": True} for datastore in found], found)
