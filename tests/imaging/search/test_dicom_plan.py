"""Plans of DICOMweb searches: whichever way is chosen the results are the same, and no way reads a whole table."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Row, insert, select

from hounsfield.dicom.healthimaging.document import Levels
from hounsfield.dicom.values.dictionary import TAGS
from hounsfield.imaging.levels import index_entry
from hounsfield.imaging.search.attribute_matching import Criterion, WordMatch, parse_match
from hounsfield.imaging.search.dicom_plan import DicomSearchPlan, StudyOrder
from hounsfield.imaging.search.reindex import ONE_WAITING
from hounsfield.imaging.search.search_keys import SEARCH_KEYS, SearchLevel
from hounsfield.imaging.study_rows import refresh_studies
from hounsfield.imaging.tag_index import index_tags
from hounsfield.storage.db.database import Database
from hounsfield.storage.db.engines import open_embedded, open_postgresql
from hounsfield.storage.db.image_set_tables import datastores, image_sets, instances
from hounsfield.storage.db.study_tables import STUDY_INDEXES, studies
from hounsfield.storage.db.tag_filters import AllOf, AnyOf, Formula, IdIs, Not, TagIs, holds
from support.examples import examples
from support.services.postgresql import PostgresqlServer

DATASTORE = "d" * 32
NAMES = ("Roe^Jane", "Roe^John", "Doe^Jane", "Smith^Ann")


def rows() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    chance = random.Random(5)
    series, members = [], []
    for number in range(90):
        study = number // 3
        levels = Levels(
            {"PatientName": NAMES[study % 4], "PatientID": f"P{study % 7}"},
            {
                "StudyInstanceUID": f"1.{study}",
                "StudyDate": f"202401{study % 28 + 1:02d}",
                "StudyDescription": "AB"[study % 2],
                "AccessionNumber": f"A{study}",
            },
            {"SeriesInstanceUID": f"2.{number}", "SeriesNumber": str(number % 5), "Modality": ("CT", "MR")[number % 2]},
        )
        identifier = f"{number:032x}"
        times = {"created_at": number, "updated_at": chance.randrange(9), "last_accessed_at": 0}
        series.append(
            {
                **asdict(index_entry(levels)),
                **times,
                "id": identifier,
                "datastore_id": DATASTORE,
                "is_primary": number % 11 != 0,
                "state": "ACTIVE",
                "latest_version": 1,
                "storage_tier": "FREQUENT_ACCESS",
                "instance_count": 2,
                "performed_date": f"202402{number % 9 + 1:02d}",
                "deleted_at": 1 if number % 13 == 0 else None,
            }
        )
        for ordinal in range(2):
            members.append(
                {
                    "key": f"{number:022x}{ordinal:02x}",
                    "image_set_id": identifier,
                    "datastore_id": DATASTORE,
                    "sop_uid": f"3.{number}.{ordinal}",
                    "sop_class_uid": f"4.{number % 3}",
                    "first_version": 1,
                    "last_version": 1 if number % 17 == 0 else None,
                    "source_key": "",
                    "pixel_kind": "none",
                    "frame_count": 0,
                    **{f"{kind}_{part}": 0 for kind in ("fragment", "dataset") for part in ("offset", "length")},
                    **dict.fromkeys(("fragment_pack_id", "dataset_pack_id"), ""),
                    "instance_order": ordinal,
                    "warning_reason": 45570 if number % 7 == 0 else None,
                }
            )
    return series, members


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    opened = filled(open_embedded(tmp_path_factory.mktemp("plan") / "h.db", bytes(32)))
    yield opened
    opened.close()


@pytest.fixture(scope="module", params=["embedded", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    if request.param == "embedded":
        yield request.getfixturevalue("embedded")
        return
    opened = filled(open_postgresql(request.getfixturevalue("postgresql_url")))
    yield opened
    opened.close()


def filled(opened: Database) -> Database:
    series, members = rows()
    values = {"account_id": "0" * 12, "name": "n", "status": "ACTIVE", "lossless_format": "HTJ2K", "wrapped_key": b""}
    with opened.write() as connection:
        connection.execute(insert(datastores).values(id=DATASTORE, created_at=0, updated_at=0, **values))
        connection.execute(insert(image_sets), series)
        connection.execute(insert(instances), members)
        refresh_studies(connection, DATASTORE, {row["study_uid"] for row in series})
        for row in series:
            if row["deleted_at"] is None:
                index_tags(connection, row["id"], tags_of(row["id"]))
    return opened


def tags_of(image_set_id: str) -> dict[str, str]:
    number = int(image_set_id, 16)
    return {"ward": str(number % 4), **({"team": "ab"[number % 2]} if number % 5 else {})}


VALUES: dict[str, tuple[str, ...]] = {
    "PatientName": ("roe*", "ROE^JANE", "*jane", "?oe^j*"),
    "PatientID": ("P1", "P*", "*2"),
    "StudyDate": ("20240102-20240110", "20240105", "-20240103", "20240120-"),
    "StudyDescription": ("A", "?"),
    "AccessionNumber": ("A1*", "A3"),
    "ModalitiesInStudy": ("CT", "M*", "CT,MR"),
    "StudyInstanceUID": ("1.1,1.2,1.3", "1.4"),
    "Modality": ("CT", "M*", "CT\\MR"),
    "SeriesInstanceUID": ("2.4", "2.4,2.5"),
    "SeriesNumber": ("1", "3"),
    "PerformedProcedureStepStartDate": ("20240203-20240205",),
    "SOPClassUID": ("4.1", "4.0,4.2"),
    "SOPInstanceUID": ("3.4.1", "3.4.1,3.5.0"),
    "InstanceNumber": ("1", "4"),
    "WarningReason": ("45570", "*", "455*", "1"),
}


def criteria(level: SearchLevel, chosen: dict[str, str], *, fuzzy: bool) -> list[Criterion]:
    found = []
    for keyword, value in chosen.items():
        key = SEARCH_KEYS[TAGS[keyword]]
        match = parse_match(key, value, fuzzy=fuzzy)
        if key.level <= level and match is not None:
            found.append(Criterion(key, match))
    return found


@settings(max_examples=examples(80), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(SearchLevel),
    st.lists(st.sampled_from(sorted(VALUES)), max_size=3, unique=True).flatmap(
        lambda keys: st.fixed_dictionaries({key: st.sampled_from(VALUES[key]) for key in keys})
    ),
    st.booleans(),
)
def test_every_way_finds_the_same(database: Database, level: SearchLevel, chosen: dict[str, str], fuzzy: bool) -> None:
    given_criteria = criteria(level, chosen, fuzzy=fuzzy)
    with database.read() as connection:
        ways = [
            DicomSearchPlan(DATASTORE, level, given_criteria, few=few, few_entries=entries, few_below=below)
            for few, entries, below in ((5000, 40000, 20000), (5000, 40000, 5), (0, 40000, 0), (0, 0, 0))
        ]
        # Only PostgreSQL is told of studies by their UIDs.
        ways.append(DicomSearchPlan(DATASTORE, level, given_criteria, few_studies=0))
        first, *others = [way.find(connection, 0, 1000) for way in ways]
        assert others == [first] * 4
        assert [way.find(connection, 3, 4) for way in ways] == [first[3:7]] * 5
        assert [way.find(connection, 5000, 4) for way in ways] == [[]] * 5


ORDERS = [StudyOrder(column, descending) for column in STUDY_INDEXES for descending in (False, True)]


@settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(ORDERS),
    st.lists(st.sampled_from(sorted(VALUES)), max_size=2, unique=True).flatmap(
        lambda keys: st.fixed_dictionaries({key: st.sampled_from(VALUES[key]) for key in keys})
    ),
)
def test_every_way_finds_studies_in_another_order(
    database: Database, order: StudyOrder, chosen: dict[str, str]
) -> None:
    given_criteria = criteria(SearchLevel.STUDY, chosen, fuzzy=False)
    with database.read() as connection:
        found = set(DicomSearchPlan(DATASTORE, SearchLevel.STUDY, given_criteria).find(connection, 0, 1000))
        columns = (studies.c[order.column], studies.c.updated_at, studies.c.study_uid)
        rows = [tuple(row) for row in connection.execute(select(*columns)) if row.study_uid in found]
        expected = [row[2] for row in sorted(rows, reverse=order.descending)]
        for few, entries in ((5000, 40000), (0, 40000), (0, 0)):
            plan = DicomSearchPlan(
                DATASTORE, SearchLevel.STUDY, given_criteria, order=order, few=few, few_entries=entries
            )
            assert plan.find(connection, 0, 1000) == expected
            assert plan.find(connection, 2, 3) == expected[2:5]


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_another_order_is_that_of_an_index(embedded: Database, order: StudyOrder) -> None:
    with embedded.read() as connection:
        steps = explained(connection, DicomSearchPlan(DATASTORE, SearchLevel.STUDY, [], order=order))
    assert any(f"ix_studies_by_{order.column}" in step for step in steps), steps
    assert not [step for step in steps if "TEMP B-TREE" in step], steps


FORMULAS: list[Formula] = [
    True,
    False,
    TagIs("ward", frozenset({"1"})),
    TagIs("ward", frozenset({"1", "2"})),
    TagIs("ward", frozenset({"none"})),
    TagIs("team", frozenset({"a"}), others=True, absent=True),
    AnyOf((TagIs("ward", frozenset({"0"})), IdIs(f"{7:032x}"), IdIs(f"{11:032x}"))),
    AnyOf((TagIs("ward", frozenset({"0"})), TagIs("team", frozenset({"b"})))),
    AllOf((TagIs("ward", frozenset({"3"})), Not(TagIs("team", frozenset({"a"}))))),
]


@settings(max_examples=examples(80), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(SearchLevel),
    st.sampled_from(FORMULAS),
    st.lists(st.sampled_from(sorted(VALUES)), max_size=2, unique=True).flatmap(
        lambda keys: st.fixed_dictionaries({key: st.sampled_from(VALUES[key]) for key in keys})
    ),
)
def test_every_way_finds_what_may_be_seen(
    database: Database, level: SearchLevel, visible: Formula, chosen: dict[str, str]
) -> None:
    given_criteria = criteria(level, chosen, fuzzy=False)
    with database.read() as connection:
        everything = DicomSearchPlan(DATASTORE, level, given_criteria).find(connection, 0, 1000)
        seen = keys_seen(connection, level, visible)
        expected = [key for key in everything if key in seen]
        for few, entries, fewest, first in (
            (5000, 40000, 200, 400),
            (5000, 40000, 0, 3),
            (5000, 0, 0, 400),
            (0, 0, 0, 0),
        ):
            plan = DicomSearchPlan(
                DATASTORE,
                level,
                given_criteria,
                visible=visible,
                few=few,
                few_entries=entries,
                fewest=fewest,
                first=first,
            )
            assert plan.find(connection, 0, 1000) == expected
            assert plan.find(connection, 2, 3) == expected[2:5]


def keys_seen(connection: Connection, level: SearchLevel, visible: Formula) -> set[str]:
    primary = select(image_sets.c.id, image_sets.c.study_uid).where(
        image_sets.c.is_primary, image_sets.c.deleted_at.is_(None)
    )
    of = {row.id: row.study_uid for row in connection.execute(primary) if holds(visible, row.id, tags_of(row.id))}
    if level is SearchLevel.STUDY:
        return set(of.values())
    if level is SearchLevel.SERIES:
        return set(of)
    found = connection.execute(select(instances.c.key, instances.c.image_set_id))
    return {row.key for row in found if row.image_set_id in of}


@pytest.mark.parametrize("level", SearchLevel)
@pytest.mark.parametrize("keyword", [None, *sorted(VALUES)])
def test_searches_begin_where_they_are_told(embedded: Database, level: SearchLevel, keyword: str | None) -> None:
    values = VALUES[keyword] if keyword is not None else ("",)
    for value, fuzzy in itertools.product(values, (False, True)):
        chosen = criteria(level, {keyword: value} if keyword is not None else {}, fuzzy=fuzzy)
        with embedded.read() as connection:
            begun = explained(connection, DicomSearchPlan(DATASTORE, level, chosen))
            walked = explained(connection, DicomSearchPlan(DATASTORE, level, chosen, few=0, few_entries=0))
        for steps in (begun, walked):
            assert not [step for step in steps if re.match(r"SCAN (studies|image_sets|instances|study_words)\b", step)]
        if not chosen:
            assert not [step for step in walked if "TEMP B-TREE" in step], walked
        elif (
            not value.startswith(("*", "?"))
            or keyword == "WarningReason"
            or (fuzzy and isinstance(chosen[0].match, WordMatch))
        ):
            # Of what is begun with, no index is walked for the data store alone.
            assert not [step for step in begun if step.endswith("(datastore_id=?)")], begun


def explained(connection: Connection, plan: DicomSearchPlan) -> list[str]:
    statement = plan.statement(connection, 0, 100).compile(connection, compile_kwargs={"literal_binds": True})
    found: list[Row[Any]] = list(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}"))
    return [str(row[-1]) for row in found]


@pytest.mark.parametrize(("keyword", "value"), [("PatientName", "jane"), ("ModalitiesInStudy", "CT")])
def test_studies_with_a_word_are_put_in_order_without_reading_their_rows(
    embedded: Database, keyword: str, value: str
) -> None:
    with embedded.read() as connection:
        plan = DicomSearchPlan(DATASTORE, SearchLevel.STUDY, criteria(SearchLevel.STUDY, {keyword: value}, fuzzy=True))
        steps = [step for step in explained(connection, plan) if re.match(r"(SEARCH|SCAN) ", step)]
    assert steps
    assert all("COVERING INDEX" in step for step in steps), steps


def test_a_runner_that_starts_does_not_look_at_every_image_set(embedded: Database) -> None:
    with embedded.read() as connection:
        statement = ONE_WAITING.compile(connection, compile_kwargs={"literal_binds": True})
        (step,) = [row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")]
    assert "ix_image_sets_to_index (index_version<?)" in step


def test_postgresql_looks_studies_up_rather_than_reading_all_of_them(postgresql_server: PostgresqlServer) -> None:
    database = filled(open_postgresql(postgresql_server.new_database()))
    others = ", ".join(column.name for column in studies.columns if column.name not in ("datastore_id", "study_uid"))
    uids = [f"9.{number}" for number in range(1, 20_000, 50)]
    query = select(studies.c.patient_name).where(studies.c.datastore_id == DATASTORE, studies.c.study_uid.in_(uids))
    with database.write() as connection:
        connection.exec_driver_sql(
            f"WITH one AS (SELECT * FROM studies LIMIT 1) "
            f"INSERT INTO studies SELECT datastore_id, '9.' || n, {others} FROM one, generate_series(1, 20000) n"
        )
        connection.exec_driver_sql("ANALYZE studies")
        statement = query.compile(connection, compile_kwargs={"literal_binds": True})
        steps = "\n".join(connection.exec_driver_sql(f"EXPLAIN {statement}").scalars())
    database.close()
    assert "Seq Scan" not in steps, steps
