"""Verification of an audit folder: every line is as it was written, and none is missing.

    index ─▶ each chain: files, from the first that was not removed ─▶ every line follows the one before
                                                                     ─▶ the last is where the index, or the head, says

What is found is a finding with its place: a problem where something is not as it was written, a note where a process ended
in the middle of its work, which no check can tell from the loss of what it wrote last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hounsfield.audit.anchors import Anchor
from hounsfield.audit.chain_files import INDEX, ChainFile, chain_file, chain_files, live_file
from hounsfield.audit.chain_index import ChainIndex, IndexEntry, read_entry
from hounsfield.audit.chain_reader import ChainDamage, Head, read_chain, read_head
from hounsfield.audit.file_locks import is_locked
from hounsfield.audit.hash_chain import BEGINNING, LineDamagedError, LineKind, Position, Sealer, read_line


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was found.

    Attributes
    ----------
    place : str
        File, and line where it is known.
    text : str
        What is the matter.
    problem : bool
        Whether something is not as it was written.
    """

    place: str
    text: str
    problem: bool


@dataclass(slots=True)
class Verification:
    """What a check of an audit folder found.

    Attributes
    ----------
    chains, files, records : int
        How many were read.
    findings : list of Finding
        In the order of the places.
    """

    chains: int = 0
    files: int = 0
    records: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def intact(self) -> bool:
        """Whether everything is as it was written."""
        return not any(finding.problem for finding in self.findings)

    def problem(self, place: str, text: str) -> None:
        """Note that something is not as it was written."""
        self.findings.append(Finding(place, text, problem=True))

    def note(self, place: str, text: str) -> None:
        """Note something that is no problem."""
        self.findings.append(Finding(place, text, problem=False))


@dataclass(slots=True)
class _IndexedChain:
    """What the index says of a chain."""

    ended: IndexEntry | None = None
    removed: IndexEntry | None = None

    @property
    def first_file(self) -> int:
        return self.removed.file + 1 if self.removed is not None else 1

    @property
    def before(self) -> Position:
        return self.removed.at if self.removed is not None else BEGINNING

    @property
    def all_removed(self) -> bool:
        return self.ended is not None and self.first_file > self.ended.file


def verify(folder: Path, key: bytes, anchors: Sequence[Anchor] = (), *, only_folder: bool = True) -> Verification:
    """Check an audit folder; processes may write to it meanwhile.

    Parameters
    ----------
    folder : Path
        The audit folder.
    key : bytes
        The key of the installation's audit trail.
    anchors : sequence of Anchor
        Up to where the indexes of the installation are known to have been, read before.
    only_folder : bool
        Whether the installation has no other audit folder.
    """
    found = Verification()
    index = ChainIndex(folder, key)
    places: list[Position] = []
    chains = _read_index(index, places, found)
    _verify_anchors(places, anchors, found, only_folder=only_folder)
    for chain, indexed in chains.items():
        _verify_chain(folder, key, chain, indexed, index, found)
    unlisted = {file.chain for file in chain_files(folder)} - chains.keys()
    for chain in sorted(unlisted):
        _verify_unlisted(folder, key, chain, found)
    return found


def _verify_anchors(
    places: list[Position], anchors: Sequence[Anchor], found: Verification, *, only_folder: bool
) -> None:
    here = places[0].mac.hex() if places else ""
    for anchor in anchors:
        if anchor.first_mac == here:
            if anchor.at.sequence > len(places):
                found.problem(INDEX, f"entries {len(places) + 1} to {anchor.at.sequence} are missing")
            elif places[anchor.at.sequence - 1] != anchor.at:
                found.problem(f"{INDEX}:{anchor.at.sequence}", "the entry is another one than the database knows")
        elif only_folder:
            found.problem(INDEX, f"an index of {anchor.at.sequence} entries is missing, and everything it names")
        else:
            found.note(INDEX, f"the index of {anchor.host} with {anchor.at.sequence} entries is not in this folder")


def _read_index(index: ChainIndex, places: list[Position], found: Verification) -> dict[str, _IndexedChain]:
    chains: dict[str, _IndexedChain] = {}
    at = BEGINNING
    for number, text in enumerate(index.lines(), start=1):
        place = f"{INDEX}:{number}"
        try:
            line = read_line(text.removesuffix(b"\n"))
        except LineDamagedError as error:
            found.problem(place, str(error))
            break
        if not text.endswith(b"\n"):
            found.problem(place, "the line is not complete")
            break
        if not index.sealer.follows(line, at):
            found.problem(place, "the line, or what was before it, was changed")
            break
        at = line.position
        places.append(at)
        entry = read_entry(line)
        known = chains.setdefault(entry.chain, _IndexedChain())
        if entry.kind is LineKind.ENDED:
            known.ended = entry
        elif entry.kind is LineKind.REMOVED:
            known.removed = entry
    if not index.path.exists() and index.folder.exists() and any(index.folder.iterdir()):
        found.problem(INDEX, "the index is missing")
    return chains


def _verify_chain(
    folder: Path, key: bytes, chain: str, indexed: _IndexedChain, index: ChainIndex, found: Verification
) -> None:
    live = is_locked(live_file(folder, chain))
    head = read_head(folder, key, chain) if indexed.ended is None else None
    if indexed.ended is None and head is None:
        # Its process may have ended it just now.
        indexed.ended = next((e for e in index.entries() if e.chain == chain and e.kind is LineKind.ENDED), None)
    files = [file for file in chain_files(folder, chain) if file.number >= indexed.first_file]
    found.chains += 1
    first = chain_file(folder, chain, indexed.first_file).name
    if indexed.all_removed:
        if files:
            found.problem(files[0].path.name, "the chain has no such file")
        return
    if not files or files[0].number != indexed.first_file:
        found.problem(first, "the file is missing")
        return
    # A head that is before what was removed says nothing of what is left.
    end = _ChainEnd(indexed.before, head_seen=head is not None and head.at.sequence <= indexed.before.sequence)
    for finding in _walk(key, chain, files, end, head, found):
        if finding.incomplete and indexed.ended is None and finding.file == files[-1]:
            if not live:
                found.note(
                    _place(finding),
                    f"{finding.incomplete} bytes of a record that was not complete when its process ended",
                )
            continue
        found.problem(_place(finding), finding.reason)
        return
    _verify_end(chain, indexed.ended, head, end, files[-1], found)
    if indexed.ended is None and not live:
        found.note(files[-1].path.name, "the process did not end its chain; records of its last second may be missing")


@dataclass(slots=True)
class _ChainEnd:
    """How far a chain was read."""

    at: Position
    head_seen: bool = False


def _walk(
    key: bytes, chain: str, files: list[ChainFile], end: _ChainEnd, head: Head | None, found: Verification
) -> Iterator[ChainDamage]:
    """Read a chain to its end, counting; gives the damage where there is any."""
    for read in read_chain(Sealer(key, chain), files, end.at):
        if isinstance(read, ChainDamage):
            yield read
            return
        end.at = read.line.position
        if head is not None and end.at == head.at:
            end.head_seen = True
        if read.line.kind is LineKind.RECORD:
            found.records += 1
        elif read.line.kind is LineKind.FILE:
            found.files += 1


def _verify_end(
    chain: str, ended: IndexEntry | None, head: Head | None, end: _ChainEnd, last: ChainFile, found: Verification
) -> None:
    if ended is None:
        if head is None:
            found.problem(f"{chain}.head", "the file is missing or was changed")
        elif not end.head_seen:
            found.problem(
                last.path.name, f"lines {end.at.sequence + 1} to {head.at.sequence} of the chain are missing at its end"
            )
        return
    if end.at.sequence < ended.at.sequence:
        found.problem(
            last.path.name, f"lines {end.at.sequence + 1} to {ended.at.sequence} of the chain are missing at its end"
        )
    elif end.at != ended.at or last.number != ended.file:
        found.problem(last.path.name, f"the chain ended with line {ended.at.sequence}, what is after it was added")
    if not ended.clean:
        more = f"; {ended.incomplete_bytes} bytes of a record were not complete" if ended.incomplete_bytes else ""
        found.note(
            last.path.name, f"the process did not end its chain, records of its last second may be missing{more}"
        )


def _verify_unlisted(folder: Path, key: bytes, chain: str, found: Verification) -> None:
    files = list(chain_files(folder, chain))
    lines = list(read_chain(Sealer(key, chain), files[:1]))
    harmless = len(files) == 1 and all(
        not isinstance(line, ChainDamage) and line.line.kind is LineKind.FILE for line in lines
    )
    if harmless:
        found.note(files[0].path.name, "the process ended while it began this file, which holds no record")
    else:
        found.problem(files[0].path.name, "the chain of the file is not in the index")


def _place(damage: ChainDamage) -> str:
    return f"{damage.file.path.name}:{damage.number}"
