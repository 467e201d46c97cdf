"""A PostgreSQL server of the tests' own."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from support.required_tools import required_tool
from support.servers import free_port, wait_for


def _postgres_tools() -> tuple[str, str] | None:
    """Find initdb and postgres, also where Debian keeps them out of the path."""
    folders = [None, *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    for folder in folders:
        found = tuple(shutil.which(name, path=str(folder) if folder else None) for name in ("initdb", "postgres"))
        if all(found):
            return found
    return None


class PostgresqlServer:
    """A PostgreSQL server on a free loopback port, that can be stopped and started again.

    Parameters
    ----------
    primary : PostgresqlServer or None
        A server that is up, and that this one follows as its standby.
    """

    def __init__(self, primary: PostgresqlServer | None = None) -> None:
        tools = _postgres_tools()
        required_tool(tools is not None, "PostgreSQL's initdb and postgres are not installed")
        initdb, self._postgres = tools
        # Not in pytest's folders, which every other run of pytest closes again to all accounts but its own.
        self._folder = Path(tempfile.mkdtemp(prefix="hounsfield-postgresql-"))
        self._data, self._port = self._folder / "data", free_port()
        self._account = None
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root.
            self._account = next(name for name in ("postgres", "nobody") if _known(name))
            user = pwd.getpwnam(self._account)
            os.chown(self._folder, user.pw_uid, user.pw_gid)
        command = [initdb, "-D", self._data, "-A", "trust", "-U", "tester", "--no-sync"]
        if primary is not None:
            command = [str(Path(initdb).resolve().with_name("pg_basebackup")), "-D", self._data, "-d", primary.url]
            command += ["-R", "-X", "stream", "-c", "fast", "--no-sync"]
        subprocess.run(command, check=True, capture_output=True, **self._as_account())
        self.url = f"postgresql://tester@127.0.0.1:{self._port}"
        self._server: subprocess.Popen[bytes] | None = None

    def _as_account(self) -> dict[str, Any]:
        return {"user": self._account} if self._account else {}

    def start(self) -> PostgresqlServer:
        command = [self._postgres, "-D", self._data, "-p", str(self._port), "-h", "127.0.0.1", "-k", "", "-F"]
        with (self._folder / "log").open("ab") as log:
            self._server = subprocess.Popen(command, stdout=log, stderr=log, **self._as_account())
        wait_for(self._up, "PostgreSQL to answer")
        return self

    def _up(self) -> bool:
        assert self._server is not None
        assert self._server.poll() is None, (self._folder / "log").read_text()
        try:
            psycopg.connect(f"{self.url}/postgres", connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self, *, immediately: bool = False) -> None:
        """End it whoever is connected: by a fast shutdown, or an immediate one, after which it recovers at the next start."""
        if self._server is not None:
            self._server.send_signal(signal.SIGQUIT if immediately else signal.SIGINT)
            self._server.wait(120)
            self._server = None

    def remove(self) -> None:
        """End it and forget its data."""
        self.stop()
        shutil.rmtree(self._folder)

    def new_database(self) -> str:
        """Make a database and return its URL."""
        name = f"test_{secrets.token_hex(6)}"
        with psycopg.connect(f"{self.url}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"{self.url}/{name}"


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    """A PostgreSQL server for all tests that do not stop it."""
    server = PostgresqlServer()
    try:
        yield server.start()
    finally:
        server.remove()


@pytest.fixture(scope="module")
def postgresql_url(postgresql_server: PostgresqlServer) -> str:
    """A database of its own for each module: an installation has one master key and one database."""
    return postgresql_server.new_database()


def _known(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
