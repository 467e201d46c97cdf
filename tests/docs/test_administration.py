"""docs/reference/administration.md: its tables are those of the code, and its request works."""

from __future__ import annotations

import json
import re
from pathlib import Path

from hounsfield.api.administration.operations import OPERATIONS
from support.doc_pages import Page, codes, run_shell
from support.servers import ServerProcess

PAGE = Page.of("docs/reference/administration.md")


def test_the_operations_are_those_of_the_code() -> None:
    rows = PAGE.rows("operation", "action", "members")
    told = {codes(row["operation"])[0]: row for row in rows}
    assert len(told) == len(rows)
    assert sorted(told) == sorted(OPERATIONS)
    for name, operation in OPERATIONS.items():
        assert codes(told[name]["action"])[0] == operation.action
        assert codes(told[name]["members"]) == [member.name for member in operation.members], name
        required = re.findall(r"\*\*`(\w+)`\*\*", told[name]["members"])
        assert required == [member.name for member in operation.members if member.required], name


def test_the_request_works_as_it_stands_there(server: ServerProcess, tmp_path: Path) -> None:
    key_id, secret = server.key()
    script = PAGE.section("## Requests").block("sh").replace("http://127.0.0.1:8080", server.url)
    answer = json.loads(run_shell(server, script, tmp_path, KEY_ID=key_id, SECRET=secret))
    shown = json.loads(PAGE.section("## Requests").block("json"))
    assert answer["User"].keys() == shown["User"].keys()
    assert answer["User"]["Arn"] == shown["User"]["Arn"]
