"""Tags of data stores and image sets."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.files.synthetic import slice_of
from support.imaging.stored_series import deleted, imported
from support.servers import ServerProcess, active_datastore, wait_for

ARN = "arn:aws:medical-imaging:us-east-1:000000000000:datastore/{}"


@pytest.fixture
def arns(server: ServerProcess, client: Any, datastore: str) -> dict[str, str]:
    (image_set,) = imported(server, client, datastore, slice_of())
    return {
        "datastore": client.get_datastore(datastoreId=datastore)["datastoreProperties"]["datastoreArn"],
        "image set": client.get_image_set(datastoreId=datastore, imageSetId=image_set)["imageSetArn"],
        "image set id": image_set,
    }


def tags_of(client: Any, arn: str) -> dict[str, str]:
    answer: dict[str, str] = client.list_tags_for_resource(resourceArn=arn)["tags"]
    return answer


def refused(call: Any, **parameters: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize("kind", ["datastore", "image set"])
def test_tags_are_added_overwritten_and_removed(client: Any, arns: dict[str, str], kind: str) -> None:
    arn = arns[kind]
    assert tags_of(client, arn) == {}
    client.tag_resource(resourceArn=arn, tags={"project": "alpha", "a+b=c/d:1.2": "", "owner": "Zoë Ü & co"})
    client.tag_resource(resourceArn=arn, tags={"project": "beta"})
    assert tags_of(client, arn) == {"project": "beta", "a+b=c/d:1.2": "", "owner": "Zoë Ü & co"}
    client.untag_resource(resourceArn=arn, tagKeys=["a+b=c/d:1.2", "owner", "never-there"])
    assert tags_of(client, arn) == {"project": "beta"}
    client.untag_resource(resourceArn=arn, tagKeys=["project"])
    assert tags_of(client, arn) == {}


def test_tags_of_a_data_store_and_its_image_set_are_apart(client: Any, arns: dict[str, str]) -> None:
    client.tag_resource(resourceArn=arns["datastore"], tags={"level": "store"})
    client.tag_resource(resourceArn=arns["image set"], tags={"level": "set"})
    assert tags_of(client, arns["datastore"]) == {"level": "store"}
    assert tags_of(client, arns["image set"]) == {"level": "set"}


def test_tagging_makes_no_version_and_counts_as_no_access(client: Any, datastore: str, arns: dict[str, str]) -> None:
    before = client.get_image_set(datastoreId=datastore, imageSetId=arns["image set id"])
    client.tag_resource(resourceArn=arns["image set"], tags={"a": "b"})
    after = client.get_image_set(datastoreId=datastore, imageSetId=arns["image set id"])
    before.pop("ResponseMetadata")
    after.pop("ResponseMetadata")
    assert after == before


def test_tags_given_at_creation_are_listed(client: Any) -> None:
    datastore = active_datastore(client, tags={"team": "imaging"})
    assert tags_of(client, ARN.format(datastore)) == {"team": "imaging"}


def test_a_resource_has_at_most_fifty_tags(client: Any, arns: dict[str, str]) -> None:
    arn = arns["image set"]
    fifty = {f"key-{number}": str(number) for number in range(50)}
    client.tag_resource(resourceArn=arn, tags=fifty)
    assert refused(client.tag_resource, resourceArn=arn, tags={"one": "more", "key-1": "changed"}) == (
        "ValidationException",
        400,
    )
    assert tags_of(client, arn) == fifty
    client.tag_resource(resourceArn=arn, tags={"key-1": "changed"})
    assert tags_of(client, arn) == {**fifty, "key-1": "changed"}


@pytest.mark.parametrize(
    "change",
    [
        ("us-east-1", "eu-west-1"),
        (":000000000000:", ":111122223333:"),
        ("arn:aws:", "arn:aws-cn:"),
        ("datastore/", "datastore/" + 32 * "0" + "/imageset/"),
    ],
    ids=["region", "account", "partition", "other"],
)
def test_what_is_not_here_cannot_be_tagged(client: Any, arns: dict[str, str], change: tuple[str, str]) -> None:
    arn = arns["datastore"].replace(*change)
    for call, parameters in (
        (client.list_tags_for_resource, {}),
        (client.tag_resource, {"tags": {"a": "b"}}),
        (client.untag_resource, {"tagKeys": ["a"]}),
    ):
        assert refused(call, resourceArn=arn, **parameters) == ("ResourceNotFoundException", 404)


@pytest.mark.parametrize(
    "tags", [{"aws:mine": "x"}, {"": "x"}, {"a b": "x"}, {"k" * 129: "x"}, {"k": "v" * 257}], ids=str
)
def test_tags_that_cannot_be_are_refused(server: ServerProcess, arns: dict[str, str], tags: dict[str, str]) -> None:
    client = server.client(parameter_validation=False)
    assert refused(client.tag_resource, resourceArn=arns["datastore"], tags=tags) == ("ValidationException", 400)


@pytest.mark.parametrize("kind", ["datastore", "image set"])
def test_keys_that_differ_only_in_case_are_refused(client: Any, arns: dict[str, str], kind: str) -> None:
    arn = arns[kind]
    client.tag_resource(resourceArn=arn, tags={"ward": "3"})
    for tags in ({"Ward": "4"}, {"WARD": "3"}, {"other": "1", "wArd": ""}, {"Bed": "1", "bed": "2"}):
        assert refused(client.tag_resource, resourceArn=arn, tags=tags) == ("ValidationException", 400)
        assert tags_of(client, arn) == {"ward": "3"}
    client.tag_resource(resourceArn=arn, tags={"ward": "4", "ward2": "x"})
    client.untag_resource(resourceArn=arn, tagKeys=["ward"])
    client.tag_resource(resourceArn=arn, tags={"Ward": "5"})
    assert tags_of(client, arn) == {"Ward": "5", "ward2": "x"}


def test_a_data_store_is_not_made_with_keys_that_differ_only_in_case(client: Any) -> None:
    before = client.list_datastores()["datastoreSummaries"]
    assert refused(client.create_datastore, tags={"Ward": "3", "ward": "4"}) == ("ValidationException", 400)
    assert client.list_datastores()["datastoreSummaries"] == before


def test_tags_go_with_their_resource(client: Any, datastore: str, arns: dict[str, str]) -> None:
    client.tag_resource(resourceArn=arns["image set"], tags={"a": "b"})
    deleted(client, datastore, arns["image set id"])
    assert refused(client.list_tags_for_resource, resourceArn=arns["image set"]) == ("ResourceNotFoundException", 404)
    client.delete_datastore(datastoreId=datastore)
    wait_for(
        lambda: client.get_datastore(datastoreId=datastore)["datastoreProperties"]["datastoreStatus"] == "DELETED",
        "the data store to be DELETED",
    )
    gone = {"resourceArn": arns["datastore"], "tags": {"a": "b"}}
    assert refused(client.tag_resource, **gone) == ("ResourceNotFoundException", 404)
