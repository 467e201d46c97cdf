"""Hook of mkdocs: the site that was built loads nothing from the network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError

LOADED = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"?(?:https?:)?//[^\s\">]+|<link\b[^>]*\bhref=\"?(?:https?:)?//[^\s\">]+"
)
"""What a browser fetches by itself; links that a reader follows are not among it."""


def on_post_build(config: Any) -> None:
    """Look through the pages.

    Raises
    ------
    PluginError
        If a page loads a script, a style sheet, a font or a picture from another host.
    """
    site = Path(config["site_dir"])
    found = [
        f"{page.relative_to(site)}: {tag}"
        for page in sorted(site.rglob("*.html"))
        for tag in LOADED.findall(page.read_text())
    ]
    if found:
        raise PluginError("The site needs the network:\n" + "\n".join(found))
