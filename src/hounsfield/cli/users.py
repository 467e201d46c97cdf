"""``hounsfield user``: people and programs with access keys."""

from __future__ import annotations

import click

from hounsfield.cli.arguments import parse_tags
from hounsfield.cli.identities import IdentityCommands
from hounsfield.cli.installation import with_directory
from hounsfield.cli.output import Output
from hounsfield.iam.identities import identities
from hounsfield.iam.identities.records import IdentityKind
from hounsfield.iam.identities.repository import Repository


@click.group("user")
def commands() -> None:
    """Make and manage users."""


IdentityCommands(IdentityKind.USER, "tags, policies, boundary, keys", "keys and policies", "keys").add_to(commands)


@commands.command("create")
@click.argument("name")
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="A tag; can be given again.")
@with_directory
def create(repository: Repository, output: Output, name: str, tags: tuple[str, ...]) -> None:
    """Make the user NAME, who may do nothing before a policy is attached."""
    output.identity(identities.create_user(repository, name, parse_tags(tags)))
