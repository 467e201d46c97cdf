"""Commands that users and roles share: list, show, tag, delete.

IdentityCommands(kind, what its help says) ─▶ add_to ─▶ ``hounsfield user``, ``hounsfield role``
"""

from __future__ import annotations

from dataclasses import dataclass

import click

from hounsfield.cli.arguments import parse_tags
from hounsfield.cli.installation import with_directory
from hounsfield.cli.output import Output, identity_json
from hounsfield.iam.identities import identities
from hounsfield.iam.identities.records import IdentityKind
from hounsfield.iam.identities.repository import Repository


@dataclass(frozen=True, slots=True)
class IdentityCommands:
    """The commands of one kind of identity.

    Attributes
    ----------
    kind : IdentityKind
        Users, or roles.
    shown : str
        What ``show`` tells.
    held : str
        What one may have, so that it is only deleted with ``--force``.
    refused : str
        What is refused once one is deleted.
    """

    kind: IdentityKind
    shown: str
    held: str
    refused: str

    def add_to(self, group: click.Group) -> None:
        """Add the commands to a group."""
        for command in (self._list(), self._show(), self._tag(), self._delete()):
            group.add_command(command)

    def _list(self) -> click.Command:
        @click.command("list", help=f"List all {self.kind}s.")
        @with_directory
        def command(repository: Repository, output: Output) -> None:
            output.identities(identities.list_identities(repository, self.kind))

        return command

    def _show(self) -> click.Command:
        @click.command("show", help=f"Show the {self.kind} NAME: {self.shown}.")
        @click.argument("name")
        @with_directory
        def command(repository: Repository, output: Output, name: str) -> None:
            output.identity(identities.get_identity(repository, self.kind, name))

        return command

    def _tag(self) -> click.Command:
        @click.command("tag", help=f"Set tags of the {self.kind} NAME, or take some off.")
        @click.argument("name")
        @click.argument("tags", nargs=-1, metavar="[KEY=VALUE]...")
        @click.option("--remove", multiple=True, metavar="KEY", help="Take a tag off; can be given again.")
        @with_directory
        def command(
            repository: Repository, output: Output, name: str, tags: tuple[str, ...], remove: tuple[str, ...]
        ) -> None:
            output.identity(identities.tag_identity(repository, self.kind, name, parse_tags(tags), remove))

        return command

    def _delete(self) -> click.Command:
        @click.command("delete", help=f"Delete the {self.kind} NAME; its {self.refused} are refused within a second.")
        @click.argument("name")
        @click.option("--force", is_flag=True, help=f"Also with the {self.held} it has.")
        @with_directory
        def command(repository: Repository, output: Output, name: str, force: bool) -> None:
            deleted = identities.delete_identity(repository, self.kind, name, force=force)
            output.say(identity_json(deleted), [f"deleted {deleted.arn}"])

        return command
