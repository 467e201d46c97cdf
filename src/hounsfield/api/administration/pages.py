"""Pages of lists: MaxItems and Marker, as IAM has them, and a filter by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from hounsfield.api.administration.context import Call
from hounsfield.api.administration.members import Form, Member
from hounsfield.api.administration.operation import Answer
from hounsfield.audit.events import Json
from hounsfield.aws.protocol.members import optional_integer, optional_text

T = TypeVar("T")
MOST_ITEMS: Final = 1000
DEFAULT_ITEMS: Final = 100
PAGE_MEMBERS: Final = (
    Member("MaxItems", Form.INTEGER, most=MOST_ITEMS),
    Member("Marker", most=512),
    Member("NameContains", most=128),
)


def page_of(
    call: Call,
    name: str,
    items: Sequence[T],
    key: Callable[[T], str],
    shown: Callable[[T], Json],
    marker_of: Callable[[T], str] | None = None,
) -> Answer:
    """Return one page of a list.

    Parameters
    ----------
    call : Call
        Asks for it, with `PAGE_MEMBERS`.
    name : str
        Member of the answer that has the items.
    items : sequence
        The whole list.
    key : callable
        Gives the name of an item, which the filter is for.
    shown : callable
        Gives an item as the answer has it.
    marker_of : callable or None
        Gives what no other item has; the list is ordered by it, whatever the case. None where that is the name.

    Returns
    -------
    Answer
        The items, ``IsTruncated``, ``TotalCount`` of what the filter leaves, and ``Marker`` where more follows.
    """
    wanted = (optional_text(call.parameters, "NameContains") or "").lower()
    marker = optional_text(call.parameters, "Marker")
    count = optional_integer(call.parameters, "MaxItems") or DEFAULT_ITEMS
    unique = marker_of or key
    found = sorted((item for item in items if wanted in key(item).lower()), key=lambda item: unique(item).lower())
    rest = [item for item in found if marker is None or unique(item).lower() > marker.lower()]
    page = rest[:count]
    truncated = len(rest) > count
    return {
        name: [shown(item) for item in page],
        "IsTruncated": truncated,
        "TotalCount": len(found),
        "Marker": unique(page[-1]) if truncated else None,
    }
