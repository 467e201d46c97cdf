"""``hounsfield role``: roles, for AssumeRole and import jobs."""

from __future__ import annotations

from typing import IO

import click

from hounsfield.cli.arguments import DOCUMENT, parse_tags, read_document
from hounsfield.cli.identities import IdentityCommands
from hounsfield.cli.installation import InvalidError, with_directory
from hounsfield.cli.output import Output
from hounsfield.iam.identities import identities
from hounsfield.iam.identities.records import IdentityKind
from hounsfield.iam.identities.repository import Repository


@click.group("role")
def commands() -> None:
    """Make and manage roles."""


IdentityCommands(IdentityKind.ROLE, "trust policy, policies, boundary, tags", "policies", "sessions").add_to(commands)


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
            read_document(trust),
            max_session_seconds=max_session,
            description=description,
            tags=parse_tags(tags),
        )
    )


@commands.command("trust")
@click.argument("name")
@click.argument("file", type=DOCUMENT)
@with_directory
def trust_command(repository: Repository, output: Output, name: str, file: IO[bytes]) -> None:
    """Let those assume the role NAME whom the trust policy in FILE names; - for standard input."""
    output.identity(identities.update_role(repository, name, trust=read_document(file)))


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
