"""Arguments of commands: moments, tags, policy documents, and the holders of policies."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Final

import click

from hounsfield.cli.installation import InvalidError
from hounsfield.iam.identities.records import IdentityKind

_MOST_BYTES: Final = 256 * 1024
_SPAN: Final = re.compile(r"(?P<count>[1-9][0-9]{0,5})(?P<unit>[mhd])")
_UNITS: Final = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def parse_moment(ctx: click.Context, param: click.Parameter, text: str | None) -> datetime | None:
    """Read a moment: a span from now on such as ``90d``, ``12h`` or ``30m``, or a date or time of ISO 8601.

    Without an offset it is UTC. A callback for options and arguments; what is no moment ends the command with 2.
    """
    if text is None:
        return None
    span = _SPAN.fullmatch(text)
    try:
        if span is not None:
            return datetime.now(UTC) + int(span["count"]) * _UNITS[span["unit"]]
        read = datetime.fromisoformat(text)
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{text[:64]!r} must be a span such as 90d, 12h or 30m, or a date such as 2027-01-31", ctx, param
        ) from None


def parse_tags(pairs: Sequence[str]) -> dict[str, str]:
    """Read tags written as ``key=value``; raises `InvalidError`."""
    tags: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise InvalidError(f"a tag must be written as key=value, not {pair[:64]!r}")
        if key in tags:
            raise InvalidError(f"the tag {key} is given twice")
        tags[key] = value
    return tags


def read_document(file: IO[bytes]) -> str:
    """Read a policy document, as UTF-8 and of bounded length; raises `InvalidError`."""
    content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise InvalidError(f"{file.name} is longer than {_MOST_BYTES} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidError(f"{file.name} is not UTF-8") from None


def with_holder(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which user or role a policy is of; `parse_holder` reads them."""
    command = click.option("--role", metavar="NAME", help="The role.")(command)
    return click.option("--user", metavar="NAME", help="The user.")(command)


def parse_holder(user: str | None, role: str | None) -> tuple[IdentityKind, str]:
    """Return the one user or role that is named; raises `InvalidError`."""
    if user is not None and role is None:
        return IdentityKind.USER, user
    if role is not None and user is None:
        return IdentityKind.ROLE, role
    raise InvalidError("name one user with --user, or one role with --role")


DOCUMENT: Final = click.File("rb")
CREDENTIALS_FILE: Final = click.Path(dir_okay=False, path_type=Path)
