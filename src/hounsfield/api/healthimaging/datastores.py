"""CreateDatastore, GetDatastore, ListDatastores, DeleteDatastore."""

from __future__ import annotations

from collections.abc import Mapping

from hounsfield.api.healthimaging.context import Context
from hounsfield.api.healthimaging.pagination import Listing
from hounsfield.api.healthimaging.parameters import mapping, optional_text, text
from hounsfield.aws.protocol.model import Parameters
from hounsfield.imaging import datastores as domain
from hounsfield.imaging.client_tokens import retry_if_raced
from hounsfield.imaging.datastores import Datastore, DatastoreStatus, NewDatastore
from hounsfield.pixels.transfer_syntaxes import LosslessFormat


def create_datastore(context: Context, parameters: Parameters) -> Mapping[str, object]:
    """API operation CreateDatastore."""
    new = NewDatastore(
        client_token=text(parameters, "clientToken"),
        name=optional_text(parameters, "datastoreName"),
        tags=mapping(parameters, "tags"),
        kms_key_arn=optional_text(parameters, "kmsKeyArn"),
        lambda_authorizer_arn=optional_text(parameters, "lambdaAuthorizerArn"),
        lossless_format=LosslessFormat(optional_text(parameters, "losslessStorageFormat") or LosslessFormat.HTJ2K),
    )
    datastore = retry_if_raced(lambda: domain.create_datastore(context.image_store, new))
    return {"datastoreId": datastore.id, "datastoreStatus": datastore.status}


def get_datastore(context: Context, parameters: Parameters) -> Mapping[str, object]:
    """API operation GetDatastore."""
    datastore = domain.get_datastore(context.image_store, text(parameters, "datastoreId"))
    properties = {
        **_summary(datastore),
        "kmsKeyArn": datastore.kms_key_arn,
        "lambdaAuthorizerArn": datastore.lambda_authorizer_arn,
        "losslessStorageFormat": datastore.lossless_format,
    }
    return {"datastoreProperties": properties}


def list_datastores(context: Context, parameters: Parameters) -> Mapping[str, object]:
    """API operation ListDatastores."""
    listing = Listing(context.tokens, "ListDatastores", parameters)
    status = optional_text(parameters, "datastoreStatus")
    page = domain.list_datastores(
        context.image_store,
        status=DatastoreStatus(status) if status else None,
        after=listing.after,
        limit=listing.limit,
    )
    return {"datastoreSummaries": [_summary(entry) for entry in page.entries], "nextToken": listing.token(page.end)}


def delete_datastore(context: Context, parameters: Parameters) -> Mapping[str, object]:
    """API operation DeleteDatastore."""
    datastore = domain.delete_datastore(context.image_store, text(parameters, "datastoreId"))
    return {"datastoreId": datastore.id, "datastoreStatus": datastore.status}


def _summary(datastore: Datastore) -> dict[str, object]:
    return {
        "datastoreId": datastore.id,
        "datastoreName": datastore.name,
        "datastoreStatus": datastore.status,
        "datastoreArn": datastore.arn,
        "createdAt": datastore.created_at,
        "updatedAt": datastore.updated_at,
    }
