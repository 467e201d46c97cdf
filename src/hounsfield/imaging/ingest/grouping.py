"""The grouping of new instances into image sets: primary or not, new or extended. Pure: values in, a plan out.

Rules (developer guide, "Understanding import jobs"; docs/reference/api/import-jobs.md for what it leaves open):

1. One primary image set per series; it holds instances that agree in the seven grouping elements.
2. An instance conflicts when it differs in one of them from the primary set of its series, or in a study-level one from any
   primary set of its study, or when its SOP Instance UID is in the primary set of another series already.
3. Conflicting instances of a job that agree among themselves form one new non-primary image set.
4. Where nothing is there yet, the variant with the most instances becomes primary; among equals the first in file order.
5. An instance that is there already is replaced; of two in one job the later in file order wins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from hounsfield.imaging.grouping_keys import SeriesKey, StudyVariant, Variant, variant_of
from hounsfield.imaging.staged_instance import StagedInstance


@dataclass(frozen=True, slots=True)
class PrimaryImageSet:
    """A primary image set as it is now; a locked one is being changed and takes no instances until that is done."""

    image_set_id: str
    version: int
    variant: Variant
    locked: bool = False


@dataclass(frozen=True, slots=True)
class ExistingImageSets:
    """What the data store holds that matters to the new instances.

    ``primaries`` has every primary set of each study that a new instance belongs to; ``owners`` says in which primary series
    a SOP Instance UID of the new instances is already.
    """

    primaries: Mapping[SeriesKey, PrimaryImageSet] = field(default_factory=dict)
    owners: Mapping[str, SeriesKey] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Assignment:
    """New instances for one image set: an existing primary set, or a new set when ``extends`` is None."""

    series: SeriesKey
    is_primary: bool
    extends: PrimaryImageSet | None
    ordinals: tuple[int, ...]
    """File ordinals of the instances that enter the set, in file order."""
    superseded: tuple[int, ...]
    """File ordinals of instances that a later file of the same job replaces."""


def group_instances(staged: Sequence[tuple[int, StagedInstance]], existing: ExistingImageSets) -> list[Assignment]:
    """Plan where the instances of one job go.

    Parameters
    ----------
    staged : Sequence[tuple[int, StagedInstance]]
        File ordinal and instance, in file order.
    existing : ExistingImageSets
        What is there already.

    Returns
    -------
    list[Assignment]
        Every ordinal is in exactly one assignment, either entering or superseded.
    """
    leading = _choose_leading_variants(staged, existing)
    owners = dict(existing.owners)
    groups: dict[tuple[SeriesKey, Variant, bool], list[tuple[int, str]]] = {}
    for ordinal, instance in staged:
        series = SeriesKey(instance.grouping.study_uid, instance.grouping.series_uid)
        variant = variant_of(instance.grouping)
        primary = leading.get(series) == variant and owners.get(instance.sop_uid, series) == series
        if primary:
            owners[instance.sop_uid] = series
        groups.setdefault((series, variant, primary), []).append((ordinal, instance.sop_uid))
    return [
        _assign(series, primary, existing.primaries.get(series) if primary else None, members)
        for (series, _, primary), members in groups.items()
    ]


def group_requests(
    requests: Sequence[Sequence[tuple[int, StagedInstance]]], existing: ExistingImageSets
) -> list[Assignment]:
    """Plan where the instances of several requests go that are committed together.

    They go where they would go if the requests were committed one after another, but for this: an image set that several of
    them extend, or that one makes and others extend, has one assignment.

    Parameters
    ----------
    requests : Sequence of sequences of (int, StagedInstance)
        Ordinal and instance of each request. Ordinals are unique over all, and no two requests have a SOP Instance UID in
        common.
    existing : ExistingImageSets
        What is there already.
    """
    primaries = dict(existing.primaries)
    joined: dict[SeriesKey, Assignment] = {}
    apart: list[Assignment] = []
    for request in requests:
        of_ordinal = dict(request)
        for assignment in group_instances(request, ExistingImageSets(primaries, existing.owners)):
            if not assignment.is_primary:
                apart.append(assignment)
                continue
            joined[assignment.series] = _merge(joined.get(assignment.series), assignment)
            if assignment.extends is None:
                # Of this image set no more need be known than what the next requests are compared with.
                variant = variant_of(of_ordinal[assignment.ordinals[0]].grouping)
                primaries[assignment.series] = PrimaryImageSet("", 0, variant)
    return [*joined.values(), *apart]


def _merge(first: Assignment | None, then: Assignment) -> Assignment:
    if first is None:
        return then
    return replace(first, ordinals=first.ordinals + then.ordinals, superseded=first.superseded + then.superseded)


def _assign(
    series: SeriesKey, primary: bool, extends: PrimaryImageSet | None, members: list[tuple[int, str]]
) -> Assignment:
    last = {sop_uid: ordinal for ordinal, sop_uid in members}
    entering = tuple(sorted(last.values()))
    superseded = tuple(ordinal for ordinal, sop_uid in members if last[sop_uid] != ordinal)
    return Assignment(series, primary, extends, entering, superseded)


def _choose_leading_variants(
    staged: Sequence[tuple[int, StagedInstance]], existing: ExistingImageSets
) -> dict[SeriesKey, Variant]:
    """Return for each series the variant that its primary set has or gets."""
    by_study: dict[str, Counter[StudyVariant]] = {}
    for _, instance in staged:
        variant = variant_of(instance.grouping)
        by_study.setdefault(instance.grouping.study_uid, Counter())[variant.study] += 1
    # Counter.most_common keeps first-seen order among equals.
    study_variants = {study: {counts.most_common(1)[0][0]} for study, counts in by_study.items()}
    present: dict[str, set[StudyVariant]] = {}
    for series, primary in existing.primaries.items():
        present.setdefault(series.study_uid, set()).add(primary.variant.study)
    study_variants.update({study: variants for study, variants in present.items() if study in study_variants})

    by_series: dict[SeriesKey, Counter[Variant]] = {}
    for _, instance in staged:
        variant = variant_of(instance.grouping)
        # A study whose primary sets disagree already (after corrections) takes no further series as primary.
        if study_variants[instance.grouping.study_uid] == {variant.study}:
            series = SeriesKey(instance.grouping.study_uid, instance.grouping.series_uid)
            by_series.setdefault(series, Counter())[variant] += 1
    leading = {series: counts.most_common(1)[0][0] for series, counts in by_series.items()}
    leading.update({series: primary.variant for series, primary in existing.primaries.items()})
    return leading


@dataclass(frozen=True, slots=True)
class Destination:
    """The image set version that the instances of some files went to; ``ordinals`` are of the files that are in it."""

    image_set_id: str
    version: int
    is_primary: bool
    ordinals: tuple[int, ...]
    superseded: tuple[int, ...]
