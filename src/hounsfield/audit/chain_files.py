"""Names of the files of an audit folder.

index.jsonl                                  every chain: begun, ended, oldest files removed
<chain>.000001.jsonl, <chain>.000002.jsonl   the lines of a chain, one chain for each process
<chain>.head                                 how far a chain is durable that was not ended yet
<chain>.live                                 locked by the process that writes the chain
"""

from __future__ import annotations

import os
import re
import secrets
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

INDEX: Final = "index.jsonl"
_FILE: Final = re.compile(r"([0-9]{8}T[0-9]{6}Z-[a-z]+-[0-9]+-[0-9a-f]{8})\.([0-9]{6,9})\.jsonl")


@dataclass(frozen=True, slots=True, order=True)
class ChainFile:
    """A file of a chain: its number, counted from 1, and where it is."""

    chain: str
    number: int
    path: Path


def new_chain_name(role: str) -> str:
    """Make the name of the chain of this process, such as ``20260314T091530Z-api-4711-9f2c01ab``."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return f"{stamp}-{role}-{os.getpid()}-{secrets.token_hex(4)}"


def host_name() -> str:
    """Return the name of this machine."""
    return socket.gethostname()[:64]


def chain_file(folder: Path, chain: str, number: int) -> Path:
    """Return the path of a file of a chain."""
    return folder / f"{chain}.{number:06d}.jsonl"


def head_file(folder: Path, chain: str) -> Path:
    """Return the path of the file that tells how far a chain is durable."""
    return folder / f"{chain}.head"


def live_file(folder: Path, chain: str) -> Path:
    """Return the path of the file that the process of a chain locks."""
    return folder / f"{chain}.live"


def chain_files(folder: Path, chain: str | None = None) -> Iterator[ChainFile]:
    """Yield the files of a chain, or of all, in their order."""
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        name = _FILE.fullmatch(path.name)
        if name is not None and (chain is None or name[1] == chain):
            found.append(ChainFile(name[1], int(name[2]), path))
    yield from sorted(found)
