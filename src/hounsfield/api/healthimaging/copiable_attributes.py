"""The instances that CopyImageSet is asked to copy, read from ``copiableAttributes``.

{"SchemaVersion": "1.1", "Study": {"Series": {"<Series UID>": {"Instances": {"<SOP UID>": {}, …}}}}}
"""

from __future__ import annotations

from hounsfield.imaging.errors import InvalidRequestError
from hounsfield.imaging.imagesets.copy_request import ChosenInstances
from hounsfield.imaging.imagesets.request_json import read_request_json


def chosen_instances(copiable_attributes: str) -> ChosenInstances:
    """Read series and SOP Instance UIDs out of ``copiableAttributes``.

    Raises
    ------
    InvalidRequestError
        It is no JSON of that form, or names no instance.
    """
    content = read_request_json("copiableAttributes", copiable_attributes)
    series = _member(_member(content, "Study"), "Series")
    if len(series) != 1:
        raise InvalidRequestError(f"copiableAttributes names {len(series)} series, an image set holds one")
    ((series_uid, chosen),) = series.items()
    instances = _member(chosen, "Instances")
    if not instances:
        raise InvalidRequestError("copiableAttributes names no SOP instance")
    if any(not isinstance(value, dict) for value in instances.values()):
        raise InvalidRequestError("copiableAttributes: each SOP Instance UID must have an object as its value")
    return ChosenInstances(series_uid, frozenset(instances))


def _member(content: object, name: str) -> dict[str, object]:
    value = content.get(name) if isinstance(content, dict) else None
    if not isinstance(value, dict):
        raise InvalidRequestError(f"copiableAttributes has no object {name} where one belongs")
    return value
