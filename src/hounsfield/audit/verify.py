"""Verification of an audit folder: every line is as it was written, and none is missing.

    index ─▶ each chain: files, from the first that was not removed ─▶ every line follows the one before
                                                                     ─▶ the last is where the index, or the head, says

What is found is a finding with its place: a problem where something is not as it was written, a note where a process ended
in the middle of its work, which no check can tell from the loss of what it wrote last.

A large trail is checked in steps, each of which goes on where the one before ended (`verify_step`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
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


@dataclass(frozen=True, slots=True)
class VerifiedUpTo:
    """How far a check has come: all chains before one, and the files of that before a file.

    Attributes
    ----------
    chain : str
        The chain that comes next.
    file : int
        The file of it that comes next; 0 for the first that is there.
    at : Position
        The line before that file.
    """

    chain: str
    file: int = 0
    at: Position = BEGINNING


@dataclass(frozen=True, slots=True)
class VerificationStep:
    """One step of a check.

    Attributes
    ----------
    found : Verification
        What it found; each file and each finding is in one step.
    following : VerifiedUpTo or None
        Where the next step goes on; None when the check has come to its end.
    bytes_read : int
        How many bytes of files the step read.
    """

    found: Verification
    following: VerifiedUpTo | None
    bytes_read: int


def verify(folder: Path, key: bytes, anchors: Sequence[Anchor] = (), *, only_folder: bool = True) -> Verification:
    """Check a whole audit folder at once; parameters are those of `verify_step`."""
    return verify_step(folder, key, anchors, only_folder=only_folder).found


def verify_step(
    folder: Path,
    key: bytes,
    anchors: Sequence[Anchor] = (),
    *,
    only_folder: bool = True,
    after: VerifiedUpTo | None = None,
    most_bytes: int = sys.maxsize,
) -> VerificationStep:
    """Check an audit folder, or go on with that; processes may write to it meanwhile.

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
    after : VerifiedUpTo or None
        Where the step before ended.
    most_bytes : int
        Bytes of files after which a step ends; it reads one file at least.
    """
    found, room = Verification(), _Room(most_bytes)
    index = ChainIndex(folder, key)
    places: list[Position] = []
    # What is wrong with the index is told by the first step.
    chains = _read_index(index, places, found if after is None else Verification())
    if after is None:
        _verify_anchors(places, anchors, found, only_folder=only_folder)
    elif after.chain not in chains:
        found.problem(INDEX, f"the entry of {after.chain} was there, and is gone")
        return VerificationStep(found, None, 0)
    names = list(chains)
    for chain in names if after is None else names[names.index(after.chain) :]:
        begun = after if after is not None and after.chain == chain else VerifiedUpTo(chain)
        following = begun if room.is_used_up else _verify_chain(folder, key, chains[chain], index, found, begun, room)
        if following is not None:
            return VerificationStep(found, following, room.used)
    unlisted = {file.chain for file in chain_files(folder)} - chains.keys()
    for chain in sorted(unlisted):
        _verify_unlisted(folder, key, chain, found)
    return VerificationStep(found, None, room.used)


@dataclass(slots=True)
class _Room:
    """How much a step may read, and has read."""

    most: int
    used: int = 0

    @property
    def is_used_up(self) -> bool:
        return self.used >= self.most

    def take(self, files: Sequence[ChainFile]) -> list[ChainFile]:
        """Return the files, in their order, for which there is room; the first at least."""
        taken: list[ChainFile] = []
        for file in files:
            if taken and self.is_used_up:
                break
            taken.append(file)
            self.used += file.path.stat().st_size
        return taken


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
    folder: Path,
    key: bytes,
    indexed: _IndexedChain,
    index: ChainIndex,
    found: Verification,
    begun: VerifiedUpTo,
    room: _Room,
) -> VerifiedUpTo | None:
    """Check a chain from where it was begun; gives where to go on when there is no room for all of it."""
    chain = begun.chain
    live = is_locked(live_file(folder, chain))
    head = read_head(folder, key, chain) if indexed.ended is None else None
    if indexed.ended is None and head is None:
        # Its process may have ended it just now.
        indexed.ended = next((e for e in index.entries() if e.chain == chain and e.kind is LineKind.ENDED), None)
    first_number, before = max((indexed.first_file, indexed.before), (begun.file, begun.at), key=itemgetter(0))
    files = [file for file in chain_files(folder, chain) if file.number >= first_number]
    found.chains += not begun.file
    first = chain_file(folder, chain, first_number).name
    if indexed.all_removed:
        if files:
            found.problem(files[0].path.name, "the chain has no such file")
        return None
    if not files or files[0].number != first_number:
        found.problem(first, "the file is missing")
        return None
    # A head that is before what was removed, or checked by another step, says nothing of what is left.
    end = _ChainEnd(before, head_seen=head is not None and head.at.sequence <= before.sequence)
    taken = room.take(files)
    for damage in _walk(key, chain, taken, end, head, found):
        if not (damage.incomplete and indexed.ended is None and damage.file == files[-1]):
            found.problem(_place(damage), damage.reason)
            return None
        if not live:
            text = f"{damage.incomplete} bytes of a record that was not complete when its process ended"
            found.note(_place(damage), text)
    if len(taken) < len(files):
        return VerifiedUpTo(chain, taken[-1].number + 1, end.at)
    _verify_end(chain, indexed.ended, head, end, files[-1], found)
    if indexed.ended is None and not live:
        found.note(files[-1].path.name, "the process did not end its chain; records of its last second may be missing")
    return None


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
