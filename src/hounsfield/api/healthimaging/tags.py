"""TagResource, UntagResource, ListTagsForResource."""

from __future__ import annotations

from collections.abc import Mapping

from hounsfield.api.healthimaging.context import Context
from hounsfield.api.healthimaging.parameters import mapping, text
from hounsfield.aws.protocol.arns import ResourceArn
from hounsfield.aws.protocol.model import Parameters
from hounsfield.imaging import tags as domain
from hounsfield.imaging.errors import NotFoundError
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.tags import TaggedResource


def tag_resource(context: Context, parameters: Parameters) -> Mapping[str, object]:
    """API operation TagResource."""
    domain.tag_resource(context.image_store, _resource(context.image_store, parameters), mapping(parameters, "tags"))
    return {}


def untag_resource(context: Context, parameters: Parameters) -> Mapping[str, object]:
    """API operation UntagResource."""
    domain.untag_resource(context.image_store, _resource(context.image_store, parameters), _keys(parameters))
    return {}


def list_tags_for_resource(context: Context, parameters: Parameters) -> Mapping[str, object]:
    """API operation ListTagsForResource."""
    return {"tags": domain.list_tags(context.image_store, _resource(context.image_store, parameters))}


def _keys(parameters: Parameters) -> list[str]:
    keys = parameters["tagKeys"]
    return [str(key) for key in keys] if isinstance(keys, list) else []


def _resource(image_store: ImageStore, parameters: Parameters) -> TaggedResource:
    """Find what an ARN names; nothing of another partition, region or account is here."""
    arn = ResourceArn.parse(text(parameters, "resourceArn"))
    if (arn.partition, arn.region, arn.account_id) != (
        image_store.partition,
        image_store.region,
        image_store.account_id,
    ):
        raise NotFoundError(f"resource {arn} does not exist")
    return TaggedResource(arn.datastore_id, arn.image_set_id)
