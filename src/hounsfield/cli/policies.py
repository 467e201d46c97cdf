"""``hounsfield policy``: managed and inline policies, and their attachments."""

from __future__ import annotations

import json
from typing import IO

import click

from hounsfield.cli.arguments import DOCUMENT, parse_holder, read_document, with_holder
from hounsfield.cli.installation import InvalidError, with_directory
from hounsfield.cli.output import Output, policy_json
from hounsfield.iam.identities import attachments, managed_policies
from hounsfield.iam.identities.repository import Repository


@click.group("policy")
def commands() -> None:
    """Make policies and attach them to users and roles."""


@commands.command("create")
@click.argument("name")
@click.argument("file", type=DOCUMENT)
@click.option("--description", default="", help="What it is for.")
@with_directory
def create(repository: Repository, output: Output, name: str, file: IO[bytes], description: str) -> None:
    """Make the managed policy NAME of the JSON in FILE; - for standard input."""
    output.policy(managed_policies.create_policy(repository, name, read_document(file), description))


@commands.command("list")
@with_directory
def list_policies(repository: Repository, output: Output) -> None:
    """List all managed policies, those that are built in too."""
    output.policies(managed_policies.list_policies(repository))


@commands.command("show")
@click.argument("name")
@with_holder
@with_directory
def show(repository: Repository, output: Output, name: str, user: str | None, role: str | None) -> None:
    """Show the managed policy NAME (or its ARN), or the inline policy NAME of a user or role."""
    if user is None and role is None:
        output.policy(managed_policies.get_policy(repository, name))
        return
    document = attachments.get_inline_policy(repository, *parse_holder(user, role), name)
    output.say(json.loads(document), [document.rstrip()])


@commands.command("update")
@click.argument("name")
@click.argument("file", type=DOCUMENT)
@with_directory
def update(repository: Repository, output: Output, name: str, file: IO[bytes]) -> None:
    """Put the JSON in FILE in the place of the managed policy NAME; it counts within a second wherever it is attached."""
    output.policy(managed_policies.update_policy(repository, name, read_document(file)))


@commands.command("delete")
@click.argument("name")
@with_directory
def delete(repository: Repository, output: Output, name: str) -> None:
    """Delete the managed policy NAME, which no user or role may have."""
    deleted = managed_policies.delete_policy(repository, name)
    output.say(policy_json(deleted), [f"deleted {deleted.arn}"])


@commands.command("attach")
@click.argument("policy")
@with_holder
@with_directory
def attach(repository: Repository, output: Output, policy: str, user: str | None, role: str | None) -> None:
    """Attach the managed POLICY (name or ARN) to a user or role."""
    output.identity(attachments.attach_policy(repository, *parse_holder(user, role), policy))


@commands.command("detach")
@click.argument("policy")
@with_holder
@with_directory
def detach(repository: Repository, output: Output, policy: str, user: str | None, role: str | None) -> None:
    """Take the managed POLICY (name or ARN) off a user or role."""
    output.identity(attachments.detach_policy(repository, *parse_holder(user, role), policy))


@commands.command("put")
@click.argument("name")
@click.argument("file", type=DOCUMENT)
@with_holder
@with_directory
def put(repository: Repository, output: Output, name: str, file: IO[bytes], user: str | None, role: str | None) -> None:
    """Set the inline policy NAME of a user or role to the JSON in FILE; - for standard input."""
    kind, holder = parse_holder(user, role)
    output.identity(attachments.put_inline_policy(repository, kind, holder, name, read_document(file)))


@commands.command("remove")
@click.argument("name")
@with_holder
@with_directory
def remove(repository: Repository, output: Output, name: str, user: str | None, role: str | None) -> None:
    """Delete the inline policy NAME of a user or role."""
    output.identity(attachments.remove_inline_policy(repository, *parse_holder(user, role), name))


@commands.command("boundary")
@click.argument("policy", required=False)
@click.option("--none", "none", is_flag=True, help="Take the boundary off.")
@with_holder
@with_directory
def boundary(
    repository: Repository, output: Output, policy: str | None, none: bool, user: str | None, role: str | None
) -> None:
    """Let a user or role do nothing that the managed POLICY (name or ARN) does not allow too."""
    if (policy is None) is not none:
        raise InvalidError("name the policy that is to be the boundary, or give --none")
    output.identity(attachments.set_boundary(repository, *parse_holder(user, role), policy))
