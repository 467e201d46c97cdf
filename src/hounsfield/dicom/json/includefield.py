"""``includefield`` of a search (PS3.18 section 8.3.4.3): which attributes of DICOM JSON it includes.

all                          everything there is
00081030, StudyDescription   an element
00081115.00081199.00081150   an element of the items of a sequence of the items of a sequence
00191001 with 00190010=ACME  a private element, of the block that its creator has in the data set
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import orjson

from hounsfield.dicom.values.dictionary import TAGS, is_private, is_private_creator

EVERYTHING: Final = "all"
_HEXADECIMAL: Final = re.compile(r"[0-9A-Fa-f]{8}")
_LOW_BYTE: Final = 0xFF

Tree: TypeAlias = "dict[int, Tree]"
"""Elements by tag, each with those wanted of its items; with none of them it is wanted whole."""
Members: TypeAlias = Mapping[int, bytes]
"""Members of a DICOM JSON object by tag, as `hounsfield.dicom.json.writer` writes them."""


@dataclass(frozen=True, slots=True)
class IncludedAttributes:
    """What is to be included.

    Attributes
    ----------
    everything : bool
        Whether all attributes of the level are.
    tree : Tree
        Elements by name.
    private : tuple of (int, str)
        Private elements: a tag, whose block is not looked at, and the creator of the block.
    """

    everything: bool = False
    tree: Tree = field(default_factory=dict)
    private: tuple[tuple[int, str], ...] = ()

    def chosen(self, members: Members) -> dict[int, bytes]:
        """Take what is asked for by name out of the members of a data set."""
        found = {tag: _pruned(members[tag], wanted) for tag, wanted in self.tree.items() if tag in members}
        for tag, creator in self.private:
            found.update(_private(members, tag, creator))
        return {tag: text for tag, text in found.items() if text}


def tag_named(name: str) -> int | None:
    """Return the tag that a keyword or eight hexadecimal digits name, None when they name none."""
    if _HEXADECIMAL.fullmatch(name):
        return int(name, 16)
    return TAGS.get(name)


def parse_includefield(names: Iterable[str], creators: Mapping[int, str]) -> IncludedAttributes:
    """Read what is asked for.

    Parameters
    ----------
    names : Iterable of str
        Each ``all``, a keyword, a tag, or a path of them with dots between. Those that name nothing are left out.
    creators : Mapping of int to str
        Private creators by the tags of their elements, such as (0019,0010).

    Returns
    -------
    IncludedAttributes
        Private elements whose creator is not told are left out, as nobody knows what they are.
    """
    everything = False
    tree: Tree = {}
    private = []
    for name in names:
        if name == EVERYTHING:
            everything = True
            continue
        tags = [tag_named(part) for part in name.split(".")]
        path = [tag for tag in tags if tag is not None]
        if len(path) != len(tags):
            continue
        if len(path) == 1 and is_private(path[0]) and not is_private_creator(path[0]):
            creator = creators.get(path[0] & ~0xFFFF | (path[0] >> 8 & _LOW_BYTE))
            if creator:
                private.append((path[0], creator))
        else:
            _add(tree, path)
    return IncludedAttributes(everything, tree, tuple(private))


def _add(tree: Tree, path: list[int]) -> None:
    """Add a path; an element that is wanted whole stays so."""
    known = path[0] in tree
    if len(path) == 1:
        tree[path[0]] = {}
    elif not known:
        tree[path[0]] = {}
        _add(tree[path[0]], path[1:])
    elif tree[path[0]]:
        _add(tree[path[0]], path[1:])


def _pruned(member: bytes, wanted: Tree) -> bytes:
    """Leave in the items of a sequence what is wanted; nothing of an element that is none."""
    if not wanted:
        return member
    head, _, _ = member.partition(b":")
    content = orjson.loads(b"{" + member + b"}")[head[1:-1].decode()]
    if content["vr"] != "SQ":
        return b""
    return head + b":" + orjson.dumps(_items(content, wanted))


def _items(content: dict[str, Any], wanted: Tree) -> dict[str, Any]:
    items = [
        {
            name: _items(item[name], deeper) if deeper else item[name]
            for tag, deeper in sorted(wanted.items())
            if (name := f"{tag:08X}") in item and (not deeper or item[name]["vr"] == "SQ")
        }
        for item in content.get("Value", [])
    ]
    return {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}


def _private(members: Members, tag: int, creator: str) -> dict[int, bytes]:
    group = tag & ~0xFFFF
    for block in range(0x10, 0x100):
        reserving = members.get(group | block)
        if reserving is None:
            continue
        if orjson.loads(b"{" + reserving + b"}")[f"{group | block:08X}"].get("Value", [""])[0] == creator:
            element = group | block << 8 | tag & _LOW_BYTE
            if element in members:
                return {group | block: reserving, element: members[element]}
    return {}
