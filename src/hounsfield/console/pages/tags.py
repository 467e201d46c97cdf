"""Tags of a data store and of an image set (API operations ListTagsForResource, TagResource, UntagResource)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from hounsfield.console.calls import ApiError, label
from hounsfield.console.datastore import Datastore, open_datastore
from hounsfield.console.imagesets.image_set import ImageSet, open_image_set, render_image_set
from hounsfield.console.page import Page
from hounsfield.console.pages.datastores import LIST
from hounsfield.console.pages.image_set import IMAGE_SET
from hounsfield.console.visit import Visit
from hounsfield.iam.authorization import ContextValue
from hounsfield.iam.policies.condition_context import UnsettledValue

_KEY: Final = re.compile(r"[a-zA-Z+-=._:/]+")
_LONGEST_KEY: Final = 128
_LONGEST_VALUE: Final = 256
_RESERVED: Final = "aws:"
_SOME_TAGS: Final[Mapping[str, ContextValue]] = {
    "aws:tagkeys": UnsettledValue.HOPEFUL,
    "aws:requesttag/": UnsettledValue.HOPEFUL,
}
"""Tags that are not named yet: some that a policy allows."""


async def show_datastore_tags(visit: Visit) -> Response:
    """Show the tags of a data store."""
    return await _page(visit, await open_datastore(visit))


async def show_image_set_tags(visit: Visit) -> Response:
    """Show the tags of an image set."""
    return await _page(visit, await open_image_set(visit))


async def change_datastore_tags(visit: Visit) -> Response:
    """Add, change or remove a tag of a data store."""
    return await _change(visit, await open_datastore(visit))


async def change_image_set_tags(visit: Visit) -> Response:
    """Add, change or remove a tag of an image set."""
    return await _change(visit, await open_image_set(visit))


async def _read(visit: Visit, arn: str) -> dict[str, str]:
    found: dict[str, str] = (await visit.calls.get(f"/tags/{label(arn)}")).json()["tags"]
    return found


async def _change(visit: Visit, resource: Datastore | ImageSet) -> Response:
    form = visit.form
    key, value, wanted = form.text("key"), form.raw("value"), form.text("do")
    tags = await _read(visit, resource.arn)
    problem = _problem(key, value, tags, wanted)
    if wanted == "save" and not problem and form.raw("before") != tags[key]:
        problem = f"Meanwhile somebody changed it to “{tags[key]}”. Save again to have yours."
    if problem:
        return await _page(visit, resource, problem=problem)
    try:
        if wanted == "remove":
            await visit.calls.call("DELETE", f"/tags/{label(resource.arn)}", query={"tagKeys": key})
        else:
            await visit.calls.post(f"/tags/{label(resource.arn)}", {"tags": {key: value}})
    except ApiError as error:
        return await _page(visit, resource, error=error)
    done = {"remove": "removed", "save": "changed"}.get(wanted, "added")
    return visit.redirect(f"{resource.path}/tags", f"The tag {key} was {done}.")


def _problem(key: str, value: str, tags: Mapping[str, str], wanted: str) -> str:
    """Return why a change is not sent; empty where it is."""
    if wanted in ("save", "remove"):
        return "" if key in tags else "This tag was removed meanwhile. Add it again below, if it is still wanted."
    alike = next((one for one in tags if one.lower() == key.lower()), "")
    rules = (
        (not key, "Type a key."),
        (key.startswith(_RESERVED), "Keys that begin with aws: are reserved."),
        (
            len(key) > _LONGEST_KEY or _KEY.fullmatch(key) is None,
            "A key has up to 128 letters, digits and + , - . / : ; < = _ and no spaces.",
        ),
        (len(value) > _LONGEST_VALUE, "A value has up to 256 characters."),
        (key in tags, "There is a tag with this key already. Change its value above."),
        (alike, f"The key {alike} differs only in upper and lower case. Policies could not tell them apart."),
    )
    return next((words for broken, words in rules if broken), "")


async def _page(
    visit: Visit, resource: Datastore | ImageSet, *, problem: str = "", error: ApiError | None = None
) -> Response:
    tags = await _read(visit, resource.arn)
    form = visit.form
    values: dict[str, Any] = {
        "tags": tags,
        "resource": resource,
        "may_tag": visit.may("medical-imaging:TagResource", resource.arn, context=_SOME_TAGS),
        "changeable": {key for key, value in tags.items() if _may_set(visit, resource.arn, key, value)},
        "removable": {
            key
            for key in tags
            if visit.may("medical-imaging:UntagResource", resource.arn, context={"aws:tagkeys": (key,)})
        },
        "form": form,
        "is_new": form.text("do") == "add",
        "problem": problem,
        "error": error,
    }
    if isinstance(resource, ImageSet):
        return render_image_set(visit, "image_set/tags.html", resource, "tags", **values)
    return visit.render("datastores/tags.html", datastore=resource, tab="tags", **values)


def _may_set(visit: Visit, arn: str, key: str, value: str) -> bool:
    context: Mapping[str, ContextValue] = {"aws:tagkeys": (key,), f"aws:requesttag/{key.lower()}": value}
    return visit.may("medical-imaging:TagResource", arn, context=context)


PAGES: Final = (
    Page(f"{LIST}/{{datastore}}/tags", show_datastore_tags),
    Page(f"{LIST}/{{datastore}}/tags", change_datastore_tags, ("POST",)),
    Page(f"{IMAGE_SET}/tags", show_image_set_tags),
    Page(f"{IMAGE_SET}/tags", change_image_set_tags, ("POST",)),
)
