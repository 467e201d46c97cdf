"""Recovery of chains whose process was killed or lost power: another process ends them.

index: started, not ended ─▶ nobody has its lock ─▶ last file read to its end ─▶ cut after its last whole line ─▶ ended
                                                            │ not as it was written: left as it is, for `verify`
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import structlog

from hounsfield.audit.chain_files import ChainFile, chain_files, head_file, live_file
from hounsfield.audit.chain_index import ChainIndex, IndexEntry
from hounsfield.audit.chain_reader import LONGEST_LINE, ChainDamage, read_chain, read_head
from hounsfield.audit.chain_writer import utc_text
from hounsfield.audit.file_locks import try_lock
from hounsfield.audit.hash_chain import BEGINNING, LineDamagedError, LineKind, Position, Sealer, read_line

_log = structlog.get_logger(__name__)
_TAIL_BYTES: Final = LONGEST_LINE


def find_unended_chains(index: ChainIndex) -> list[str]:
    """Return the chains that were begun and not ended, in the order they were begun."""
    chains: dict[str, None] = {}
    for entry in index.entries():
        if entry.kind is LineKind.STARTED:
            chains[entry.chain] = None
        elif entry.kind is LineKind.ENDED:
            chains.pop(entry.chain, None)
    return list(chains)


def seal_abandoned(folder: Path, key: bytes) -> None:
    """End the chains whose process is gone; one that is not as it was written is left alone. Raises OSError."""
    index = ChainIndex(folder, key)
    for chain in find_unended_chains(index):
        live = live_file(folder, chain)
        lock = try_lock(live)
        if lock is None:
            continue
        try:
            # Another process may have ended it meanwhile.
            if chain in find_unended_chains(index):
                _seal(index, folder, key, chain)
            if chain not in find_unended_chains(index):
                head_file(folder, chain).unlink(missing_ok=True)
                live.unlink(missing_ok=True)
        finally:
            os.close(lock)


def _seal(index: ChainIndex, folder: Path, key: bytes, chain: str) -> None:
    files = list(chain_files(folder, chain))
    head = read_head(folder, key, chain)
    if not files or head is None:
        _log.error("audit chain is not as it was written", chain=chain)
        return
    before = _last_position(files[-2]) if len(files) > 1 else BEGINNING
    end, size, incomplete = before, 0, 0
    known = head.file < files[-1].number
    for found in read_chain(Sealer(key, chain), files[-1:], before):
        if isinstance(found, ChainDamage):
            incomplete = found.incomplete
            known = known and incomplete > 0
            break
        end, size = found.line.position, found.end
        known = known or end == head.at
    if not known:
        _log.error("audit chain is not as it was written", chain=chain)
        return
    with files[-1].path.open("r+b") as file:
        # This also gives back the room that was taken for further records.
        file.truncate(size)
        os.fsync(file.fileno())
    index.append(
        IndexEntry(
            LineKind.ENDED,
            chain,
            utc_text(),
            at=end,
            file=files[-1].number,
            clean=False,
            incomplete_bytes=incomplete,
        )
    )
    _log.warning("audit chain of a process that was ended is complete now", chain=chain, incomplete_bytes=incomplete)


def _last_position(file: ChainFile) -> Position:
    """Return the place of the last line of a file; the code of the next file's first line proves it."""
    size = file.path.stat().st_size
    with file.path.open("rb") as opened:
        opened.seek(max(0, size - _TAIL_BYTES))
        last = opened.read().removesuffix(b"\n").rpartition(b"\n")[2]
    try:
        return read_line(last).position
    except LineDamagedError:
        return BEGINNING
