"""Writes ``THIRD-PARTY.txt``: the packages in OHIF's scripts, and their licences.

    app/*.js.gz ─▶ names of packages ─▶ their folders in a node_modules ─▶ licences, each text once

Run it after a change of OHIF's version, with the wheel built and a folder in which npm has installed what OHIF depends on:
``python third_party.py FOLDER/node_modules > THIRD-PARTY.txt``.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

APP: Final = Path(__file__).parent / "src" / "hounsfield_ohif" / "app"
_IN_SCRIPTS: Final = re.compile(r"node_modules/((?:@[\w.-]+/)?[\w.-]+)")
_UNNAMED: Final = frozenset(
    f"@cornerstonejs/codec-{name}" for name in ("charls", "libjpeg-turbo-8bit", "openjpeg", "openjph")
)
"""What is in the scripts without the path that it came from."""
_REMOVED: Final = frozenset({"shepherd.js"})
"""Of which a comment is left, and a module of styles without any."""
_LICENCE_FILES: Final = ("licence", "license", "copying", "notice")
_COPYRIGHT: Final = re.compile(r"^.*(?:copyright|\(c\)|©).*$", re.IGNORECASE)


def packages() -> set[str]:
    """Return the names of the packages that are in the scripts."""
    found = set(_UNNAMED)
    for script in APP.glob("*.js.gz"):
        found.update(_IN_SCRIPTS.findall(gzip.decompress(script.read_bytes()).decode(errors="replace")))
    return found - _REMOVED


def _folder(modules: Path, name: str) -> Path:
    folders = [modules / name, *modules.glob(f"**/node_modules/{name}")]
    for folder in folders:
        if (folder / "package.json").exists():
            return folder
    raise SystemExit(f"{name} is in OHIF, and not in {modules}")


def _licence(description: dict[str, object]) -> str:
    given = description.get("license") or description.get("licenses") or "see the text"
    if isinstance(given, list):
        return " OR ".join(one["type"] for one in given)
    return given["type"] if isinstance(given, dict) else str(given)


def _texts(folder: Path) -> Iterator[str]:
    for file in sorted(folder.iterdir()):
        if file.is_file() and file.name.lower().startswith(_LICENCE_FILES):
            yield file.read_text(errors="replace")


def _author(description: dict[str, object]) -> str:
    author = description.get("author")
    name = author.get("name") if isinstance(author, dict) else author
    return str(name or f"the authors of {description['name']}")


def main(modules: Path) -> None:
    """Print the whole file."""
    rows, users = [], defaultdict[str, list[str]](list)
    for name in sorted(packages()):
        folder = _folder(modules, name)
        description = json.loads((folder / "package.json").read_text())
        licence = _licence(description)
        rows.append(f"{name} {description['version']}: {licence}")
        texts = list(_texts(folder)) or [f"{licence}\nCopyright {_author(description)}"]
        for text in texts:
            lines = [line.strip() for line in text.splitlines()]
            holders = [line for line in lines if _COPYRIGHT.match(line) and len(line) < 150]
            body = "\n".join(line for line in lines if line not in holders)
            users[re.sub(r"\n{3,}", "\n\n", body).strip()].append("; ".join([name, *holders]))
    print("Packages in OHIF as this distribution carries it, and their licences. OHIF itself: OHIF-LICENSE.")
    print("Codecs and the font: BUNDLED.txt. Where OHIF takes any version of a package, the one of the day is named.\n")
    print("\n".join(rows))
    for body, who in sorted(users.items(), key=lambda pair: -len(pair[1])):
        print("\n" + "=" * 78 + "\n\n" + "\n".join(who) + "\n\n" + body)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
