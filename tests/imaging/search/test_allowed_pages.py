"""Pages of a search by somebody who is denied many image sets: all that is left is found, and no page looks at too many."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest
from sqlalchemy import Connection, insert

from hounsfield.imaging.image_set_access import UNLIMITED, UnlimitedAccess
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.pagination import Position
from hounsfield.imaging.search.image_sets import SearchSort, SortField, search_image_sets
from hounsfield.storage.db.image_set_tables import image_sets
from support.imaging.image_stores import new_datastore
from support.search.image_set_rows import ENTRIES

COUNT = 640


class FewAllowed(UnlimitedAccess):
    """The access of somebody who may see few image sets; counts what is asked."""

    asked = 0

    @property
    def is_limited(self) -> bool:
        return True

    def denied(self, connection: Connection, datastore_id: str, image_set_ids: Collection[str]) -> frozenset[str]:  # noqa: ARG002
        self.asked += len(image_set_ids)
        return frozenset(name for name in image_set_ids if not is_allowed(name))

    def visible(self, connection: Connection, datastore_id: str) -> None:
        """Nothing that an index finds."""


def is_allowed(image_set_id: str) -> bool:
    number = int(image_set_id, 16)
    return number % 97 == 5 or 300 <= number < 310


@pytest.fixture(scope="module")
def datastore(image_store: ImageStore) -> str:
    made = new_datastore(image_store)
    rows: list[dict[str, Any]] = [
        {
            **ENTRIES[number % len(ENTRIES)],
            "id": f"{number:032x}",
            "datastore_id": made,
            "series_uid": f"2.{number}",
            "deleted_at": None,
        }
        for number in range(COUNT)
    ]
    with image_store.database.write() as connection:
        connection.execute(insert(image_sets), rows)
    return made


@pytest.mark.parametrize("field", list(SortField))
@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("limit", [1, 3, 50])
def test_pages_find_all_that_is_allowed(
    image_store: ImageStore, datastore: str, field: SortField, descending: bool, limit: int
) -> None:
    sort = SearchSort(field, descending)
    whole = search_image_sets(image_store, UNLIMITED, datastore, [], sort, limit=COUNT).entries
    wanted = [entry.image_set_id for entry in whole if is_allowed(entry.image_set_id)]
    found: list[str] = []
    after: Position | None = None
    short = 0
    while True:
        access = FewAllowed()
        page = search_image_sets(image_store, access, datastore, [], sort, after=after, limit=limit, most_looked_at=200)
        assert len(page.entries) <= limit
        assert access.asked <= 200
        found += [entry.image_set_id for entry in page.entries]
        if page.end is None:
            break
        short += len(page.entries) < limit
        after = page.end
    assert found == wanted
    assert short or limit < 50, "pages that ended early"
