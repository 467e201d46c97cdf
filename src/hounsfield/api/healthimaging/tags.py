"""TagResource, UntagResource, ListTagsForResource."""

from __future__ import annotations

from collections.abc import Mapping

from hounsfield.api.healthimaging.context import Context
from hounsfield.api.healthimaging.parameters import mapping, text
from hounsfield.aws.protocol.arns import ResourceArn
from hounsfield.aws.protocol.model import Parameters
from hounsfield.imaging import tags as domain
from hounsfield.imaging.errors import NotFoundError
from hounsfield.imaging.image_store import Archive
from hounsfield.imaging.tags import TaggedResource


def tag_resource(context: Context, parameters: Parameters) -> Mapping[str, object]:
    """API operation TagResource."""
    domain.tag_resource(context.archive, _resource(context.archive, parameters), mapping(parameters, "tags"))
    return {}


def untag_resource(context: Context, parameters: Parameters) -> Mapping[str, object]:
    """API operation UntagResource."""
    domain.untag_resource(context.archive, _resource(context.archive, parameters), _keys(parameters))
    return {}


def list_tags_for_resource(context: Context, parameters: Parameters) -> Mapping[str, object]:
    """API operation ListTagsForResource."""
    return {"tags": domain.list_tags(context.archive, _resource(context.archive, parameters))}


def _keys(parameters: Parameters) -> list[str]:
    keys = parameters["tagKeys"]
    return [str(key) for key in keys] if isinstance(keys, list) else []


def _resource(archive: Archive, parameters: Parameters) -> TaggedResource:
    """Find what an ARN names; nothing of another partition, region or account is here."""
    arn = ResourceArn.parse(text(parameters, "resourceArn"))
    if (arn.partition, arn.region, arn.account_id) != (archive.partition, archive.region, archive.account_id):
        raise NotFoundError(f"resource {arn} does not exist")
    return TaggedResource(arn.datastore_id, arn.image_set_id)
