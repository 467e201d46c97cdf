"""A PostgreSQL server of the tests' own."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from servers import free_port, wait_for
from tools import required_tool


def _postgres_tools() -> tuple[str, str] | None:
    """Find initdb and postgres, also where Debian keeps them out of the path."""
    folders = [None, *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    for folder in folders:
        found = tuple(shutil.which(name, path=str(folder) if folder else None) for name in ("initdb", "postgres"))
        if all(found):
            return found
    return None


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server of the test's own, on a free loopback port."""
    tools = _postgres_tools()
    required_tool(tools is not None, "PostgreSQL's initdb and postgres are not installed")
    initdb, postgres = tools
    folder = tmp_path_factory.mktemp("postgresql")
    data, port = folder / "data", free_port()
    account = None
    if os.geteuid() == 0:
        # PostgreSQL refuses to run as root.
        account = next(name for name in ("postgres", "nobody") if _known(name))
        user = pwd.getpwnam(account)
        os.chown(folder, user.pw_uid, user.pw_gid)
        for parent in folder.parents:
            if parent.owner() == "root" and not parent.stat().st_mode & 0o001 and parent != Path("/"):
                parent.chmod(parent.stat().st_mode | 0o011)
    run = {"user": account} if account else {}
    subprocess.run(
        [initdb, "-D", data, "-A", "trust", "-U", "tester", "--no-sync"], check=True, capture_output=True, **run
    )
    command = [postgres, "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", "", "-F"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, **run)
    try:
        url = f"postgresql://tester@127.0.0.1:{port}"
        _wait_until_up(f"{url}/postgres")
        yield url
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture(scope="module")
def postgresql_url(postgresql_server: str) -> str:
    """A database of its own for each module: an installation has one master key and one database."""
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(f"{postgresql_server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{postgresql_server}/{name}"


def _known(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _wait_until_up(url: str) -> None:
    def up() -> bool:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    wait_for(up, "PostgreSQL to answer")
