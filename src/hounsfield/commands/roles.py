"""``hounsfield role``: rights that users and services take on for a while (AssumeRole, import jobs)."""

from __future__ import annotations

from typing import IO

import click

from hounsfield.access.directory import identities
from hounsfield.access.directory.records import IdentityKind
from hounsfield.access.directory.repository import Repository
from hounsfield.commands.arguments import DOCUMENT, document_of, tags_of
from hounsfield.commands.opening import InvalidError, with_directory
from hounsfield.commands.output import Output, identity_json


@click.group("role")
def commands() -> None:
    """Make and manage roles."""


@commands.command("create")
@click.argument("name")
@click.option(
    "--trust",
    type=DOCUMENT,
    required=True,
    metavar="FILE",
    help="Trust policy: who may assume it; - for standard input.",
)
@click.option(
    "--max-session",
    type=int,
    default=identities.DEFAULT_SESSION_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="Longest session.",
)
@click.option("--description", default="", help="What it is for.")
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="A tag; can be given again.")
@with_directory
def create(
    repository: Repository,
    output: Output,
    name: str,
    trust: IO[bytes],
    max_session: int,
    description: str,
    tags: tuple[str, ...],
) -> None:
    """Make the role NAME, which may do nothing before a policy is attached."""
    output.identity(
        identities.create_role(
            repository,
            name,
            document_of(trust),
            max_session_seconds=max_session,
            description=description,
            tags=tags_of(tags),
        )
    )


@commands.command("list")
@with_directory
def list_roles(repository: Repository, output: Output) -> None:
    """List all roles."""
    output.identities(identities.list_identities(repository, IdentityKind.ROLE))


@commands.command("show")
@click.argument("name")
@with_directory
def show(repository: Repository, output: Output, name: str) -> None:
    """Show the role NAME: trust policy, policies, boundary, tags."""
    output.identity(identities.get_identity(repository, IdentityKind.ROLE, name))


@commands.command("trust")
@click.argument("name")
@click.argument("file", type=DOCUMENT)
@with_directory
def trust_command(repository: Repository, output: Output, name: str, file: IO[bytes]) -> None:
    """Let those assume the role NAME whom the trust policy in FILE names; - for standard input."""
    output.identity(identities.update_role(repository, name, trust=document_of(file)))


@commands.command("update")
@click.argument("name")
@click.option("--max-session", type=int, metavar="SECONDS", help="Longest session.")
@click.option("--description", help="What it is for.")
@with_directory
def update(repository: Repository, output: Output, name: str, max_session: int | None, description: str | None) -> None:
    """Change the longest session or the description of the role NAME."""
    if max_session is None and description is None:
        raise InvalidError("say what to change with --max-session or --description")
    output.identity(identities.update_role(repository, name, max_session_seconds=max_session, description=description))


@commands.command("tag")
@click.argument("name")
@click.argument("tags", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--remove", multiple=True, metavar="KEY", help="Take a tag off; can be given again.")
@with_directory
def tag(repository: Repository, output: Output, name: str, tags: tuple[str, ...], remove: tuple[str, ...]) -> None:
    """Set tags of the role NAME, or take some off."""
    output.identity(identities.tag_identity(repository, IdentityKind.ROLE, name, tags_of(tags), remove))


@commands.command("delete")
@click.argument("name")
@click.option("--force", is_flag=True, help="Also with the policies it has.")
@with_directory
def delete(repository: Repository, output: Output, name: str, force: bool) -> None:
    """Delete the role NAME; its sessions are refused within a second."""
    deleted = identities.delete_identity(repository, IdentityKind.ROLE, name, force=force)
    output.say(identity_json(deleted), [f"deleted {deleted.arn}"])
