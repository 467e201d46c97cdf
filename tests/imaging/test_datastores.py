"""Data stores: made, shown, listed page by page, deleted; and both lossless formats end to end."""

from __future__ import annotations

import uuid
import zlib
from typing import Any

import imagecodecs
import pytest
from botocore.exceptions import ClientError

from support.files.synthetic import noise, save, slice_of
from support.imaging.imports import document, frame, image_sets, instances, run_import
from support.servers import ServerProcess, active_datastore, start_import, wait_for


def error_of(call: Any, **parameters: Any) -> str:
    with pytest.raises(ClientError) as raised:
        call(**parameters)
    return raised.value.response["Error"]["Code"]


def status_of(client: Any, identifier: str) -> str:
    return client.get_datastore(datastoreId=identifier)["datastoreProperties"]["datastoreStatus"]


def test_a_data_store_goes_through_its_states(client: Any) -> None:
    made = client.create_datastore(datastoreName="states", tags={"team": "head"})
    assert made["datastoreStatus"] == "CREATING"
    identifier = made["datastoreId"]
    wait_for(lambda: status_of(client, identifier) == "ACTIVE", "the data store to become ACTIVE")
    shown = client.get_datastore(datastoreId=identifier)["datastoreProperties"]
    assert shown["datastoreName"] == "states"
    assert shown["losslessStorageFormat"] == "HTJ2K"
    assert shown["datastoreArn"] == f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{identifier}"
    assert shown["createdAt"] <= shown["updatedAt"]
    assert client.list_tags_for_resource(resourceArn=shown["datastoreArn"])["tags"] == {"team": "head"}
    assert client.delete_datastore(datastoreId=identifier)["datastoreStatus"] == "DELETING"
    wait_for(lambda: status_of(client, identifier) == "DELETED", "the data store to become DELETED")
    assert error_of(client.delete_datastore, datastoreId=identifier) == "ResourceNotFoundException"
    assert error_of(client.search_image_sets, datastoreId=identifier, searchCriteria={}) == "ResourceNotFoundException"


def test_a_client_token_makes_one_data_store(client: Any) -> None:
    token = str(uuid.uuid4())
    first = client.create_datastore(clientToken=token, datastoreName="once")["datastoreId"]
    assert client.create_datastore(clientToken=token, datastoreName="once")["datastoreId"] == first
    assert error_of(client.create_datastore, clientToken=token, datastoreName="twice") == "ConflictException"


def test_listing_comes_in_pages_newest_first(client: Any) -> None:
    made = [active_datastore(client, datastoreName=f"page-{number}") for number in range(5)]
    pages = client.get_paginator("list_datastores").paginate(datastoreStatus="ACTIVE", PaginationConfig={"PageSize": 2})
    sizes, listed = [], []
    for page in pages:
        sizes.append(len(page["datastoreSummaries"]))
        listed.extend(entry["datastoreId"] for entry in page["datastoreSummaries"])
    assert [identifier for identifier in listed if identifier in made] == made[::-1]
    assert len(listed) == len(set(listed))
    assert max(sizes) == 2


def test_a_data_store_with_content_is_not_deleted(server: ServerProcess, client: Any, datastore: str) -> None:
    save(slice_of(study=401), server.bucket("input") / "datastores-full" / "one.dcm")
    run_import(server, client, datastore, "datastores-full/")
    assert error_of(client.delete_datastore, datastoreId=datastore) == "ConflictException"
    assert status_of(client, datastore) == "ACTIVE"


def test_an_import_into_a_store_that_is_not_there_is_refused(client: Any) -> None:
    assert error_of(lambda: start_import(client, "0" * 32, "s3://input/")) == "ResourceNotFoundException"


@pytest.mark.parametrize(
    ("lossless", "syntax", "kind"),
    [("HTJ2K", "1.2.840.10008.1.2.4.202", "image/jph"), ("JPEG_2000_LOSSLESS", "1.2.840.10008.1.2.4.90", "image/j2c")],
)
def test_each_lossless_format_gives_back_the_samples(
    server: ServerProcess, client: Any, lossless: str, syntax: str, kind: str
) -> None:
    datastore = active_datastore(client, losslessStorageFormat=lossless)
    assert client.get_datastore(datastoreId=datastore)["datastoreProperties"]["losslessStorageFormat"] == lossless
    pixels = noise(200, 180, seed=3)
    save(slice_of(study=402, pixels=pixels), server.bucket("input") / f"lossless-{lossless}" / "one.dcm")
    run_import(server, client, datastore, f"lossless-{lossless}/")
    (found,) = image_sets(client, datastore)
    ((_, instance),) = instances(document(client, datastore, found["imageSetId"]))
    assert instance["StoredTransferSyntaxUID"] == syntax
    data, content_type = frame(client, datastore, found["imageSetId"], instance["ImageFrames"][0]["ID"])
    assert content_type == kind
    decode = imagecodecs.htj2k_decode if lossless == "HTJ2K" else imagecodecs.jpeg2k_decode
    checksum = zlib.crc32(pixels.tobytes())
    assert zlib.crc32(decode(data).tobytes()) == checksum
    assert instance["ImageFrames"][0]["PixelDataChecksumFromBaseToFullResolution"][-1]["Checksum"] == checksum
