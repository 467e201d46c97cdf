"""Names of former versions: commands that still work, and imports that say where a module is now."""

import importlib
from pathlib import Path

import pytest
from click.testing import CliRunner

import hounsfield
from hounsfield.cli.audit_record import event_name
from hounsfield.cli.main import cli


@pytest.mark.parametrize(("former", "name"), [("key", "access-key"), ("keys", "master-key")])
def test_a_group_is_run_by_its_former_name_which_names_the_new_one(former: str, name: str) -> None:
    shown = CliRunner().invoke(cli, [former, "--help"])
    assert shown.exit_code == 0
    assert shown.stderr == f"`hounsfield {former}` is now `hounsfield {name}`; the old name still works\n"
    assert shown.stdout == CliRunner().invoke(cli, [name, "--help"]).stdout
    assert f"{name} [OPTIONS] COMMAND" in shown.stdout
    assert f"  {former} " not in CliRunner().invoke(cli, ["--help"]).stdout


def test_events_of_commands_keep_their_names() -> None:
    for arguments, event in ((["access-key", "create"], "CreateKey"), (["master-key", "rotate"], "RotateKeys")):
        context = cli.make_context("hounsfield", arguments.copy())
        group_name, group, rest = cli.resolve_command(context, arguments)
        assert group is not None
        of_group = group.make_context(group_name, rest.copy(), parent=context, resilient_parsing=True)
        assert event_name(type(context)(group, info_name=rest[0], parent=of_group)) == event


@pytest.mark.parametrize("former", sorted(hounsfield._MOVED))
def test_a_former_module_is_not_found_and_its_new_place_named(former: str) -> None:
    places = hounsfield._MOVED[former].replace(" and ", ", ").split(", ")
    with pytest.raises(ModuleNotFoundError, match=f"'hounsfield.{former}'; it is now in hounsfield: {places[0]}"):
        importlib.import_module(f"hounsfield.{former}")
    with pytest.raises(ModuleNotFoundError, match=places[0]):
        exec(f"from hounsfield import {former}")
    root = Path(hounsfield.__file__).parent
    for place in places:
        path = root / place.replace(".", "/")
        assert path.is_dir() or path.with_suffix(".py").is_file()
