"""``hounsfield access-key``: access keys of users, and their rotation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import click

from hounsfield.cli.arguments import CREDENTIALS_FILE, parse_moment
from hounsfield.cli.installation import InvalidError, with_directory
from hounsfield.cli.output import Json, Output, key_json, key_line, moment
from hounsfield.iam.credentials_file import CredentialsProfile, ProfileError, default_credentials_file
from hounsfield.iam.identities import access_keys
from hounsfield.iam.identities.records import KeyStatus
from hounsfield.iam.identities.repository import Repository
from hounsfield.iam.root_credentials import PROFILE, AccessKey, credentials_file


@click.group("access-key")
def commands() -> None:
    """Make, rotate and disable access keys."""


def _with_delivery(command: click.decorators.FC) -> click.decorators.FC:
    """Add the options that say when a new key expires and where its secret goes."""
    command = click.option(
        "--credentials-file",
        type=CREDENTIALS_FILE,
        help="The AWS credentials file of --profile.  [default: AWS_SHARED_CREDENTIALS_FILE, or ~/.aws/credentials]",
    )(command)
    command = click.option(
        "--profile", metavar="NAME", help="Write the key into this profile instead of showing its secret."
    )(command)
    return click.option(
        "--expires", callback=parse_moment, metavar="WHEN", help="When it expires, such as 90d or 2027-01-31."
    )(command)


@commands.command("create")
@click.argument("user")
@_with_delivery
@with_directory
def create(
    repository: Repository,
    output: Output,
    user: str,
    expires: datetime | None,
    profile: str | None,
    credentials_file: Path | None,
) -> None:
    """Make an access key for USER; its secret is shown this once only."""
    with _delivery(output, profile, credentials_file, replace=False) as deliver:
        access_keys.create_key(repository, user, expires_at=expires, deliver=deliver)


@commands.command("list")
@click.option("--user", metavar="NAME", help="Only the keys of this user.")
@with_directory
def list_keys(repository: Repository, output: Output, user: str | None) -> None:
    """List access keys, with their state and when they were last used (up to a minute behind)."""
    output.keys(access_keys.list_keys(repository, user))


@commands.command("disable")
@click.argument("access_key_id")
@with_directory
def disable(repository: Repository, output: Output, access_key_id: str) -> None:
    """Refuse a key from within a second on, until it is enabled again."""
    output.key(access_keys.set_key_status(repository, access_key_id, KeyStatus.INACTIVE))


@commands.command("enable")
@click.argument("access_key_id")
@with_directory
def enable(repository: Repository, output: Output, access_key_id: str) -> None:
    """Let a disabled key in again."""
    output.key(access_keys.set_key_status(repository, access_key_id, KeyStatus.ACTIVE))


@commands.command("expire")
@click.argument("access_key_id")
@click.argument("when", callback=parse_moment, required=False)
@click.option("--never", is_flag=True, help="Let it never expire.")
@with_directory
def expire(repository: Repository, output: Output, access_key_id: str, when: datetime | None, never: bool) -> None:
    """Let a key expire at WHEN: a span from now on such as 90d or 12h, or a date such as 2027-01-31."""
    if (when is None) is not never:
        raise InvalidError("say when the key expires, or give --never")
    output.key(access_keys.set_key_expiry(repository, access_key_id, when))


@commands.command("delete")
@click.argument("access_key_id")
@with_directory
def delete(repository: Repository, output: Output, access_key_id: str) -> None:
    """Delete a key; it is refused within a second, for good."""
    deleted = access_keys.delete_key(repository, access_key_id)
    output.say(key_json(deleted), [f"deleted {deleted.id} of {deleted.user}"])


@commands.command("rotate")
@click.argument("user")
@click.option("--finish", is_flag=True, help="Disable the older key, once the new one is in use everywhere.")
@_with_delivery
@with_directory
def rotate(
    repository: Repository,
    output: Output,
    user: str,
    finish: bool,
    expires: datetime | None,
    profile: str | None,
    credentials_file: Path | None,
) -> None:
    """Make a second key for USER that is to take the place of the first; both count until --finish."""
    if not finish:
        with _delivery(output, profile, credentials_file, replace=True) as deliver:
            access_keys.begin_rotation(repository, user, expires_at=expires, deliver=deliver)
        return
    if expires is not None or profile is not None or credentials_file is not None:
        raise InvalidError("--finish makes no key; --expires, --profile and --credentials-file are for the new one")
    old, new = access_keys.finish_rotation(repository, user)
    output.say(
        {"old": key_json(old), "new": key_json(new)},
        [
            f"{old.id} is disabled: {key_line(old)}",
            f"{new.id} stays: {key_line(new)}",
            f"When nothing misses the old one: hounsfield access-key delete {old.id}",
        ],
    )


@contextmanager
def _delivery(
    output: Output, profile: str | None, file: Path | None, *, replace: bool
) -> Iterator[access_keys.Delivery]:
    """Yield what hands a new secret over: to a profile of a file, else to standard output."""
    if profile is None:
        if file is not None:
            raise InvalidError("--credentials-file needs --profile")
        yield lambda made: output.say(_json(made, shown=True), _lines(made, _secret_lines(made.pair)))
        return
    target = CredentialsProfile.of(file or default_credentials_file(), profile)
    root = credentials_file(click.get_current_context().params["data"]).resolve()
    if (target.path, target.name) == (root, PROFILE):
        raise InvalidError(f"the profile {PROFILE} of {root} is the root key; choose another profile")
    if target.is_there and not replace:
        raise ProfileError(f"{target.path} has a profile {profile} already; choose another name, or rotate its key")
    began = False

    def deliver(made: access_keys.NewKey) -> None:
        nonlocal began
        began = True
        target.write(made.pair)
        where: dict[str, Json] = {"profile": target.name, "credentials_file": str(target.path)}
        lines = [f"Its secret is in the profile {target.name} of {target.path}."]
        output.say({**_json(made, shown=False), **where}, _lines(made, lines))

    try:
        yield deliver
    except BaseException:
        if began:
            # There is no such key after all; what the profile held before may still be good.
            with suppress(OSError):
                target.put_back()
        raise


def _secret_lines(pair: AccessKey) -> list[str]:
    return [f"Secret access key  {pair.secret}", "This is the only time that the secret is shown."]


def _lines(made: access_keys.NewKey, rest: list[str]) -> list[str]:
    lines = [f"Access key id      {made.record.id}", *rest]
    if made.record.expires_at is not None:
        lines.append(f"It expires {moment(made.record.expires_at)}.")
    if made.replaces is not None:
        lines += [
            f"It is to replace {made.replaces.id}: {key_line(made.replaces)}",
            f"When the new one is in use everywhere: hounsfield access-key rotate {made.record.user} --finish",
        ]
    return lines


def _json(made: access_keys.NewKey, *, shown: bool) -> dict[str, Json]:
    document = key_json(made.record)
    if shown:
        document["secret_access_key"] = made.secret
    if made.replaces is not None:
        document["replaces"] = key_json(made.replaces)
    return document
