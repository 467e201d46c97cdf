"""Tags as they are typed: ``key=value``, each on a line."""

from __future__ import annotations

from collections.abc import Mapping


def read_tags(text: str) -> dict[str, str]:
    """Read tags as they are typed; raises `ValueError` with what is wrong."""
    tags: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        key, sign, value = line.partition("=")
        if not sign or not key.strip():
            raise ValueError(f"Line {number} of the tags must have the form key=value.")
        if key.strip() in tags:
            raise ValueError(f"Line {number} of the tags has a key that was given before.")
        tags[key.strip()] = value.strip()
    return tags


def write_tags(tags: Mapping[str, str]) -> str:
    """Return tags as they are typed."""
    return "\n".join(f"{key}={value}" for key, value in tags.items())
