"""Organising instances into image sets: the rules one by one, and what must hold whatever comes."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from hounsfield.imaging.grouping_keys import SeriesKey, variant_of
from hounsfield.imaging.ingest.grouping import ExistingImageSets, PrimaryImageSet, group_instances, group_requests
from hounsfield.imaging.staged_instance import StagedInstance
from support.imaging.staged_instances import staged


def numbered(*instances: StagedInstance) -> list[tuple[int, StagedInstance]]:
    return list(enumerate(instances))


def primary(instance: StagedInstance, version: int = 1) -> tuple[SeriesKey, PrimaryImageSet]:
    key = SeriesKey(instance.grouping.study_uid, instance.grouping.series_uid)
    return key, PrimaryImageSet("a" * 32, version, variant_of(instance.grouping))


def test_one_series_makes_one_primary_set() -> None:
    (assignment,) = group_instances(numbered(staged("1"), staged("2"), staged("3")), ExistingImageSets())
    assert assignment.is_primary
    assert assignment.extends is None
    assert assignment.ordinals == (0, 1, 2)


def test_a_second_job_extends_the_primary_set() -> None:
    series, existing = primary(staged("1"), version=4)
    (assignment,) = group_instances(numbered(staged("9")), ExistingImageSets({series: existing}))
    assert assignment.is_primary
    assert assignment.extends == existing


def test_another_patient_makes_a_new_non_primary_set() -> None:
    series, existing = primary(staged("1"))
    (assignment,) = group_instances(numbered(staged("9", patient="Q")), ExistingImageSets({series: existing}))
    assert not assignment.is_primary
    assert assignment.extends is None


def test_two_variants_in_one_job_make_a_primary_and_a_non_primary_set() -> None:
    instances = numbered(staged("1"), staged("2", patient="Q"), staged("3", patient="Q"), staged("4"), staged("5"))
    placements = {p.is_primary: p.ordinals for p in group_instances(instances, ExistingImageSets())}
    assert placements == {True: (0, 3, 4), False: (1, 2)}


def test_the_larger_variant_becomes_primary_even_when_it_comes_later() -> None:
    instances = numbered(staged("1", patient="Q"), staged("2"), staged("3"))
    placements = {p.is_primary: p.ordinals for p in group_instances(instances, ExistingImageSets())}
    assert placements == {True: (1, 2), False: (0,)}


def test_a_new_series_that_contradicts_its_study_is_not_primary() -> None:
    series, existing = primary(staged("1"))
    (assignment,) = group_instances(
        numbered(staged("9", series="1.2", patient="Q")), ExistingImageSets({series: existing})
    )
    assert not assignment.is_primary


def test_a_new_series_that_agrees_with_its_study_is_primary() -> None:
    series, existing = primary(staged("1"))
    (assignment,) = group_instances(
        numbered(staged("9", series="1.2", number="2")), ExistingImageSets({series: existing})
    )
    assert assignment.is_primary


def test_the_later_of_two_files_of_one_instance_enters() -> None:
    (assignment,) = group_instances(numbered(staged("1"), staged("2"), staged("1")), ExistingImageSets())
    assert assignment.ordinals == (1, 2)
    assert assignment.superseded == (0,)


def test_an_instance_that_another_series_owns_is_not_primary() -> None:
    existing = ExistingImageSets({}, {"1": SeriesKey("7", "7.1")})
    placements = {p.is_primary: p.ordinals for p in group_instances(numbered(staged("1"), staged("2")), existing)}
    assert placements == {True: (1,), False: (0,)}


def test_one_sop_uid_in_two_series_of_a_job_is_primary_once() -> None:
    placements = group_instances(numbered(staged("1", series="1.1"), staged("1", series="1.2")), ExistingImageSets())
    assert Counter(p.is_primary for p in placements) == {True: 1, False: 1}


INSTANCES = st.lists(
    st.builds(
        staged,
        sop=st.sampled_from("123456"),
        series=st.sampled_from(["1.1", "1.2", "2.1"]),
        study=st.sampled_from(["1", "2"]),
        patient=st.sampled_from("PQ"),
        number=st.sampled_from("12"),
    ),
    max_size=25,
)


@given(INSTANCES)
def test_every_file_is_placed_once_and_every_set_is_consistent(instances: list[StagedInstance]) -> None:
    placements = group_instances(numbered(*instances), ExistingImageSets())
    placed = [o for p in placements for o in (*p.ordinals, *p.superseded)]
    assert sorted(placed) == list(range(len(instances)))
    primaries = Counter(p.series for p in placements if p.is_primary)
    assert all(count == 1 for count in primaries.values())
    for assignment in placements:
        members = [instances[o] for o in assignment.ordinals]
        assert len({m.grouping for m in members}) == 1
        assert len({m.sop_uid for m in members}) == len(members)
    primary_sops = [instances[o].sop_uid for p in placements if p.is_primary for o in p.ordinals]
    assert len(primary_sops) == len(set(primary_sops))
    for study in {p.series.study_uid for p in placements if p.is_primary}:
        variants = {
            variant_of(instances[p.ordinals[0]].grouping).study
            for p in placements
            if p.is_primary and p.series.study_uid == study
        }
        assert len(variants) == 1


@given(INSTANCES, INSTANCES)
def test_a_second_job_never_makes_a_second_primary_set(
    first: list[StagedInstance], second: list[StagedInstance]
) -> None:
    primaries: dict[SeriesKey, PrimaryImageSet] = {}
    owners: dict[str, SeriesKey] = {}
    for assignment in group_instances(numbered(*first), ExistingImageSets()):
        if assignment.is_primary:
            variant = variant_of(first[assignment.ordinals[0]].grouping)
            primaries[assignment.series] = PrimaryImageSet("b" * 32, 1, variant)
            owners.update({first[o].sop_uid: assignment.series for o in assignment.ordinals})
    for assignment in group_instances(numbered(*second), ExistingImageSets(primaries, owners)):
        if assignment.is_primary:
            assert assignment.extends == primaries.get(assignment.series)
            if assignment.extends is not None:
                assert {variant_of(second[o].grouping) for o in assignment.ordinals} == {assignment.extends.variant}
            assert all(
                owners.get(second[o].sop_uid, assignment.series) == assignment.series for o in assignment.ordinals
            )


def test_a_staged_instance_survives_being_stored() -> None:
    instance = staged("1")
    assert StagedInstance.from_bytes(instance.to_bytes()) == instance


# Few of each, so that requests agree and contradict often.
_REQUESTS = st.lists(
    st.lists(
        st.tuples(st.sampled_from(("1.1", "1.2")), st.sampled_from(("1", "2")), st.sampled_from(("P", "Q"))),
        min_size=1,
        max_size=4,
    ),
    max_size=6,
)


@given(_REQUESTS)
def test_requests_organised_together_go_where_they_would_go_in_turn(made: list[list[tuple[str, str, str]]]) -> None:
    requests = []
    number = 0
    for request in made:
        of_request = []
        for series, study, patient in request:
            of_request.append((number, staged(f"9.{number}", f"{study}.{series}", study, patient)))
            number += 1
        requests.append(of_request)
    together = group_requests(requests, ExistingImageSets())

    primaries: dict[SeriesKey, PrimaryImageSet] = {}
    primary_ordinals: dict[SeriesKey, tuple[int, ...]] = {}
    apart = []
    for request in requests:
        of_ordinal = dict(request)
        for assignment in group_instances(request, ExistingImageSets(primaries)):
            if assignment.is_primary:
                series = assignment.series
                before = primary_ordinals.get(series, ())
                assert (assignment.extends is not None) == bool(before)
                primary_ordinals[series] = before + assignment.ordinals
                primaries[series] = primary(of_ordinal[assignment.ordinals[0]])[1]
            else:
                apart.append((assignment.series, assignment.ordinals))
    assert {p.series: p.ordinals for p in together if p.is_primary} == primary_ordinals
    assert [(p.series, p.ordinals) for p in together if not p.is_primary] == apart
    assert all(p.extends is None for p in together)


def test_requests_organised_together_extend_what_is_there() -> None:
    series, existing = primary(staged("1"), version=4)
    together = group_requests([[(0, staged("8"))], [(1, staged("9"))]], ExistingImageSets({series: existing}))
    assert [(p.extends, p.ordinals) for p in together] == [(existing, (0, 1))]
