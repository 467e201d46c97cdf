"""URLs of authorizer functions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from hounsfield.settings.urls import check_url

FUNCTION_ARN: Final = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):lambda:(?P<region>[a-z0-9-]+):(?P<account_id>[0-9]{12})"
    r":function:(?P<name>[A-Za-z0-9_-]+(?::(?:\$LATEST|[A-Za-z0-9_-]+))?)"
)


def parse_authorizer_urls(text: str) -> Mapping[str, str]:
    """Read which URLs stand for which functions: ``<ARN>=<URL>``, with commas or blanks between.

    Raises
    ------
    ValueError
        The text is not that.
    """
    urls: dict[str, str] = {}
    for entry in re.split(r"[\s,]+", text.strip()) if text.strip() else ():
        arn, _, url = entry.partition("=")
        if not FUNCTION_ARN.fullmatch(arn):
            raise ValueError(f"{arn!r} is not the ARN of a function, as in arn:aws:lambda:…:function:<name>=https://…")
        urls[arn] = check_url(url)
    return urls
