"""Data stores whose key is one of a key service: made, read, refused when it is disabled, and what an outage means."""

from __future__ import annotations

import json
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.clients.dicomweb import part10, root, session, store
from support.files.synthetic import slice_of, uid
from support.imaging.import_folders import fill, import_folder, sop_instances, start_job
from support.imaging.imports import document, frame
from support.servers import ServerProcess, active_datastore, finished_job, wait_for
from support.services.key_service import KeyServiceProxy, key_service
from support.services.object_store import ObjectStore

STUDY = 810
LIFE_SECONDS = 5
"""How long each process uses a key that it has, whatever becomes of the key meanwhile."""


@pytest.fixture(scope="module")
def proxy(s3: ObjectStore) -> Iterator[KeyServiceProxy]:
    with key_service(s3) as place:
        yield place


@pytest.fixture(scope="module")
def server(proxy: KeyServiceProxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    life = {"HOUNSFIELD_KMS_CACHE_SECONDS": str(LIFE_SECONDS)}
    environment = {**proxy.environment(), **life, "HOUNSFIELD_IMPORT_WORKERS": "1"}
    process = ServerProcess(tmp_path_factory.mktemp("kms") / "data", environment).start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> Any:
    return server.client()


@dataclass
class Held:
    """A data store of a key, with one image set of one frame."""

    key: str
    datastore_id: str
    image_set_id: str
    frame_id: str


@pytest.fixture(scope="module")
def held(server: ServerProcess, client: Any, proxy: KeyServiceProxy) -> Held:
    key = proxy.new_key()
    datastore_id = active_datastore(client, kmsKeyArn=key)
    fill(server, "kms", [slice_of(study=STUDY)])
    (line,) = import_folder(server, client, datastore_id, "kms").success
    image_set_id = line["importResponse"]["imageSetId"]
    (instance,) = sop_instances(client, datastore_id, image_set_id).values()
    return Held(key, datastore_id, image_set_id, instance["ImageFrames"][0]["ID"])


def test_the_key_beside_the_packs_is_wrapped_by_the_service(server: ServerProcess, held: Held) -> None:
    said = json.loads((server.data / "blobs" / "keys" / f"{held.datastore_id}.json").read_text())
    assert said["wrapped_by"] == {"kms_key": held.key}
    assert b64decode(said["wrapped"]).startswith(b"AWS-KMS1")


@pytest.fixture(autouse=True)
def everything_works_again(proxy: KeyServiceProxy) -> Iterator[None]:
    yield
    proxy.restore()


def refusal(call: Callable[[], object]) -> tuple[int, str] | None:
    try:
        call()
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
    return None


def reads(server: ServerProcess, client: Any, held: Held) -> dict[str, Callable[[], object]]:
    """Everything that shows or changes something of the data store, by name."""
    ids = {"datastoreId": held.datastore_id, "imageSetId": held.image_set_id}
    web = session(server)
    study = f"{root(server, held.datastore_id)}/studies/{uid(STUDY)}"
    instance = f"{study}/series/{uid(STUDY, 1)}/instances/{uid(STUDY, 1, 1)}"

    def get(url: str, accept: str) -> Callable[[], object]:
        return lambda: checked(web.get(url, headers={"Accept": accept}, timeout=60))

    def checked(answer: Any) -> object:
        if answer.status_code >= 400:
            code = answer.headers.get("x-amzn-errortype", "")
            shape = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": answer.status_code}}
            raise ClientError(shape, "DICOMweb")
        return answer.content

    change = {"DICOMUpdates": {"updatableAttributes": b'{"SchemaVersion":1.1,"Study":{"DICOM":{"StudyID":"7"}}}'}}
    return {
        "GetImageFrame": lambda: frame(client, held.datastore_id, held.image_set_id, held.frame_id),
        "GetImageSet": lambda: client.get_image_set(**ids),
        "GetImageSetMetadata": lambda: document(client, held.datastore_id, held.image_set_id),
        "ListImageSetVersions": lambda: client.list_image_set_versions(**ids),
        "SearchImageSets": lambda: client.search_image_sets(datastoreId=held.datastore_id, searchCriteria={}),
        "retrieve": get(instance, "application/dicom"),
        "frames": get(f"{instance}/frames/1", "application/octet-stream"),
        "rendered": get(f"{instance}/rendered", "image/jpeg"),
        "metadata": get(f"{study}/series/{uid(STUDY, 1)}/metadata", "application/dicom+json"),
        "search": get(f"{root(server, held.datastore_id)}/studies", "application/dicom+json"),
        "store": lambda: checked(store(server, held.datastore_id, [part10(slice_of(study=STUDY + 1))])),
        "UpdateImageSetMetadata": lambda: client.update_image_set_metadata(
            **ids, latestVersionId="99", updateImageSetMetadataUpdates=change
        ),
        "CopyImageSet": lambda: client.copy_image_set(
            datastoreId=held.datastore_id,
            sourceImageSetId=held.image_set_id,
            copyImageSetInformation={"sourceImageSet": {"latestVersionId": "99"}},
        ),
    }


@pytest.fixture
def everything(server: ServerProcess, client: Any, held: Held) -> dict[str, Callable[[], object]]:
    """What `reads` gives, when the key can be used: a refusal that the test before met is given for a moment more."""
    calls = reads(server, client, held)
    wait_for(lambda: refusal(calls["GetImageFrame"]) is None, "the key to be given")
    return calls


def outlive_keys(since: float) -> None:
    """Wait until no process has a key any more that it was given before ``since``, in monotonic seconds.

    The runner has keys of its own, and nothing but a job shows whether one is still used.
    """
    wait_for(lambda: time.monotonic() > since + LIFE_SECONDS, "the keys to reach their age")


NO_VERSION = (404, "ResourceNotFoundException")
"""What changes answer when the key can be used: they name a version that is not there."""


def test_the_key_is_shown_and_used_with_its_context(server: ServerProcess, client: Any, proxy: KeyServiceProxy) -> None:
    key = proxy.new_key()
    made = client.create_datastore(kmsKeyArn=key, clientToken="once")["datastoreId"]
    assert client.get_datastore(datastoreId=made)["datastoreProperties"]["kmsKeyArn"] == key
    asked = [entry for entry in proxy.asked if entry.parameters["KeyId"] == key]
    assert [entry.operation for entry in asked] == ["DescribeKey", "GenerateDataKey"]
    assert asked[1].context == {"kms-arn": key, "aws:medical-imaging:datastoreId": made}
    assert client.create_datastore(kmsKeyArn=key, clientToken="once")["datastoreId"] == made
    with pytest.raises(ClientError, match="clientToken"):
        client.create_datastore(kmsKeyArn=proxy.new_key(), clientToken="once")
    assert proxy.count("GenerateDataKey") == len({id(e) for e in proxy.asked if e.operation == "GenerateDataKey"})
    assert [entry for entry in proxy.asked if entry.parameters["KeyId"] == key] == asked


def test_an_alias_is_shown_as_it_was_given(client: Any, proxy: KeyServiceProxy) -> None:
    key = proxy.new_key()
    proxy.admin.create_alias(AliasName="alias/imaging-store", TargetKeyId=key)
    alias = key.rsplit(":", 1)[0] + ":alias/imaging-store"
    made = active_datastore(client, kmsKeyArn=alias)
    assert client.get_datastore(datastoreId=made)["datastoreProperties"]["kmsKeyArn"] == alias


def test_a_key_that_cannot_be_used_makes_no_data_store(client: Any, proxy: KeyServiceProxy) -> None:
    good, disabled, dying = proxy.new_key(), proxy.new_key(), proxy.new_key()
    proxy.disable(disabled)
    proxy.admin.schedule_key_deletion(KeyId=dying.split("/")[1], PendingWindowInDays=7)
    before = client.list_datastores(maxResults=50)["datastoreSummaries"]
    for key, message in (
        (disabled, "Disabled"),
        (dying, "PendingDeletion"),
        (proxy.new_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY"), "symmetric"),
        (proxy.new_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC"), "symmetric"),
        (good[:-4] + "0000", "no such key"),
        (good.replace("us-east-1", "eu-west-1"), "us-east-1"),
    ):
        with pytest.raises(ClientError, match=f"kmsKeyArn cannot be used: .*{message}") as refused:
            client.create_datastore(kmsKeyArn=key)
        assert refused.value.response["Error"]["Code"] == "ValidationException"
    proxy.denied = True
    assert refusal(lambda: client.create_datastore(kmsKeyArn=good)) == (403, "AccessDeniedException")
    proxy.denied, proxy.down = False, True
    assert refusal(lambda: client.create_datastore(kmsKeyArn=good)) == (503, "ServiceUnavailableException")
    assert client.list_datastores(maxResults=50)["datastoreSummaries"] == before


def test_a_disabled_key_closes_the_data_store_within_its_life(
    server: ServerProcess,
    client: Any,
    proxy: KeyServiceProxy,
    held: Held,
    everything: dict[str, Callable[[], object]],
) -> None:
    usable = {name: refusal(call) for name, call in everything.items()}
    expected = dict.fromkeys(everything) | {"UpdateImageSetMetadata": NO_VERSION, "CopyImageSet": NO_VERSION}
    assert usable == expected
    proxy.disable(held.key)
    disabled = time.monotonic()
    wait_for(lambda: refusal(everything["GetImageFrame"]), "the key to be refused")
    denied = (403, "AccessDeniedException")
    assert {name: refusal(call) for name, call in everything.items()} == dict.fromkeys(everything, denied)
    assert (
        refusal(lambda: client.delete_image_set(datastoreId=held.datastore_id, imageSetId=held.image_set_id)) == denied
    )

    outlive_keys(disabled)
    job = finished_job(client, held.datastore_id, start_job(server, client, held.datastore_id, "kms"))
    assert job["jobStatus"] == "FAILED"
    assert "key of the data store is not available" in job["message"]
    shown = client.get_datastore(datastoreId=held.datastore_id)["datastoreProperties"]
    assert (shown["datastoreStatus"], shown["kmsKeyArn"]) == ("ACTIVE", held.key)

    proxy.enable(held.key)
    wait_for(lambda: refusal(everything["GetImageFrame"]) is None, "the key to be given again")
    assert {name: refusal(call) for name, call in everything.items()} == expected


def test_an_outage_is_told_apart_from_a_refusal(
    server: ServerProcess,
    client: Any,
    proxy: KeyServiceProxy,
    held: Held,
    everything: dict[str, Callable[[], object]],
) -> None:
    proxy.down = True
    went_down = time.monotonic()
    wait_for(lambda: refusal(everything["GetImageFrame"]), "the key to reach its age")
    down = (503, "ServiceUnavailableException")
    assert {name: refusal(call) for name, call in everything.items()} == dict.fromkeys(everything, down)
    outlive_keys(went_down)
    job_id = start_job(server, client, held.datastore_id, "kms")
    begun = len(proxy.asked)
    wait_for(lambda: len(proxy.asked) > begun, "the job to ask for the key")
    proxy.down = False
    wait_for(lambda: refusal(everything["GetImageFrame"]) is None, "the key to be given again")
    assert finished_job(client, held.datastore_id, job_id)["jobStatus"] == "COMPLETED"


def test_nobody_else_waits_for_the_key_service(
    server: ServerProcess,
    client: Any,
    proxy: KeyServiceProxy,
    held: Held,
    everything: dict[str, Callable[[], object]],
) -> None:
    local = active_datastore(client)
    fill(server, "kms-local", [slice_of(study=STUDY + 2)])
    (line,) = import_folder(server, client, local, "kms-local").success
    image_set_id = line["importResponse"]["imageSetId"]
    (instance,) = sop_instances(client, local, image_set_id).values()
    frame_id = instance["ImageFrames"][0]["ID"]
    proxy.down = True
    wait_for(lambda: refusal(everything["GetImageFrame"]), "the key to reach its age")
    proxy.passing.clear()
    proxy.down = False

    def answered(name: str) -> bool:
        """Ask until it is answered; a refusal of before is given for a moment more."""
        return wait_for(lambda: refusal(everything[name]) is None, f"{name} to be answered", 120)

    with ThreadPoolExecutor(12) as threads:
        waiting = [threads.submit(answered, name) for name in ("GetImageFrame", "GetImageSet", "search") * 4]
        assert proxy.waiting.acquire(timeout=120)
        # One process, whose event loop answers short reads itself, and a transaction of the embedded database at a time.
        assert frame(client, local, image_set_id, frame_id)[0]
        client.tag_resource(
            resourceArn=client.get_datastore(datastoreId=local)["datastoreProperties"]["datastoreArn"], tags={"a": "b"}
        )
        assert not any(future.done() for future in waiting)
        proxy.passing.set()
        assert all(future.result() for future in waiting)
