"""The help of the command, which is there at once."""

import subprocess
import sys
from typing import Final

import pytest
from click.testing import CliRunner

from hounsfield.cli.main import _GROUPS, cli

_SHOWN: Final = """
import sys
from hounsfield.cli.main import cli
cli(["--help"], standalone_mode=False)
large = {"sqlalchemy", "botocore", "numpy", "pydicom", "starlette"} & set(sys.modules)
assert not large, large
"""


@pytest.mark.parametrize("name", _GROUPS)
def test_a_group_is_listed_with_its_own_help(name: str) -> None:
    context = cli.make_context("hounsfield", ["--help"], resilient_parsing=True)
    group = cli.get_command(context, name)
    assert group is not None
    assert group.help == _GROUPS[name][1]
    assert f"  {name} " in CliRunner().invoke(cli, ["--help"]).stdout


def test_the_help_imports_nothing_large() -> None:
    done = subprocess.run([sys.executable, "-c", _SHOWN], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "  audit " in done.stdout
    assert "  serve " in done.stdout
