"""Findings of a verification: what is wrong, where, and how grave that is; nothing of them names a patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final


class Severity(StrEnum):
    """What a finding means."""

    DAMAGE = "damage"
    """Something is not as it was written, or parts contradict each other."""
    UNCHECKED = "unchecked"
    """Something could not be looked at, for example because a key service or an object store does not answer."""
    NOTE = "note"
    """Something to know that is no damage."""


class FindingKind(StrEnum):
    """What is wrong; `SEVERITIES` says how grave it is."""

    PACK_MISSING = "pack-missing"
    PACK_DAMAGED = "pack-damaged"
    RECORD_MISSING = "record-missing"
    RECORD_DAMAGED = "record-damaged"
    FRAME_WRONG = "frame-wrong"
    DOCUMENT_WRONG = "document-wrong"
    ROW_MISSING = "row-missing"
    ROW_WRONG = "row-wrong"
    INDEX_WRONG = "index-wrong"
    KEY_WRONG = "key-wrong"
    ORPHANED_PACK = "orphaned-pack"
    AUDIT_TRAIL_WRONG = "audit-trail-wrong"
    AUDIT_TRAIL_NOTE = "audit-trail-note"
    DATABASE_DAMAGED = "database-damaged"
    NOT_CHECKED = "not-checked"


SEVERITIES: Final[Mapping[FindingKind, Severity]] = MappingProxyType(
    dict.fromkeys(FindingKind, Severity.DAMAGE)
    | {FindingKind.NOT_CHECKED: Severity.UNCHECKED, FindingKind.AUDIT_TRAIL_NOTE: Severity.NOTE}
)


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One finding, and where it is; what does not apply is empty, or None.

    Attributes
    ----------
    datastore_id : str
        Data store.
    image_set_id : str
        Image set.
    instance : str
        Key of the instance: the first 24 digits of its frame ids.
    frame : int
        Number of the frame from 1 on; 0 where it is about none.
    pack_id : str
        Pack.
    kind : FindingKind
        What is wrong.
    what : str
        The same in words.
    """

    datastore_id: str = ""
    image_set_id: str = ""
    instance: str = ""
    frame: int = 0
    pack_id: str = ""
    kind: FindingKind = FindingKind.NOT_CHECKED
    what: str = ""

    @property
    def severity(self) -> Severity:
        """How grave it is."""
        return SEVERITIES[self.kind]

    def to_json(self) -> dict[str, Any]:
        """Return the finding as a member of the report."""
        names = {"datastore_id": "datastoreId", "image_set_id": "imageSetId", "pack_id": "packId"}
        values = {names.get(name, name): value for name, value in asdict(self).items() if value}
        return {"severity": self.severity.value, **values}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Finding:
        """Read what `to_json` gave."""
        return cls(
            datastore_id=values.get("datastoreId", ""),
            image_set_id=values.get("imageSetId", ""),
            instance=values.get("instance", ""),
            frame=values.get("frame", 0),
            pack_id=values.get("packId", ""),
            kind=FindingKind(values["kind"]),
            what=values.get("what", ""),
        )

    def line(self) -> str:
        """Return the finding as a line for people."""
        places = [
            (name, value)
            for name, value in (
                ("data store", self.datastore_id),
                ("image set", self.image_set_id),
                ("instance", self.instance),
                ("frame", self.frame),
                ("pack", self.pack_id),
            )
            if value
        ]
        where = ", ".join(f"{name} {value}" for name, value in places)
        head = f"{self.severity.value.upper()}  {self.kind.value}"
        return f"{head}: {self.what}" + (f" ({where})" if where else "")
