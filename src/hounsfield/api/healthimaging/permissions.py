"""The permissions each operation needs: its IAM action, which bears its name, and the resources it touches.

Source: Service Authorization Reference, AWS HealthImaging.

path ─▶ permission_of ─▶ required before the body is looked at; what it does not know yet counts as what would be allowed
parsed body ─▶ permissions_of_parameters ─▶ required before anything is done
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from hounsfield.api.healthimaging.parameters import mapping, optional_text, structure, text
from hounsfield.aws.protocol.model import Parameters
from hounsfield.iam.authorization import ContextValue, Permission
from hounsfield.iam.policies.aws_managed import SERVICE
from hounsfield.iam.policies.condition_context import UnsettledValue
from hounsfield.imaging.image_store import ImageStore

NEED_MORE: Final = frozenset({"CopyImageSet", "CreateDatastore", "StartDICOMImportJob", "TagResource", "UntagResource"})
"""Operations whose parameters need further permissions."""
PREFIX: Final = "medical-imaging:"
TAG_KEYS: Final = "aws:tagkeys"
REQUEST_TAG: Final = "aws:requesttag/"
TAGGING: Final[Mapping[str, tuple[str, ...]]] = {
    "CreateDatastore": (REQUEST_TAG, TAG_KEYS),
    "TagResource": (REQUEST_TAG, TAG_KEYS),
    "UntagResource": (TAG_KEYS,),
}
"""Condition keys of operations that name tags; the tags are known only once the request is parsed."""


def permission_of(operation: str, path: Mapping[str, str], image_store: ImageStore) -> Permission:
    """Name what a request needs by its path.

    Parameters
    ----------
    operation : str
        Operation name.
    path : Mapping[str, str]
        The labels of its path, not yet validated.
    image_store : ImageStore
        The image store, for the account and region of ARNs.
    """
    resources = []
    datastore_id, image_set_id = path.get("datastoreId"), _image_set_id(path)
    if datastore_id is not None:
        resources.append(image_store.datastore_arn(datastore_id))
        if image_set_id is not None:
            resources.append(image_store.image_set_arn(datastore_id, image_set_id))
    elif "resourceArn" in path:
        resources.append(path["resourceArn"])
    unknown: dict[str, ContextValue] = dict.fromkeys(TAGGING.get(operation, ()), UnsettledValue.HOPEFUL)
    return Permission(PREFIX + operation, resources or ["*"], unknown)


def names_image_set(path: Mapping[str, str]) -> bool:
    """Return, by its path, whether an operation is one on image sets, and must be allowed on each that it touches."""
    return _image_set_id(path) is not None


def _image_set_id(path: Mapping[str, str]) -> str | None:
    return path.get("imageSetId") or path.get("sourceImageSetId")


def permissions_of_parameters(
    needed: Permission, parameters: Parameters, image_store: ImageStore
) -> Iterator[Permission]:
    """Name what a request needs besides, by what only its body or query names.

    Parameters
    ----------
    needed : Permission
        What it needs by its path.
    parameters : Parameters
        The validated parameters. A copy writes its source, which is in the path, and ``destinationImageSet``.
    image_store : ImageStore
        The image store, for the account and region of ARNs.
    """
    operation = needed.action.removeprefix(PREFIX)
    if operation in TAGGING:
        asked = replace(needed, context=_tag_keys(operation, parameters))
        yield asked
        if operation == "CreateDatastore" and mapping(parameters, "tags"):
            # The data store has no id yet: whoever may give it tags may do so with whichever id it gets.
            yield replace(asked, action=f"{PREFIX}TagResource", resources=[image_store.datastore_arn("*")])
        function = optional_text(parameters, "lambdaAuthorizerArn")
        if function is not None:
            # Whoever could name a function without being allowed to call it would get roles from it for anybody.
            yield Permission("lambda:InvokeFunction", [function])
    elif operation == "CopyImageSet":
        yield from _destination(needed, parameters, image_store)
    elif operation == "StartDICOMImportJob":
        role = optional_text(parameters, "dataAccessRoleArn")
        if role is not None:
            yield Permission("iam:PassRole", [role], {"iam:passedtoservice": SERVICE})


def _tag_keys(operation: str, parameters: Parameters) -> dict[str, ContextValue]:
    """Return the condition keys of the tags in a request; ``aws:TagKeys`` is absent where there are none."""
    if operation == "UntagResource":
        keys = parameters["tagKeys"]
        return {TAG_KEYS: tuple(str(key) for key in keys) if isinstance(keys, list) else ()}
    tags = mapping(parameters, "tags")
    return {TAG_KEYS: tuple(tags), **{REQUEST_TAG + key.lower(): value for key, value in tags.items()}}


def _destination(needed: Permission, parameters: Parameters, image_store: ImageStore) -> Iterator[Permission]:
    destination = structure(parameters["copyImageSetInformation"]).get("destinationImageSet")
    if destination is not None:
        datastore_id, image_set_id = text(parameters, "datastoreId"), text(structure(destination), "imageSetId")
        resources = [image_store.image_set_arn(datastore_id, image_set_id), image_store.datastore_arn(datastore_id)]
        yield replace(needed, resources=resources)
