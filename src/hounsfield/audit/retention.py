"""Retention of audit files: removal of those that are older than they must be kept.

    oldest files of a chain ─▶ checked ─▶ removed, with the place of the last line: in the index ─▶ deleted

What was removed on purpose is so told from what was removed by somebody. A chain that is not as it was written keeps its files.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import structlog

from hounsfield.audit.chain_files import ChainFile, chain_files
from hounsfield.audit.chain_index import ChainIndex, IndexEntry
from hounsfield.audit.chain_reader import ChainDamage, read_chain
from hounsfield.audit.chain_writer import utc_text
from hounsfield.audit.hash_chain import BEGINNING, LineKind, Position, Sealer

_log = structlog.get_logger(__name__)


def remove_old_files(
    folder: Path,
    key: bytes,
    keep_seconds: float,
    may_go: Callable[[ChainFile], bool] = lambda _: True,
    now: float | None = None,
) -> int:
    """Remove the files that were last written longer ago than they must be kept; gives how many.

    Parameters
    ----------
    folder : Path
        The audit folder.
    key : bytes
        The key of the installation's audit trail.
    keep_seconds : float
        How long files are kept.
    may_go : callable
        Whether a file is not needed any more for something else; a file that is keeps all after it too.
    now : float or None
        The time in seconds since 1970, where another clock than that of this machine has a say too; None for that one's.

    Raises
    ------
    OSError
        The folder cannot be read or written.
    """
    index = ChainIndex(folder, key)
    removed: dict[str, IndexEntry] = {}
    ended: dict[str, IndexEntry] = {}
    for entry in index.entries():
        if entry.kind is not LineKind.STARTED:
            (removed if entry.kind is LineKind.REMOVED else ended)[entry.chain] = entry
    by_chain: dict[str, list[ChainFile]] = {}
    for file in chain_files(folder):
        by_chain.setdefault(file.chain, []).append(file)
    count = 0
    latest = (time.time() if now is None else now) - keep_seconds
    for chain, files in by_chain.items():
        before = removed.get(chain)
        gone_already = before.file if before is not None else 0
        for file in files:
            if file.number <= gone_already:
                # The statement was written, the file not deleted yet.
                file.path.unlink()
        there = [file for file in files if file.number > gone_already]
        # The last file of a chain that goes on is being written.
        candidates = there if chain in ended else there[:-1]
        going = []
        for file in candidates:
            if file.path.stat().st_mtime >= latest or not may_go(file):
                break
            going.append(file)
        if going and _remove(index, key, chain, going, BEGINNING if before is None else before.at):
            count += len(going)
    return count


def _remove(index: ChainIndex, key: bytes, chain: str, going: list[ChainFile], before: Position) -> bool:
    end = before
    for read in read_chain(Sealer(key, chain), going, before):
        if isinstance(read, ChainDamage):
            _log.error("audit files are kept: they are not as they were written", file=read.file.path.name)
            return False
        end = read.line.position
    index.append(IndexEntry(LineKind.REMOVED, chain, utc_text(), at=end, file=going[-1].number))
    for file in going:
        file.path.unlink()
    _log.info("audit files removed", chain=chain, files=len(going))
    return True
