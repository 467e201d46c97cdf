"""Links to the console that sign in once.

``hounsfield console`` ─▶ key of root or of a user ─▶ token, kept hashed in the database ─▶ URL/console/link#TOKEN

The token is behind the ``#``, so no server and no proxy on the way sees it before the page of the console sends it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import click

from hounsfield.cli.installation import InvalidError, RefusedError, open_directory
from hounsfield.cli.output import Output
from hounsfield.console.sessions.sessions import LINK_SECONDS, make_link
from hounsfield.iam.identities import access_keys
from hounsfield.iam.identities.repository import Repository
from hounsfield.iam.root_credentials import CredentialsError, credentials_file, root_key
from hounsfield.server.supervisor import running_url
from hounsfield.settings import load_settings

EVENT: Final = "GetSigninToken"
"""What the audit trail calls the making of a link, as CloudTrail does where a token signs in to a console."""
SOURCE: Final = "signin.amazonaws.com"
_USUAL_URL: Final = "http://127.0.0.1:8080"
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - what a browser is to open instead


@dataclass(frozen=True, slots=True)
class ConsoleLink:
    """A link that signs in once.

    Attributes
    ----------
    address : str
        What a browser opens. A secret.
    who : str
        Whom it signs in: ``root`` or the name of a user.
    expires_at : datetime
        When it no longer works.
    """

    address: str
    who: str
    expires_at: datetime


def print_link(data: Path, url: str | None, user: str | None, *, as_json: bool) -> None:
    """Make a link and print it: the link on standard output, what is to be known of it on standard error.

    Parameters
    ----------
    data : Path
        The data folder.
    url : str or None
        Where a browser reaches the server; None to find that out.
    user : str or None
        Name of the user whom it signs in; None for root.
    as_json : bool
        Whether to print JSON.

    Raises
    ------
    RefusedError
        There is no installation, or the user has no key that may be used.
    InvalidError
        ``url`` is not the address of a server.
    """
    base, warning = _base(data, url)
    link = new_link(data, base, user)
    Output(as_json=as_json).say(
        {"url": link.address, "user": user, "expires_at": f"{link.expires_at:%Y-%m-%dT%H:%M:%SZ}"}, [link.address]
    )
    click.echo(f"It signs in once, as {link.who}, until {link.expires_at:%H:%M:%S} UTC.", err=True)
    if warning:
        click.echo(warning, err=True)


def new_link(data: Path, base: str, user: str | None = None, page: str = "") -> ConsoleLink:
    """Make a link, recorded in the audit trail.

    Parameters
    ----------
    data : Path
        The data folder.
    base : str
        URL of the server.
    user : str or None
        Name of the user whom it signs in; None for root.
    page : str
        Path and query of the page that it opens; empty for the first one.

    Raises
    ------
    RefusedError
        There is no installation, or the user has no key that may be used.
    """
    with open_directory(data, click.get_current_context(), source=SOURCE, event=EVENT) as repository:
        key = _root_key(data) if user is None else _user_key(repository, user)
        expires_at = datetime.now(UTC) + timedelta(seconds=LINK_SECONDS)
        token = make_link(repository.database, key)
    opens = f"&next={quote(page, safe='')}" if page else ""
    return ConsoleLink(f"{base}/console/link#{token}{opens}", user or "root", expires_at)


def _root_key(data: Path) -> str:
    try:
        return root_key(credentials_file(data)).id
    except CredentialsError as error:
        raise RefusedError(str(error)) from error


def _user_key(repository: Repository, user: str) -> str:
    """Return the newest key of a user that may be used: when it is disabled, the session ends."""
    now = datetime.now(UTC)
    usable = [record.id for record in access_keys.list_keys(repository, user) if record.usable_at(now)]
    if not usable:
        raise RefusedError(
            f"{user} has no active access key, and signs in by one; `hounsfield access-key create {user}` makes it"
        )
    return usable[-1]


def _base(data: Path, url: str | None) -> tuple[str, str]:
    """Return the URL that links begin with, and what to say where no server answers there."""
    if url is not None:
        return _checked(url), ""
    running = running_url(data)
    public = replace(load_settings(), data=data).public_url
    if public:
        base = _checked(public)
    elif running is not None:
        base = running
        for listened, called in _EVERYWHERE.items():
            base = base.replace(f"//{listened}:", f"//{called}:")
    else:
        base = _USUAL_URL
    if running is None:
        return base, (
            f"No server of {data} answers on this machine. Start one with `hounsfield serve --data {data}`, "
            "or say with --url where it is."
        )
    return base, ""


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_url = False
    if not is_url or parts.query or parts.fragment or parts.username is not None:
        raise InvalidError(f"{url!r} must be the address of a server, such as https://pacs.example.org")
    return url.rstrip("/").removesuffix("/console")
