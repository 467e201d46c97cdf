"""docs/how-to/back-up.md: its commands back up and restore, and its tables are those of the commands."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from hounsfield.cli.main import cli
from support.doc_pages import Page, codes, run_shell
from support.servers import ServerProcess, active_datastore

BACK_UP = Page.of("docs/how-to/back-up.md")
PLACE = "/mnt/backup/hounsfield"


def test_what_is_backed_up_by_the_page_comes_back_by_it(tmp_path: Path) -> None:
    def types(script: str) -> str:
        return run_shell(process, script.replace(PLACE, str(tmp_path / "place")), tmp_path)

    process = ServerProcess(tmp_path / "data").start()
    try:
        first = active_datastore(process.client())
        assert types(BACK_UP.blocks("sh")[0]).startswith("generation ")
        second = active_datastore(process.client())
        every_day = BACK_UP.section("## Back up every day").block("sh").splitlines()
        assert types(every_day[0]).startswith("generation ")
        assert every_day[1].startswith("hounsfield backup s3://")
    finally:
        process.stop()
    *commands, serve = BACK_UP.section("## Restore").blocks("sh")[0].splitlines()
    assert "result: intact" in types("\n".join(commands))
    assert serve == "hounsfield serve --data new"
    restored = ServerProcess(tmp_path / "new").start()
    try:
        found = restored.client().list_datastores()["datastoreSummaries"]
        assert {datastore["datastoreId"] for datastore in found} == {first, second}
    finally:
        restored.stop()


def test_the_options_are_those_of_the_commands() -> None:
    for heading, command in (("## Back up every day", "backup"), ("## Restore", "restore")):
        section = BACK_UP.section(heading)
        named = {codes(row["option"])[0].split()[0] for row in section.rows("option")}
        shown = CliRunner().invoke(cli, [command, "--help"]).output
        assert named <= set(shown.replace(",", " ").split())
        options = {word for word in shown.split() if word.startswith("--")}
        assert options - {"--help", "--data"} <= named | {"--json"}
