"""Search plans: whichever way is chosen, the answers are those of brute force; on both databases."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from hounsfield.imaging.search.image_sets_plan import Order, Plan, Range
from hounsfield.imaging.tag_index import index_tags
from hounsfield.storage.db.database import Database
from hounsfield.storage.db.engines import open_embedded, open_postgresql
from hounsfield.storage.db.image_set_tables import datastores, image_sets
from hounsfield.storage.db.tag_filters import AllOf, AnyOf, Formula, IdIs, Not, TagIs, holds
from support.examples import examples
from support.search.image_set_rows import ATTRIBUTES, DATASTORE, ENTRIES, Entry

LIVE = [entry for entry in ENTRIES if entry["deleted_at"] is None and entry["datastore_id"] == DATASTORE]


@pytest.fixture(scope="module", params=["embedded", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    if request.param == "embedded":
        opened = open_embedded(tmp_path_factory.mktemp("plan") / "h.db", bytes(32))
    else:
        opened = open_postgresql(request.getfixturevalue("postgresql_url"))
    with opened.write() as connection:
        for identifier in (DATASTORE, "e" * 32):
            values = {"account_id": "0" * 12, "name": "n", "status": "ACTIVE", "lossless_format": "HTJ2K"}
            connection.execute(
                insert(datastores).values(id=identifier, wrapped_key=b"", created_at=0, updated_at=0, **values)
            )
        connection.execute(insert(image_sets), ENTRIES)
        for entry in ENTRIES:
            if entry["deleted_at"] is None:
                index_tags(connection, entry["id"], tags_of(entry["id"]))
    yield opened
    opened.close()


def tags_of(image_set_id: str) -> dict[str, str]:
    number = int(image_set_id, 16)
    return {"ward": str(number % 4), **({"team": "ab"[number % 2]} if number % 5 else {})}


FORMULAS: list[Formula] = [
    True,
    False,
    TagIs("ward", frozenset({"1"})),
    TagIs("ward", frozenset({"1", "2", "none"})),
    TagIs("team", frozenset({"a"}), others=True, absent=True),
    AnyOf((TagIs("ward", frozenset({"0"})), IdIs(f"{7:032x}"), IdIs(f"{11:032x}"))),
    AnyOf((TagIs("ward", frozenset({"0"})), TagIs("team", frozenset({"b"})))),
    AllOf((TagIs("ward", frozenset({"3"})), Not(TagIs("team", frozenset({"a"}))))),
    IdIs(f"{9:032x}"),
]


def ordered(entry: Entry, order: Order) -> tuple[Any, ...]:
    return (*(entry[name] for name in order.value), entry["id"])


def times(order: Order) -> st.SearchStrategy[tuple[Any, Any]]:
    if order is Order.STUDY_DATE:
        return st.tuples(*[st.sampled_from([f"2024010{day}" for day in range(4)])] * 2)
    return st.tuples(st.integers(0, 9), st.integers(0, 9))


@st.composite
def plans(draw: st.DrawFn) -> tuple[Plan, list[Entry]]:
    order = draw(st.sampled_from(Order))
    equal = draw(st.dictionaries(st.sampled_from(ATTRIBUTES[:-1]), st.sampled_from("ab"), max_size=1))
    if draw(st.booleans()):
        equal["is_primary"] = draw(st.booleans())
    elif draw(st.booleans()):
        equal["series_uid"] = draw(st.sampled_from(LIVE))["series_uid"]
    wanted = [entry for entry in LIVE if all(entry[name] == value for name, value in equal.items())]
    ranges = []
    for axis in draw(st.lists(st.sampled_from(Order), max_size=2, unique=True)):
        low, high = draw(times(axis))
        ranges.append(Range(axis, lambda columns, low=low, high=high: columns[0].between(low, high)))
        wanted = [entry for entry in wanted if low <= entry[axis.value[0]] <= high]
    descending = draw(st.booleans())
    visible = draw(st.sampled_from(FORMULAS))
    wanted = [entry for entry in wanted if holds(visible, entry["id"], tags_of(entry["id"]))]
    few = draw(st.sampled_from([0, 5, 1000]))
    plan = Plan(DATASTORE, equal, ranges, order, descending, visible=visible, few_entries=few, few_rows=few)
    return plan, sorted(wanted, key=lambda entry: ordered(entry, order), reverse=descending)


@settings(max_examples=examples(200), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plans(), st.integers(1, 40))
def test_pages_of_any_plan_hold_what_brute_force_finds(
    database: Database, planned: tuple[Plan, list[Entry]], limit: int
) -> None:
    plan, expected = planned
    found: list[str] = []
    with database.read() as connection:
        while True:
            rows = plan.find(connection, limit)
            found += [row.id for row in rows]
            if len(rows) < limit:
                break
            last = rows[-1]._asdict()
            plan = replace(plan, after=ordered(last, plan.order))
    assert found == [entry["id"] for entry in expected]


def test_no_plan_of_the_embedded_database_reads_the_whole_table(tmp_path: Path) -> None:
    database = open_embedded(tmp_path / "h.db", bytes(32))
    seen: set[str] = set()
    equals: list[dict[str, object]] = [{}, *({name: "a"} for name in ATTRIBUTES), {"is_primary": True}]
    every = itertools.product(equals, (None, *Order), Order, (True, False), (0, 10))
    with database.read() as connection:
        for equal, axis, order, descending, few in every:
            ranges = [] if axis is None else [Range(axis, lambda columns: columns[0].between("0", "9"))]
            after = (*("5" for _ in order.value), "a")
            plan = Plan(DATASTORE, equal, ranges, order, descending, after, few_entries=few, few_rows=few)
            compiled = plan.statement(connection, 51).compile(connection, compile_kwargs={"literal_binds": True})
            steps = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}")]
            case = (equal, axis, order, descending, steps)
            read = [step for step in steps if "image_sets" in step]
            assert read, case
            for step in read:
                assert step.startswith("SEARCH image_sets USING"), case
            indexed = [name for name in equal if name != "is_primary"]
            assert all(any(f"{name}=?" in step for step in read) for name in indexed), case
            late = axis is not None and axis is not order
            if not late and not {"study_uid", "series_uid"} & equal.keys():
                assert not any("TEMP B-TREE" in step for step in steps), case
            seen.update(read)
    assert len(seen) > 10
    database.close()
