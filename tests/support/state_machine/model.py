"""What a data store must hold after each operation, in plain Python, with no code of the server.

The rules are those of docs/reference/api/import-jobs.md.

    Model ─▶ ModelSet ─▶ ModelVersion ─▶ levels, ModelInstance ─▶ attributes, Pixels
             (image set)

Every operation of the model changes it and says how the server must answer: `Outcome`. Versions are never changed once made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, NamedTuple

from numpy.typing import NDArray

Place = str
"""``Patient``, ``Study``, ``Series``, or the SOP Instance UID of an instance."""

LEVELS = ("Patient", "Study", "Series")
UIDS = frozenset({"StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"})
NEEDS_FORCE = UIDS | {"StudyID", "00190010", "001910F9"}
NEEDS_FORCE_TO_SET = NEEDS_FORCE | {"ImageType", "WindowCenterWidthExplanation"}


class Outcome(Enum):
    """How the server must answer."""

    DONE = "the new version is a success"
    FAILED = "the new version is a failure with the content of the one before"
    REFUSED = "an error, nothing changes"


class Pixels:
    """The frames of an instance as they went in; ``ids`` and ``data`` are what the server first answered."""

    def __init__(self, samples: NDArray[Any], copied_from: Pixels | None = None) -> None:
        self.samples = samples
        self.copied_from = copied_from
        self.ids: tuple[str, ...] = ()
        self.data: dict[str, bytes] = {}

    def copy(self) -> Pixels:
        return Pixels(self.samples, copied_from=self)


@dataclass(frozen=True)
class ModelInstance:
    attributes: Mapping[str, Any]
    vrs: Mapping[str, str]
    pixels: Pixels


Levels = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class ModelVersion:
    levels: Levels
    instances: Mapping[str, ModelInstance]
    status: str
    primary: bool
    forced: bool = False

    @property
    def failed(self) -> bool:
        return self.status.endswith("FAILED")


class ModelSet:
    """An image set; ``id`` is the server's, given when it first names the set."""

    def __init__(self, name: str, first: ModelVersion) -> None:
        self.name = name
        self.versions = [first]
        self.id = ""
        self.deleted = False

    def __repr__(self) -> str:
        return f"{self.name}(v{len(self.versions)}{', primary' if self.latest.primary else ''})"

    @property
    def latest(self) -> ModelVersion:
        return self.versions[-1]


class Slice(NamedTuple):
    """One file of an import: what the document must show of it."""

    levels: Levels
    sop_uid: str
    instance: ModelInstance


class SeriesKey(NamedTuple):
    study_uid: str
    series_uid: str


class Variant(NamedTuple):
    """The other five of the seven grouping elements; the first four are those of the study."""

    study: tuple[str, str, str, str]
    series_number: str


class Placement(NamedTuple):
    """Files (by number) that go to one image set; of equal SOP Instance UIDs the last one stays."""

    target: ModelSet
    files: tuple[int, ...]


@dataclass(frozen=True)
class Change:
    """An update: values to set and keys to remove at places, instances to remove."""

    values: Mapping[tuple[Place, str], Any] = field(default_factory=dict)
    removed: frozenset[tuple[Place, str]] = frozenset()
    removed_instances: frozenset[str] = frozenset()
    vrs: Mapping[str, str] = field(default_factory=dict)

    @property
    def keys(self) -> set[str]:
        return {key for _, key in self.values} | {key for _, key in self.removed}

    def at(self, place: Place) -> tuple[dict[str, Any], set[str]]:
        values = {key: value for (where, key), value in self.values.items() if where == place}
        return values, {key for where, key in self.removed if where == place}

    @property
    def places(self) -> set[Place]:
        return {place for place, _ in self.values} | {place for place, _ in self.removed}


@dataclass(frozen=True)
class Copy:
    """A copy: all instances when ``only`` is None, a new image set when ``into`` is None."""

    source: ModelSet
    into: ModelSet | None = None
    only: frozenset[str] | None = None
    force: bool = False
    promote: bool = False


def text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def series_of(levels: Levels) -> SeriesKey:
    return SeriesKey(text(levels["Study"]["StudyInstanceUID"]), text(levels["Series"]["SeriesInstanceUID"]))


def variant_of(levels: Levels) -> Variant:
    study = levels["Study"]
    return Variant(
        (
            text(study.get("StudyDate")),
            text(study.get("AccessionNumber")),
            text(levels["Patient"].get("PatientID")),
            text(study.get("StudyID")),
        ),
        text(levels["Series"].get("SeriesNumber")),
    )


def merged(older: Levels, newer: Levels) -> Levels:
    return {level: {**older[level], **newer[level]} for level in LEVELS}


class Model:
    """All image sets of one data store, also deleted ones."""

    def __init__(self) -> None:
        self.sets: list[ModelSet] = []

    @property
    def live(self) -> list[ModelSet]:
        return [entry for entry in self.sets if not entry.deleted]

    @property
    def primaries(self) -> list[ModelSet]:
        return [entry for entry in self.live if entry.latest.primary]

    def primary_of(self, series: SeriesKey) -> ModelSet | None:
        return next((entry for entry in self.primaries if series_of(entry.latest.levels) == series), None)

    def study_variants(self, study_uid: str) -> set[tuple[str, str, str, str]]:
        levels = [entry.latest.levels for entry in self.primaries]
        return {variant_of(found).study for found in levels if series_of(found).study_uid == study_uid}

    def _new(self, version: ModelVersion) -> ModelSet:
        self.sets.append(ModelSet(f"set-{len(self.sets) + 1}", version))
        return self.sets[-1]

    # Importing

    def import_(self, slices: Sequence[Slice]) -> list[Placement]:
        """Organise the files of one job."""
        groups: dict[tuple[SeriesKey, Variant, bool], list[int]] = {}
        leading = self._leading(slices)
        holders = {uid: series_of(e.latest.levels) for e in self.primaries for uid in e.latest.instances}
        for number, entry in enumerate(slices):
            series, variant = series_of(entry.levels), variant_of(entry.levels)
            primary = leading.get(series) == variant and holders.get(entry.sop_uid, series) == series
            if primary:
                holders[entry.sop_uid] = series
            groups.setdefault((series, variant, primary), []).append(number)
        placements = []
        for (series, _, primary), numbers in groups.items():
            target = self.primary_of(series) if primary else None
            levels: Levels = {level: {} for level in LEVELS}
            entering = {slices[number].sop_uid: slices[number] for number in numbers}
            for entry in sorted(entering.values(), key=slices.index):
                levels = merged(levels, entry.levels)
            new = {uid: entry.instance for uid, entry in entering.items()}
            if target is None:
                target = self._new(ModelVersion(levels, new, "CREATED", primary))
            else:
                old = target.latest
                version = ModelVersion(merged(old.levels, levels), {**old.instances, **new}, "IMPORTED", primary=True)
                target.versions.append(version)
            placements.append(Placement(target, tuple(numbers)))
        return placements

    def _leading(self, slices: Sequence[Slice]) -> dict[SeriesKey, Variant]:
        """Return the variant that the primary set of each series has, or would get."""
        of_study: dict[str, Counter[tuple[str, str, str, str]]] = {}
        for entry in slices:
            of_study.setdefault(series_of(entry.levels).study_uid, Counter())[variant_of(entry.levels).study] += 1
        of_series: dict[SeriesKey, Counter[Variant]] = {}
        for entry in slices:
            series, variant = series_of(entry.levels), variant_of(entry.levels)
            most = of_study[series.study_uid].most_common(1)[0][0]
            if variant.study in (present := self.study_variants(series.study_uid) or {most}) and len(present) == 1:
                of_series.setdefault(series, Counter())[variant] += 1
        leading = {series: counts.most_common(1)[0][0] for series, counts in of_series.items()}
        return leading | {series_of(e.latest.levels): variant_of(e.latest.levels) for e in self.primaries}

    # Updating

    def update(self, target: ModelSet, change: Change, *, force: bool, whole_study: bool = False) -> Outcome:
        now = target.latest
        if self._forbidden(target, change, force=force, whole_study=whole_study):
            return Outcome.REFUSED
        siblings = []
        if whole_study:
            study = series_of(now.levels).study_uid
            siblings = [e for e in self.primaries if e is not target and series_of(e.latest.levels).study_uid == study]
        missing = any(
            not change.at(place)[1] <= now.instances[place].attributes.keys()
            for place in change.places
            if place in now.instances
        )
        if missing:
            self._fail([target, *siblings], "UPDATE_FAILED", forced=force)
            return Outcome.FAILED
        instances = {}
        for uid, instance in now.instances.items():
            if uid not in change.removed_instances:
                edited = _edited(instance, change, uid)
                instances[edited.attributes["SOPInstanceUID"]] = edited
        target.versions.append(
            ModelVersion(_edited_levels(now.levels, change), instances, "UPDATED", now.primary, forced=force)
        )
        for sibling in siblings:
            levels = _edited_levels(sibling.latest.levels, change)
            sibling.versions.append(replace(sibling.latest, levels=levels, status="UPDATED", forced=force))
        return Outcome.DONE

    def _forbidden(self, target: ModelSet, change: Change, *, force: bool, whole_study: bool) -> bool:
        now = target.latest
        set_keys = {key for _, key in change.values}
        left = now.instances.keys() - change.removed_instances
        uids = [change.values.get((uid, "SOPInstanceUID"), uid) for uid in left]
        nothing = not change.places and not change.removed_instances
        needs_force = bool(NEEDS_FORCE & change.keys or NEEDS_FORCE_TO_SET & set_keys or change.removed_instances)
        return (
            nothing
            or (now.primary and bool(UIDS & set_keys))
            or (needs_force and not force)
            or (whole_study and (not now.primary or not change.places <= {"Patient", "Study"}))
            or (whole_study and bool(change.removed_instances))
            or any(not change.at(level)[1] <= now.levels[level].keys() for level in LEVELS)
            or (bool(change.removed_instances) and not left)
            or len(set(uids)) != len(uids)
        )

    def revert(self, target: ModelSet, version: int) -> Outcome:
        if not 1 <= version <= len(target.versions):
            return Outcome.REFUSED
        wanted, now = target.versions[version - 1], target.latest
        if now.primary and self._in_other_primaries(target, wanted.instances):
            self._fail([target], "UPDATE_FAILED")
            return Outcome.FAILED
        target.versions.append(ModelVersion(wanted.levels, wanted.instances, "UPDATED", now.primary))
        return Outcome.DONE

    def _fail(self, targets: Sequence[ModelSet], status: str, *, forced: bool = False) -> None:
        for target in targets:
            target.versions.append(replace(target.latest, status=status, forced=forced))

    def _in_other_primaries(self, target: ModelSet | None, uids: Any) -> bool:
        others = [entry for entry in self.primaries if entry is not target]
        return any(not entry.latest.instances.keys().isdisjoint(uids) for entry in others)

    # Copying and deleting

    def copy(self, copy: Copy) -> tuple[Outcome, ModelSet | None]:
        """Copy; also gives the destination unless the copy is refused."""
        source, into = copy.source, copy.into
        if into is None and copy.promote:
            into = self.primary_of(series_of(source.latest.levels))
        chosen = source.latest.instances if copy.only is None else copy.only
        refused = (
            (copy.force and copy.promote)
            or into is source
            or (copy.promote and source.latest.primary)
            or (copy.promote and into is not None and not into.latest.primary)
            or (copy.force and into is not None and into.latest.primary)
            or not set(chosen) <= source.latest.instances.keys()
            or not chosen
        )
        if refused:
            return Outcome.REFUSED, None
        instances = {
            uid: replace(instance, pixels=instance.pixels.copy())
            for uid, instance in source.latest.instances.items()
            if uid in chosen
        }
        failed = self._clash(copy, into, set(instances))
        levels = source.latest.levels
        if into is None:
            if failed:
                version = ModelVersion(levels, {}, "COPY_FAILED", primary=False, forced=copy.force)
            else:
                version = ModelVersion(levels, instances, "COPIED", primary=copy.promote, forced=copy.force)
            into = self._new(version)
        elif failed:
            self._fail([into], "COPY_FAILED", forced=copy.force)
        else:
            now = into.latest
            if copy.promote:
                levels = merged(levels, now.levels)
            else:
                levels = now.levels
            together = {**now.instances, **instances}
            into.versions.append(ModelVersion(levels, together, "COPIED", now.primary, forced=copy.force))
        return (Outcome.FAILED if failed else Outcome.DONE), into

    def _clash(self, copy: Copy, into: ModelSet | None, uids: set[str]) -> bool:
        levels = copy.source.latest.levels
        if into is not None:
            if not copy.force and not copy.promote and _present(levels) != _present(into.latest.levels):
                return True
            grouping = (series_of(levels), variant_of(levels))
            other = (series_of(into.latest.levels), variant_of(into.latest.levels))
            if copy.promote and grouping != other:
                return True
            if uids & into.latest.instances.keys():
                return True
        elif copy.promote and not self.study_variants(series_of(levels).study_uid) <= {variant_of(levels).study}:
            return True
        primary = copy.promote or (into is not None and into.latest.primary)
        return primary and self._in_other_primaries(into, uids)

    def delete(self, target: ModelSet) -> None:
        target.deleted = True


def _present(levels: Levels) -> dict[str, dict[str, Any]]:
    """Levels as a plain copy compares them: an empty element is as good as none, blanks at the ends do not count."""
    return {level: {key: text(value) for key, value in levels[level].items() if text(value)} for level in LEVELS}


def _edited_levels(levels: Levels, change: Change) -> Levels:
    after = {}
    for level in LEVELS:
        values, removed = change.at(level)
        after[level] = {key: value for key, value in levels[level].items() if key not in removed} | values
    return after


def _edited(instance: ModelInstance, change: Change, uid: str) -> ModelInstance:
    values, removed = change.at(uid)
    if not values and not removed:
        return instance
    attributes = {key: value for key, value in instance.attributes.items() if key not in removed} | values
    if "SOPInstanceUID" in values:
        attributes["MediaStorageSOPInstanceUID"] = values["SOPInstanceUID"]
    vrs = {**instance.vrs, **change.vrs}
    return replace(instance, attributes=attributes, vrs={key: vrs[key] for key in vrs if key in attributes})
