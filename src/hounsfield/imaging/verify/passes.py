"""Passes of verification in the database: how far each has come and what it found, so that it can go on after an interruption.

begin ─▶ running ─▶ save ─▶ … ─▶ ended
└─ interrupted, killed ─▶ find_unfinished ─▶ goes on from what was saved last
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

import orjson
from sqlalchemy import Row, delete, func, insert, select, update

from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.verify.findings import Finding, Severity
from hounsfield.imaging.verify.samples import largest_lot_of
from hounsfield.imaging.verify.scopes import Scope
from hounsfield.jobs.queue import WorkItem
from hounsfield.storage.clock import now_ms
from hounsfield.storage.db.image_set_tables import image_sets
from hounsfield.storage.db.verification_table import verification_passes
from hounsfield.storage.identifiers import new_id

_MOST_KEPT: Final = 20
MOST_FINDINGS: Final = 10_000
"""Findings of a pass that are kept; of more there is a count."""


class PassKind(StrEnum):
    """Who makes a pass."""

    COMMAND = "command"
    BACKGROUND = "background"


class PassState(StrEnum):
    """How a pass stands."""

    RUNNING = "running"
    """Under way, or interrupted."""
    ENDED = "ended"


class Step(StrEnum):
    """Parts of the walk over a data store, in their order."""

    KEYS = "keys"
    IMAGE_SETS = "image-sets"
    STUDIES = "studies"
    PACKS = "packs"


@dataclass(frozen=True, slots=True)
class Position:
    """Up to where a pass has come: all before this is done.

    Attributes
    ----------
    datastore_id : str
        Data store that is under way; empty before the first.
    step : Step
        Part of it that is under way.
    after : str
        Last thing of the step that is done; empty before the first.
    """

    datastore_id: str = ""
    step: Step = Step.KEYS
    after: str = ""


@dataclass(frozen=True, slots=True)
class Pass:
    """A pass of verification; the attributes are those of the row."""

    id: str
    kind: PassKind
    scope: Scope
    began_at: int
    total_bytes: int
    state: PassState = PassState.RUNNING
    updated_at: int = 0
    seconds: float = 0.0
    largest_lot: int | None = None
    position: Position = Position()
    counts: Counter[str] = field(default_factory=Counter)
    findings: tuple[Finding, ...] = ()

    @property
    def damages(self) -> int:
        """How many findings are damage."""
        return sum(finding.severity is Severity.DAMAGE for finding in self.findings)

    @property
    def unchecked(self) -> int:
        """How many findings are about what could not be looked at."""
        return sum(finding.severity is Severity.UNCHECKED for finding in self.findings)

    def with_unit(self, position: Position, counts: Counter[str], findings: Iterable[Finding]) -> Pass:
        """Return the pass with what a unit of the walk found added."""
        new = set(findings).difference(self.findings)
        found = sorted(new.union(self.findings))[:MOST_FINDINGS] if new else self.findings
        return replace(
            self, position=position, counts=self.counts + counts + Counter(findings=len(new)), findings=tuple(found)
        )


def begin_pass(image_store: ImageStore, kind: PassKind, scope: Scope) -> Pass:
    """Begin a pass, and forget the oldest of its kind; an unfinished one of its kind and scope is not gone on with any more.

    Parameters
    ----------
    image_store : ImageStore
        Where it is kept.
    kind : PassKind
        Who makes it.
    scope : Scope
        What it looks at.
    """
    name, now = new_id(), now_ms()
    lot = largest_lot_of(image_store, scope, name)
    begun = Pass(name, kind, scope, now, _total_bytes(image_store, scope), updated_at=now, largest_lot=lot)
    columns = verification_passes.c
    with image_store.database.write() as connection:
        of_kind = columns.kind == kind.value
        unfinished = (of_kind, columns.scope == _scope_text(scope), columns.state == PassState.RUNNING.value)
        connection.execute(delete(verification_passes).where(*unfinished))
        kept = connection.execute(
            select(columns.id).where(of_kind).order_by(columns.began_at.desc(), columns.id).limit(_MOST_KEPT - 1)
        ).scalars()
        connection.execute(delete(verification_passes).where(of_kind, columns.id.not_in(list(kept))))
        connection.execute(insert(verification_passes).values(id=begun.id, kind=kind.value, **_values(begun)))
    return begun


def save_pass(image_store: ImageStore, current: Pass, item: WorkItem | None = None) -> None:
    """Write down how far a pass has come.

    Parameters
    ----------
    image_store : ImageStore
        Where it is kept.
    current : Pass
        The pass.
    item : WorkItem or None
        The work item whose lease must still be ours.

    Raises
    ------
    LeaseLostError
        Somebody else makes the pass.
    """
    with image_store.database.write() as connection:
        if item is not None:
            image_store.queue.hold(connection, item)
        own = verification_passes.c.id == current.id
        connection.execute(update(verification_passes).where(own).values(**_values(current)))


def find_unfinished(image_store: ImageStore, kind: PassKind, scope: Scope | None = None) -> Pass | None:
    """Return the last pass of a kind, of a scope where one is named, that did not come to its end."""
    columns = verification_passes.c
    query = select(verification_passes).where(columns.kind == kind.value, columns.state == PassState.RUNNING.value)
    if scope is not None:
        query = query.where(columns.scope == _scope_text(scope))
    with image_store.database.read() as connection:
        row = connection.execute(query.order_by(columns.began_at.desc()).limit(1)).first()
    return None if row is None else _read(row)


def list_passes(image_store: ImageStore, kinds: Collection[PassKind] = tuple(PassKind)) -> list[Pass]:
    """Return the passes that are kept, the newest first."""
    columns = verification_passes.c
    query = select(verification_passes).where(columns.kind.in_([kind.value for kind in kinds]))
    with image_store.database.read() as connection:
        return [_read(row) for row in connection.execute(query.order_by(columns.began_at.desc(), columns.id))]


def _total_bytes(image_store: ImageStore, scope: Scope) -> int:
    """Return how many bytes the latest versions of the image sets have; older ones and deleted ones come to it."""
    columns = image_sets.c
    query = select(func.coalesce(func.sum(columns.stored_bytes), 0))
    if scope.datastore_id:
        query = query.where(columns.datastore_id == scope.datastore_id)
    if scope.image_set_id:
        query = query.where(columns.id == scope.image_set_id)
    with image_store.database.read() as connection:
        return int(connection.execute(query).scalar_one())


def _scope_text(scope: Scope) -> str:
    return orjson.dumps(scope.to_json(), option=orjson.OPT_SORT_KEYS).decode()


def _values(current: Pass) -> dict[str, Any]:
    return {
        "scope": _scope_text(current.scope),
        "state": current.state.value,
        "began_at": current.began_at,
        "updated_at": now_ms(),
        "total_bytes": current.total_bytes,
        "seconds": current.seconds,
        "position": orjson.dumps({**asdict(current.position), "largest_lot": _text(current.largest_lot)}).decode(),
        "counts": orjson.dumps(current.counts).decode(),
        "findings": orjson.dumps([finding.to_json() for finding in current.findings]).decode(),
    }


def _text(lot: int | None) -> str | None:
    # Larger than the numbers of JSON.
    return None if lot is None else str(lot)


def _read(row: Row[Any]) -> Pass:
    position = orjson.loads(row.position)
    lot = position.pop("largest_lot")
    return Pass(
        id=row.id,
        kind=PassKind(row.kind),
        scope=Scope.from_json(orjson.loads(row.scope)),
        began_at=row.began_at,
        total_bytes=row.total_bytes,
        state=PassState(row.state),
        updated_at=row.updated_at,
        seconds=row.seconds,
        largest_lot=None if lot is None else int(lot),
        position=Position(position["datastore_id"], Step(position["step"]), position["after"]),
        counts=Counter(orjson.loads(row.counts)),
        findings=tuple(Finding.from_json(values) for values in orjson.loads(row.findings)),
    )
