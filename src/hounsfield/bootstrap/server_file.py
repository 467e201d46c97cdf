"""The file ``server.json`` of a data folder, which tells the URL of the server that runs there, and goes when it ends."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from hounsfield.storage.durable_files import write_file_durably


def server_file(data: Path) -> Path:
    """Return its path."""
    return data / "server.json"


def write_server_url(data: Path, url: str) -> None:
    """Write the URL at which this process serves; raises OSError."""
    write_file_durably(server_file(data), json.dumps({"url": url, "pid": os.getpid()}).encode())


def read_server_url(data: Path) -> str | None:
    """Return the URL that a server left there, which may have died since; None where none did."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads(server_file(data).read_text())["url"])
    return None
