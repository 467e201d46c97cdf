"""docs/encryption.md: what it shows is run as it stands there, and its tables are compared with what happens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from doc_pages import Page, codes, run_shell

from hounsfield.settings import Settings
from key_service import KeyServiceDoor, key_service
from object_store import ObjectStore
from servers import ServerProcess

PAGE = Page.of("docs/encryption.md")
SERVICE = PAGE.section("## A key of a key service")


@pytest.fixture
def door(s3: ObjectStore) -> Iterator[KeyServiceDoor]:
    with key_service(s3) as place:
        yield place


def test_the_example_of_a_key_runs(door: KeyServiceDoor, tmp_path: Path) -> None:
    process = ServerProcess(tmp_path / "data", {**door.environment(), "HOUNSFIELD_IMPORT_WORKERS": "1"}).start()
    try:
        arn = door.new_key()
        assert run_shell(process, SERVICE.block("sh"), tmp_path, KMS_KEY_ARN=arn).split() == [arn]
    finally:
        process.stop()
    told = [codes(row["operation of the service"])[0] for row in SERVICE.rows("operation of the service")]
    assert told[:2] == [asked.operation for asked in door.asked]
    (row,) = (row for row in SERVICE.rows("operation of the service") if "GenerateDataKey" in row.values().__str__())
    assert codes(row["encryption context"]) == list(door.asked[1].context)


def test_the_settings_are_there() -> None:
    named = [name for row in SERVICE.rows("variable") for name in codes(row["variable"])]
    assert all(hasattr(Settings(), name.removeprefix("HOUNSFIELD_").lower()) for name in named)
