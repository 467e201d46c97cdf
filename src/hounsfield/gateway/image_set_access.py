"""The access of a caller to image sets that the request does not name: decided by policies when they are known.

parse ─▶ CallerAccess(principal, the permission that let the request in) ─▶ domain ─▶ require, denied ─▶ policies
                                                                                 └─▶ resources of the audit record
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import orjson
from sqlalchemy import Connection

from hounsfield.iam.authorization import (
    ContextValue,
    Permission,
    RequestConditionKeys,
    may_be_denied,
    refused_resources,
    require,
)
from hounsfield.iam.permission_snapshot import NoConditionKeys, PermissionSnapshot
from hounsfield.iam.policies.resource_filter import NotExpressibleError, ResourceFilter
from hounsfield.iam.principals import Principal
from hounsfield.iam.request_context import RequestContext
from hounsfield.imaging.image_set_access import UNLIMITED, ImageSetAccess
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.tag_index import distinct_values
from hounsfield.imaging.tags import tags_of_image_sets
from hounsfield.storage.db.tag_filters import Formula, all_of

_MOST_VALUES: Final = 1_000
"""Values of a tag that are looked at one by one, for conditions other than ``StringEquals``."""


@dataclass(frozen=True, slots=True)
class CallerAccess:
    """An `hounsfield.imaging.image_set_access.ImageSetAccess`.

    Attributes
    ----------
    principal : Principal
        Who calls.
    permission : Permission
        What let the request in. Its action and condition keys are those that image sets are decided by.
    on_image_sets : bool
        Whether the action must be allowed on each image set: it is one on image sets, or the data store asks for it. Any other
        one is allowed on the data store, and must not be denied on any of them.
    condition_keys : RequestConditionKeys
        What else is known of the request.
    image_store : ImageStore
        The image store, for ARNs and tags.
    note : callable
        Notes the ARNs of image sets that the request touches, for its audit record.
    asked : Permission or None
        What the request asked for, where another permission let it in instead: this one must not be denied either.
    """

    principal: Principal
    permission: Permission
    on_image_sets: bool
    condition_keys: RequestConditionKeys = field(repr=False)
    image_store: ImageStore = field(repr=False)
    note: Callable[[Sequence[str]], None] = field(repr=False)
    asked: Permission | None = None

    @property
    def is_limited(self) -> bool:
        """Whether image sets may be refused at all."""
        if self.on_image_sets:
            return not self.principal.is_root
        below = self._beginning
        return any(may_be_denied(self.principal, permission.action, below) for permission in self._permissions)

    def require(self, connection: Connection | None, datastore_id: str, image_set_ids: Collection[str]) -> None:
        """Let the operation touch image sets; raises `hounsfield.iam.authorization.AccessDeniedError`."""
        arns = self._arns(datastore_id, image_set_ids)
        self.note(list(arns.values()))
        if self.is_limited:
            condition_keys = self._condition_keys(connection, datastore_id, image_set_ids)
            for needed in self._needed(arns.values()):
                require(self.principal, needed, condition_keys)

    def denied(self, connection: Connection, datastore_id: str, image_set_ids: Collection[str]) -> frozenset[str]:
        """Return the image sets that the operation has to leave out."""
        if not self.is_limited:
            return frozenset()
        arns = self._arns(datastore_id, image_set_ids)
        condition_keys = self._condition_keys(connection, datastore_id, image_set_ids)
        refused: set[str] = set()
        for needed in self._needed(arns.values()):
            refused |= refused_resources(self.principal, needed, condition_keys)
        return frozenset(image_set_id for image_set_id, arn in arns.items() if arn in refused)

    def kept(self) -> str | None:
        """Return what `access_of_kept` needs to decide later as it is decided now; None where there is nothing to decide."""
        if not self.is_limited:
            return None
        rights = PermissionSnapshot.of(self.principal, self.permission, self.condition_keys)
        return orjson.dumps({"onImageSets": self.on_image_sets, "rights": rights.to_json()}).decode()

    def visible(self, connection: Connection, datastore_id: str) -> Formula | None:
        """Return the image sets that lists may show, where each must be allowed and the policies can be said as a formula."""
        if not self.is_limited:
            return True
        if not self.on_image_sets:
            return None
        prefix = self.image_store.image_set_arn(datastore_id, "")
        parts = []
        try:
            for permission in self._permissions:
                context = RequestContext(permission.context, self.principal, "", self.condition_keys)
                resource_filter = ResourceFilter(
                    prefix, context, lambda key: distinct_values(connection, datastore_id, key, _MOST_VALUES)
                )
                rights, action = self.principal.rights, permission.action
                parts.append(
                    resource_filter.of(rights, action)
                    if permission is self.permission
                    else resource_filter.not_denied(rights, action)
                )
        except NotExpressibleError:
            return None
        return all_of(parts)

    def _arns(self, datastore_id: str, image_set_ids: Collection[str]) -> dict[str, str]:
        prefix = self.image_store.image_set_arn(datastore_id, "")
        return {image_set_id: prefix + image_set_id for image_set_id in image_set_ids}

    @property
    def _beginning(self) -> str:
        """What the ARNs of the image sets begin with that the request may touch; nothing where that is not known."""
        stores = [arn for arn in self.permission.resources if arn.startswith(self.image_store.datastore_arn(""))]
        return f"{stores[0]}/imageset/" if stores else ""

    @property
    def _permissions(self) -> tuple[Permission, ...]:
        asked = self.asked
        return (self.permission,) if asked is None or asked is self.permission else (self.permission, asked)

    def _needed(self, arns: Collection[str]) -> Iterator[Permission]:
        for permission in self._permissions:
            allowed = self.on_image_sets and permission is self.permission
            resources, unless_denied = (list(arns), []) if allowed else ([], list(arns))
            yield replace(permission, resources=resources, unless_denied=unless_denied, instead=None)

    def _condition_keys(
        self, connection: Connection | None, datastore_id: str, image_set_ids: Collection[str]
    ) -> RequestConditionKeys:
        if not self.principal.rights.ask_for_resource_tags:
            return self.condition_keys
        if connection is None:
            with self.image_store.database.read() as own:
                return self._condition_keys(own, datastore_id, image_set_ids)
        return _WithTags(
            self.condition_keys, tags_of_image_sets(connection, self.image_store, datastore_id, image_set_ids)
        )


def access_of_kept(image_store: ImageStore, kept: str | None) -> ImageSetAccess:
    """Return the access of a caller that `CallerAccess.kept` wrote down, for work that goes on after the request."""
    if kept is None:
        return UNLIMITED
    content = orjson.loads(kept)
    rights = PermissionSnapshot.from_json(content["rights"])
    return CallerAccess(
        rights.principal, rights.permission, content["onImageSets"], NoConditionKeys(), image_store, note=lambda _: None
    )


@dataclass(frozen=True, slots=True)
class _WithTags:
    """What is known of a request, with the tags of image sets as a transaction sees them."""

    condition_keys: RequestConditionKeys
    tags: Mapping[str, Mapping[str, str]]

    def value(self, key: str) -> ContextValue | None:
        return self.condition_keys.value(key)

    def resource_tags(self, resource: str) -> Mapping[str, str]:
        return self.tags.get(resource, {})
