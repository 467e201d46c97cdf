"""The warning that the root key is used for data: which actions, and how often."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
import structlog

from hounsfield.gateway.root_key_warning import DATA_USES, RootKeyWarning
from hounsfield.iam.principals import Principal, PrincipalKind, root_of
from hounsfield.settings.throttling import AWS_RATES, UNLIMITED_BY_AWS
from support.servers import ServerProcess

ROOT = root_of("aws", "000000000000", "AKIAROOT")
SETTING_UP = {
    "CreateDatastore",
    "DeleteDatastore",
    "GetDatastore",
    "ListDatastores",
    "GetDICOMImportJob",
    "ListDICOMImportJobs",
    "TagResource",
    "UntagResource",
    "ListTagsForResource",
}


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def test_every_action_is_one_of_data_or_of_setting_up() -> None:
    assert DATA_USES.keys() | SETTING_UP == AWS_RATES.keys() | UNLIMITED_BY_AWS
    assert not DATA_USES.keys() & SETTING_UP


def test_each_kind_of_use_is_told_once_an_hour() -> None:
    clock = Clock()
    use = RootKeyWarning(clock)
    with structlog.testing.capture_logs() as logs:
        for clock.now in (0.0, 1.0, 3599.0):
            for action in ("GetImageFrame", "GetDICOMInstanceFrames", "SearchImageSets", "ListDatastores"):
                use.note(ROOT, action)
    assert [(entry["use"], entry["action"]) for entry in logs] == [
        ("image frames", "GetImageFrame"),
        ("search", "SearchImageSets"),
    ]
    with structlog.testing.capture_logs() as logs:
        clock.now = 3600.0
        use.note(ROOT, "GetDICOMInstance")
    assert [entry["action"] for entry in logs] == ["GetDICOMInstance"]


@pytest.mark.parametrize(
    "principal",
    [
        Principal("arn:aws:iam::000000000000:user/u", PrincipalKind.USER, "AIDAU", "u", access_key_id="AKIAU"),
        # Without authentication everybody is root, without a key.
        root_of("aws", "000000000000"),
    ],
)
def test_nobody_else_is_told_of(principal: Principal) -> None:
    with structlog.testing.capture_logs() as logs:
        for action in DATA_USES:
            RootKeyWarning().note(principal, action)
    assert logs == []


def test_a_server_tells_it_in_its_log(server: ServerProcess, client: Any, datastore: str) -> None:
    for _ in range(3):
        client.search_image_sets(datastoreId=datastore)
    told = [json.loads(line) for line in server.log_text().splitlines() if "root key used for data" in line]
    (search,) = [entry for entry in told if entry["use"] == "search"]
    assert (search["level"], "docs/how-to/users-and-keys.md" in search["instead"]) == ("warning", True)
    assert {entry["use"] for entry in told} <= set(DATA_USES.values())
