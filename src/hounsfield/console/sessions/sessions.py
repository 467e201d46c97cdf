"""Sessions of the console: who is signed in with which browser.

    key and secret, link, web identity ─▶ ConsoleSessions.begin ─▶ cookie
    cookie ─▶ ConsoleSessions.find ─▶ Session: principal as it is now, CSRF token

The database has a row for each session, named by the SHA-256 of its cookie, so that all API processes know it and who reads
the database cannot use it. The row has a key, not rights: the principal is looked up at each request, so a key that is disabled
or a user that is deleted ends the session. A session ends when it was not used for a while, and at the latest some hours after
it began.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, delete, insert, select, update

from hounsfield.gateway.authentication import AccessKeyHolders
from hounsfield.iam.principals import Principal
from hounsfield.storage.clock import now_ms
from hounsfield.storage.db.console_tables import console_links, console_sessions
from hounsfield.storage.db.database import Database
from hounsfield.storage.db.errors import DatabaseTroubleError

SEALED_WITH: Final = "console"
"""Name of the secret of the installation that CSRF tokens and states of sign-ins are made with."""
LINK_SECONDS: Final = 300
"""How long a link can be used that signs in once."""
_TOKEN_BYTES: Final = 32
_NOTED_EVERY_MS: Final = 60_000
"""How exactly it is noted when a session was used last."""
_LONGEST_TOKEN: Final = 128
_MOST_OF_ONE: Final = 100
"""How many sessions somebody may have; whoever signs in once more loses the one that was not used for longest."""


@dataclass(frozen=True, slots=True)
class SessionTimes:
    """How long sessions last.

    Attributes
    ----------
    idle_seconds : int
        How long one lasts without a request.
    most_seconds : int
        How long one lasts at most.
    """

    idle_seconds: int
    most_seconds: int


@dataclass(frozen=True, slots=True)
class Session:
    """A session that goes on.

    Attributes
    ----------
    id_hash : bytes
        Which one it is.
    principal : Principal
        Who is signed in, with the rights of now.
    csrf_token : str
        What a request must bring that changes something.
    created_at, expires_at : datetime
        When it began, and when it ends whatever is done.
    """

    id_hash: bytes = field(repr=False)
    principal: Principal
    csrf_token: str = field(repr=False)
    created_at: datetime
    expires_at: datetime


class SignInMethod(StrEnum):
    """Ways to sign in, as the audit trail names them."""

    KEY = "access key"
    LINK = "link"
    PROVIDER = "OpenID Connect"
    NOBODY_ASKED = "no authentication"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Somebody who has proven who they are, and whose session may begin.

    Attributes
    ----------
    principal : Principal
        Who it is.
    access_key_id : str
        The key whose holder that is.
    method : SignInMethod
        How it was proven.
    session_token : str or None
        Token of temporary credentials.
    until_ms : int or None
        When the session must end at the latest, in milliseconds since 1970-01-01 UTC.
    """

    principal: Principal
    access_key_id: str
    method: SignInMethod
    session_token: str | None = field(default=None, repr=False)
    until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A session as the list of one's own shows it.

    Attributes
    ----------
    id : str
        Names it, and signs nobody in.
    created_at, seen_at, expires_at : datetime
        When it began, was used last, and ends.
    address, user_agent : str
        Of the browser that began it.
    is_this : bool
        Whether it is the one that asks.
    """

    id: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    address: str
    user_agent: str
    is_this: bool


class ConsoleSessions:
    """Begins, finds and ends sessions.

    Parameters
    ----------
    database : Database
        Where they are.
    secret : bytes
        The secret of the installation called `SEALED_WITH`.
    holders : AccessKeyHolders
        Who holds which key.
    times : SessionTimes
        How long they last.
    clock : callable
        The time in milliseconds since 1970-01-01 UTC.
    """

    def __init__(
        self,
        database: Database,
        secret: bytes,
        holders: AccessKeyHolders,
        times: SessionTimes,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._database = database
        self._secret = secret
        self._holders = holders
        self._times = times
        self._clock = clock

    def begin(self, signed_in: SignedIn, *, address: str = "", user_agent: str = "") -> str:
        """Begin a session.

        Parameters
        ----------
        signed_in : SignedIn
            Whose.
        address, user_agent : str
            Of the browser.

        Returns
        -------
        str
            The value of the cookie.
        """
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        now = self._clock()
        latest = now + self._times.most_seconds * 1000
        values = {
            "id_hash": _hashed(token),
            "access_key_id": signed_in.access_key_id,
            "session_token": signed_in.session_token,
            "holder_id": signed_in.principal.id,
            "created_at": now,
            "seen_at": now,
            "expires_at": latest if signed_in.until_ms is None else min(latest, signed_in.until_ms),
            "address": address[:64],
            "user_agent": user_agent[:256],
        }
        with self._database.write() as connection:
            columns = console_sessions.c
            connection.execute(delete(console_sessions).where(columns.expires_at <= now))
            connection.execute(insert(console_sessions).values(values))
            own = columns.holder_id == signed_in.principal.id
            newest = columns.seen_at.desc(), columns.created_at.desc()
            surplus = select(columns.id_hash).where(own, columns.id_hash != values["id_hash"]).order_by(*newest)
            lost = connection.scalars(surplus.offset(_MOST_OF_ONE - 1).limit(_MOST_OF_ONE)).all()
            if lost:
                connection.execute(delete(console_sessions).where(columns.id_hash.in_(lost)))
        return token

    def find(self, token: str, *, is_used: bool = True) -> Session | None:
        """Return the session of a cookie; None where there is none, or none any more.

        Parameters
        ----------
        token : str
            Value of the cookie.
        is_used : bool
            Whether somebody does something, which makes it last longer; False for what a page asks for by itself.
        """
        if not token or len(token) > _LONGEST_TOKEN:
            return None
        id_hash = _hashed(token)
        now = self._clock()
        columns = console_sessions.c
        with self._database.read() as connection:
            row = connection.execute(select(console_sessions).where(columns.id_hash == id_hash)).one_or_none()
        if row is None or now >= row.expires_at or now >= row.seen_at + self._times.idle_seconds * 1000:
            return None
        principal = self._holders.holder(row.access_key_id, row.session_token)
        if principal is None or principal.id != row.holder_id:
            return None
        if is_used and now - row.seen_at >= min(_NOTED_EVERY_MS, self._times.idle_seconds * 250):
            # Who only looks at something is not kept from it because that cannot be noted now.
            with suppress(DatabaseTroubleError), self._database.write() as connection:
                of_row = (columns.id_hash == id_hash, columns.seen_at < now)
                connection.execute(update(console_sessions).where(*of_row).values(seen_at=now))
        return Session(id_hash, principal, self.csrf_token(token), _moment(row.created_at), _moment(row.expires_at))

    def csrf_token(self, token: str) -> str:
        """Return what a request of the session of a cookie must bring that changes something."""
        return hmac.new(self._secret, b"csrf:" + token.encode(), hashlib.sha256).hexdigest()

    def end(self, session: Session) -> None:
        """End a session."""
        self._end(session.id_hash)

    def end_one(self, session: Session, opened_id: str) -> bool:
        """End a session of who is signed in, by its id of `opened`; gives whether there was one."""
        for one in self._rows(session):
            if hmac.compare_digest(_shown_id(one.id_hash).encode(), opened_id.encode()):
                self._end(one.id_hash)
                return True
        return False

    def _end(self, id_hash: bytes) -> None:
        with self._database.write() as connection:
            connection.execute(delete(console_sessions).where(console_sessions.c.id_hash == id_hash))

    def end_all(self, session: Session) -> int:
        """End all sessions of who is signed in, this one too; gives how many could still be used."""
        own = console_sessions.c.holder_id == session.principal.id
        with self._database.write() as connection:
            ended = connection.execute(delete(console_sessions).where(own, *self._live())).rowcount
            connection.execute(delete(console_sessions).where(own))
        return ended

    def _live(self) -> tuple[ColumnElement[bool], ...]:
        """Return the conditions of sessions that can still be used."""
        now, columns = self._clock(), console_sessions.c
        return columns.expires_at > now, columns.seen_at > now - self._times.idle_seconds * 1000

    def opened(self, session: Session) -> list[OpenedSession]:
        """Return all sessions of who is signed in, that was used last first."""
        return [
            OpenedSession(
                _shown_id(row.id_hash),
                _moment(row.created_at),
                _moment(row.seen_at),
                _moment(row.expires_at),
                row.address,
                row.user_agent,
                row.id_hash == session.id_hash,
            )
            for row in self._rows(session)
        ]

    def _rows(self, session: Session) -> Sequence[Row[Any]]:
        columns = console_sessions.c
        query = (
            select(console_sessions)
            .where(columns.holder_id == session.principal.id, *self._live())
            .order_by(columns.seen_at.desc())
            .limit(_MOST_OF_ONE)
        )
        with self._database.read() as connection:
            return connection.execute(query).all()

    def take_link(self, token: str) -> str | None:
        """Use a link that signs in once up; gives the key whose holder it signs in, None where it cannot be used (any more)."""
        if not token or len(token) > _LONGEST_TOKEN:
            return None
        with self._database.write() as connection:
            of_link = console_links.c.token_hash == _hashed(token)
            row = connection.execute(select(console_links).where(of_link)).one_or_none()
            # Of two that use it at the same time, one deletes the row.
            if row is None or connection.execute(delete(console_links).where(of_link)).rowcount != 1:
                return None
        return str(row.access_key_id) if self._clock() < row.expires_at else None


def make_link(database: Database, access_key_id: str, clock: Callable[[], int] = now_ms) -> str:
    """Make a link that signs in as the holder of a key, once, within `LINK_SECONDS`; gives its token."""
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    now = clock()
    with database.write() as connection:
        connection.execute(delete(console_links).where(console_links.c.expires_at <= now))
        connection.execute(
            insert(console_links).values(
                token_hash=_hashed(token), access_key_id=access_key_id, expires_at=now + LINK_SECONDS * 1000
            )
        )
    return token


def _shown_id(id_hash: bytes) -> str:
    return hashlib.sha256(id_hash).hexdigest()[:16]


def _hashed(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
