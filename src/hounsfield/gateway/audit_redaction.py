"""The parameters and responses that the audit trail shows: everything but what the service model marks as sensitive.

parsed parameters ─▶ shown_members          members that are sensitive are left out, blobs and bodies too
members as JSON    ─▶ shown_json            where there is no model: secrets are left out by their names
labels of a path  ─▶ shown_labels           nothing was checked yet: only what has the form of its member is shown
DICOMweb path     ─▶ shown_dicomweb_labels  likewise; the UIDs of the path tell which study was asked for
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Final

from hounsfield.audit.cloudtrail_record import HIDDEN
from hounsfield.audit.events import Json
from hounsfield.aws.protocol.model import Kind, Location, Shape
from hounsfield.aws.protocol.patterns import matcher

_ID: Final = re.compile(r"[0-9a-z]{32}")
_IMAGE_SET: Final = re.compile(rb"(?:^|&)imageSetId=([0-9a-z]{32})(?=&|$)")
_UID: Final = re.compile(r"[0-9.]{1,64}")
_FRAMES: Final = re.compile(r"[0-9,]{1,1024}")
_DIGEST: Final = re.compile(r"[0-9a-f]{1,128}")
_SECRETS: Final = frozenset({"SecretAccessKey", "SessionToken", "TokenCode", "WebIdentityToken"})
"""Members that are never shown, whether or not the service model marks them as sensitive."""
_LABELS: Final = {
    "datastoreId": ("datastoreId", _ID),
    "study": ("studyInstanceUID", _UID),
    "series": ("seriesInstanceUID", _UID),
    "instance": ("sopInstanceUID", _UID),
    "frames": ("frameList", _FRAMES),
    "digest": ("bulkDataDigest", _DIGEST),
}


def shown_members(shape: Shape, members: Mapping[str, object]) -> dict[str, Json]:
    """Return the members of a structure that may be shown.

    Parameters
    ----------
    shape : Shape
        Structure of the service model: the input or output of an operation, or one inside it.
    members : Mapping of str to object
        Its members as they were parsed, or as a handler gives them; what is not in the shape is left out.
    """
    shown: dict[str, Json] = {}
    for name, value in members.items():
        member = shape.members.get(name)
        if member is None or value is None or member.shape.sensitive or member.shape.kind is Kind.BLOB:
            continue
        if name in _SECRETS:
            continue
        shown[_lower_camel(name)] = _shown(member.shape, value)
    return shown


def shown_json(members: Mapping[str, object]) -> dict[str, Json]:
    """Return members of an API without a service model as they may be shown: all but secrets, by the names CloudTrail has.

    Parameters
    ----------
    members : Mapping of str to object
        Members of a request, once they are read and valid, or of an answer.
    """
    return {_lower_camel(name): _shown_value(value) for name, value in members.items() if name not in _SECRETS}


def _shown_value(value: object) -> Json:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, Mapping):
        return shown_json(value)
    if isinstance(value, list | tuple):
        return [_shown_value(entry) for entry in value]
    return value if isinstance(value, str | int | bool | float) else HIDDEN


def _lower_camel(name: str) -> str:
    """Return a name as CloudTrail writes it; one that begins with an abbreviation stays as it is."""
    return name if name[:2].isupper() else name[:1].lower() + name[1:]


def _shown(shape: Shape, value: object) -> Json:
    shown: Json = HIDDEN
    if shape.sensitive:
        return shown
    if isinstance(value, Enum):
        shown = str(value.value)
    elif isinstance(value, str | int | bool | float):
        shown = value
    elif isinstance(value, datetime):
        shown = value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    elif isinstance(value, Mapping) and shape.kind is Kind.STRUCTURE:
        shown = shown_members(shape, value)
    elif isinstance(value, Mapping) and shape.kind is Kind.MAP:
        shown = {str(key): _shown(shape.element, entry) for key, entry in value.items()}
    elif isinstance(value, list | tuple) and shape.kind is Kind.LIST:
        shown = [_shown(shape.element, entry) for entry in value]
    return shown


def shown_labels(shape: Shape, labels: Mapping[str, str]) -> dict[str, Json]:
    """Return the labels of a path of HealthImaging; those that do not have the form of their member are hidden.

    Parameters
    ----------
    shape : Shape
        Input structure of the operation.
    labels : Mapping of str to str
        Labels by their wire name, not validated.
    """
    shown: dict[str, Json] = {}
    members = shape.located(Location.PATH)
    for name, value in labels.items():
        member = members[name]
        pattern = member.shape.pattern
        fits = pattern is not None and not member.shape.sensitive and matcher(pattern)(value)
        shown[member.name] = value if fits else HIDDEN
    return shown


def shown_dicomweb_labels(labels: Mapping[str, str], query_string: bytes) -> dict[str, Json]:
    """Return what a DICOMweb request asks for by its path; what does not have the form it must have is hidden.

    Parameters
    ----------
    labels : Mapping of str to str
        Labels of the path.
    query_string : bytes
        The query as it was sent. Of it only ``imageSetId`` is shown: what is searched for may name a patient.
    """
    shown: dict[str, Json] = {}
    for label, value in labels.items():
        name, form = _LABELS[label]
        shown[name] = _fitting(form, value)
    image_set = _IMAGE_SET.search(query_string)
    if image_set is not None:
        shown["imageSetId"] = image_set[1].decode()
    return shown


def _fitting(form: re.Pattern[str], value: str) -> str:
    return value if form.fullmatch(value) else HIDDEN


def resources_of(prefix: str, parameters: Mapping[str, Json]) -> list[str]:
    """Return the ARNs of the resources that parameters name.

    Parameters
    ----------
    prefix : str
        Beginning of ARNs of this installation, up to ``datastore/``.
    parameters : Mapping of str to Json
        Parameters as they are shown.
    """
    arn = parameters.get("resourceArn")
    if isinstance(arn, str) and arn != HIDDEN:
        return [arn]
    datastore_id = parameters.get("datastoreId")
    if not isinstance(datastore_id, str) or datastore_id == HIDDEN:
        return []
    found = [prefix + datastore_id]
    image_set_id = parameters.get("imageSetId") or parameters.get("sourceImageSetId")
    if isinstance(image_set_id, str) and image_set_id != HIDDEN:
        found.append(f"{found[0]}/imageset/{image_set_id}")
    return found
