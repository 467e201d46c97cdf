"""The examples of the AWS CLI's own guide, read from the reStructuredText pages that the CLI carries."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent

_TITLE = re.compile(r"^\*\*(.+?)\*\*\s*$", re.MULTILINE)
_BLOCK = re.compile(r"^(?P<lead>[^\n]*?)::[ ]*\n(?:[ ]*\n)+(?P<block>(?:(?:[ ]{2,}[^\n]*|[ ]*)\n)+)", re.MULTILINE)
_CONTENTS = re.compile(r"Contents of ``(.+?)``")
_NAME = re.compile(r'"([A-Za-z]+)"\s*:')
_FOR_VERSION_2 = ("--cli-binary-format", "raw-in-base64-out")
"""Version 1 of the CLI takes blobs as they are and does not know the option."""


@dataclass(frozen=True)
class CliExample:
    """One example: the command as it stands there, the files it names, and the names that its output shows."""

    page: str
    number: int
    command: str
    files: dict[str, str]
    output_names: frozenset[str]

    @property
    def name(self) -> str:
        return f"{self.page}-{self.number}"

    def arguments(self) -> list[str]:
        """The words after ``aws``, without what only version 2 of the CLI knows."""
        words = shlex.split(self.command.replace("\\\n", " "))
        assert words[:2] == ["aws", "medical-imaging"]
        return [word for word in words[1:] if word not in _FOR_VERSION_2]


def cli_examples() -> list[CliExample]:
    """Read all examples for HealthImaging; none when the CLI is not installed."""
    spec = find_spec("awscli")
    if spec is None or spec.origin is None:
        return []
    pages = sorted((Path(spec.origin).parent / "examples" / "medical-imaging").glob("*.rst"))
    return [example for page in pages for example in _examples_of(page)]


def _examples_of(page: Path) -> Iterator[CliExample]:
    parts = _TITLE.split(page.read_text() + "\n")[1:]
    for number, text in enumerate(parts[1::2], start=1):
        command, files, output = "", {}, ""
        for match in _BLOCK.finditer(text):
            block = dedent(match["block"]).strip()
            contents = _CONTENTS.search(match["lead"])
            if contents is not None:
                files[contents[1]] = block
            elif match["lead"].strip() == "Output":
                output = block
            elif block.startswith("aws "):
                command = block
        yield CliExample(page.stem, number, command, files, frozenset(_NAME.findall(output)))
