"""Descriptions that match without regard to case: the same on both databases, also beyond ASCII."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, create_engine

from hounsfield.imaging.search.attribute_matching import Criterion, parse_match
from hounsfield.imaging.search.search_keys import SEARCH_KEYS
from hounsfield.imaging.search.sql_conditions import are_met

KEY = SEARCH_KEYS[0x00081030]


@pytest.fixture(scope="module", params=["embedded", "postgresql"])
def connection(request: pytest.FixtureRequest) -> Iterator[Connection]:
    url = "sqlite://"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url").replace("postgresql://", "postgresql+psycopg://")
    with create_engine(url).connect() as opened:
        yield opened


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("ct schädel", "CT SCHÄDEL", True),
        ("*ÉTUDE*", "une étude", True),
        ("ГОЛОВА", "голова", True),
        ("頭部*", "頭部CT", True),
        ("strasse", "Straße", False),
        ("a[1]^?%_*", "A[1]^x%_", True),
        ("a.c", "abc", False),
        ("a\\b$(x|y)+{2}", "A\\B$(X|Y)+{2}", True),
        ("kopf", "kopf mr", False),
        ("kopf*", "Kopf\nMR", True),
        ("]-[", "]-[", True),
        ("***:x", "***:X", True),
    ],
)
def test_descriptions(connection: Connection, pattern: str, text: str, matches: bool) -> None:
    match = parse_match(KEY, pattern, any_case=True)
    assert match is not None
    assert are_met(connection, [Criterion(KEY, match)], {KEY.column: text}, []) is matches
    exactly = parse_match(KEY, text, any_case=True)
    assert exactly is not None
    assert are_met(connection, [Criterion(KEY, exactly)], {KEY.column: text}, [])
