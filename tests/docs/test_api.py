"""docs/reference/api/index.md and the tables of operations and states on the pages of resources are those of the code."""

from __future__ import annotations

import re

import pytest

from hounsfield.api.healthimaging.operations import HANDLERS
from hounsfield.aws.protocol import errors
from hounsfield.aws.protocol.model import load_service
from hounsfield.imaging.datastores import DATASTORE_TRANSITIONS
from hounsfield.imaging.imagesets.workflow import TRANSITIONS
from hounsfield.imaging.imports.jobs import JOB_TRANSITIONS
from hounsfield.imaging.states import ImageSetState
from support.doc_pages import ROOT, Page, codes

API = Page.of("docs/reference/api/index.md")
INDEX = {row["page"]: codes(row["operations"]) for row in API.rows("resource", "page", "operations")}
OPERATIONS = {re.search(r"\]\((.+)\)", link)[1]: names for link, names in INDEX.items()}
PAGES = list(OPERATIONS)
EXCEPTIONS = {name: kind for name, kind in vars(errors).items() if name.endswith("Exception")}
STS = Page.of("docs/how-to/temporary-credentials.md").rows("code at STS", "code elsewhere")
BY_OTHER_NAMES = {"ExpiredIdentityTokenException", "IDPRejectedClaimException", "FailedDependencyException"}
"""Those that STS tells by a name that others have too, and what pages tell by its messages."""


def named_errors(text: str) -> list[tuple[str, str]]:
    return re.findall(r"(\d{3}) `(\w+Exception)`", text)


def test_the_index_has_each_operation_once() -> None:
    assert sorted(name for names in INDEX.values() for name in names) == sorted(HANDLERS)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_tells_of_its_operations_and_of_errors_they_have(page: str) -> None:
    rows = Page.of(f"docs/reference/api/{page}").rows("operation", "what it does", "errors of its own")
    assert [codes(row["operation"]) for row in rows] == [[name] for name in OPERATIONS[page]]
    operations = load_service().operations
    for row in rows:
        (name,) = codes(row["operation"])
        modelled = {code: error.status for code, error in operations[name].errors.items()}
        told = named_errors(row["errors of its own"])
        assert {code: modelled.get(code) for _, code in told} == {code: int(status) for status, code in told}, name
        assert len(told) == len(re.findall(r"Exception`", row["errors of its own"])), "each with its status"


def test_the_common_errors_are_those_of_the_code() -> None:
    rows = API.rows("status", "error", "when")
    told = {code: int(row["status"]) for row in rows for code in codes(row["error"])}
    assert told == {code: EXCEPTIONS[code].status for code in told}
    pages = [
        *PAGES,
        "../dicomweb/index.md",
        "../dicomweb/store.md",
        "../dicomweb/retrieve.md",
        "../../how-to/openid-connect.md",
        "../administration.md",
    ]
    elsewhere = {code for page in pages for code in re.findall(r"`(\w+Exception)`", read(page))}
    at_sts = {f"{codes(row['code at STS'])[0].removesuffix('Exception')}Exception" for row in STS}
    assert set(EXCEPTIONS) - set(told) - elsewhere - at_sts == BY_OTHER_NAMES


def read(page: str) -> str:
    return (ROOT / "docs/reference/api" / page).read_text()


@pytest.mark.parametrize(
    ("page", "table"),
    [
        ("docs/reference/api/data-stores.md", DATASTORE_TRANSITIONS),
        ("docs/reference/api/import-jobs.md", JOB_TRANSITIONS),
    ],
)
def test_states_are_those_of_the_code(page: str, table: dict[tuple[str, str], str]) -> None:
    rows = Page.of(page).rows("state", "what happens", "next state")
    told = {(*codes(row["state"]), codes(row["what happens"])[0]): codes(row["next state"]) for row in rows}
    assert told == {(str(state), str(event)): [str(following)] for (state, event), following in table.items()}


def test_the_states_of_image_sets_are_those_of_the_code() -> None:
    rows = Page.of("docs/reference/api/image-sets.md").section("## States").rows("what begins", "of")
    told = {codes(row["what begins"])[0]: row for row in rows}
    assert told.keys() == set(TRANSITIONS)
    words = {"yes": True, "no": False}
    for trigger, transition in TRANSITIONS.items():
        row = told[trigger]
        assert codes(row["`imageSetWorkflowStatus` meanwhile"]) == [transition.during]
        assert words[row["new version"]] is transition.new_version
        assert words[row["metadata readable meanwhile"]] is transition.readable
        ends_as = [transition.ends_as, *([transition.success] if transition.success else [])]
        assert codes(row["after success"]) == ends_as
        if transition.failure is not None:
            assert codes(row["after failure"]) == [ImageSetState.ACTIVE, transition.failure]
        else:
            assert not re.search(r"_FAILED", row["after failure"])
