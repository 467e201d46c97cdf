"""``hounsfield user``: people and programs that call with access keys of their own."""

from __future__ import annotations

import click

from hounsfield.access.directory import identities
from hounsfield.access.directory.records import IdentityKind
from hounsfield.access.directory.repository import Repository
from hounsfield.commands.arguments import tags_of
from hounsfield.commands.opening import with_directory
from hounsfield.commands.output import Output, identity_json


@click.group("user")
def commands() -> None:
    """Make and manage users."""


@commands.command("create")
@click.argument("name")
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="A tag; can be given again.")
@with_directory
def create(repository: Repository, output: Output, name: str, tags: tuple[str, ...]) -> None:
    """Make the user NAME, who may do nothing before a policy is attached."""
    output.identity(identities.create_user(repository, name, tags_of(tags)))


@commands.command("list")
@with_directory
def list_users(repository: Repository, output: Output) -> None:
    """List all users."""
    output.identities(identities.list_identities(repository, IdentityKind.USER))


@commands.command("show")
@click.argument("name")
@with_directory
def show(repository: Repository, output: Output, name: str) -> None:
    """Show the user NAME: tags, policies, boundary, keys."""
    output.identity(identities.get_identity(repository, IdentityKind.USER, name))


@commands.command("tag")
@click.argument("name")
@click.argument("tags", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--remove", multiple=True, metavar="KEY", help="Take a tag off; can be given again.")
@with_directory
def tag(repository: Repository, output: Output, name: str, tags: tuple[str, ...], remove: tuple[str, ...]) -> None:
    """Set tags of the user NAME, or take some off."""
    output.identity(identities.tag_identity(repository, IdentityKind.USER, name, tags_of(tags), remove))


@commands.command("delete")
@click.argument("name")
@click.option("--force", is_flag=True, help="Also with the keys and policies it has.")
@with_directory
def delete(repository: Repository, output: Output, name: str, force: bool) -> None:
    """Delete the user NAME; its keys are refused within a second."""
    deleted = identities.delete_identity(repository, IdentityKind.USER, name, force=force)
    output.say(identity_json(deleted), [f"deleted {deleted.arn}"])
