"""The input of import jobs in an object store: whose bucket it is, odd keys, and objects that change under a job."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from support.files.bad_files import FAILING, written
from support.files.synthetic import slice_of, uid
from support.imaging.import_folders import fill, sop_instances, start_job
from support.servers import ServerProcess, active_datastore, finished_job, start_import
from support.services.object_store import ObjectStore, proxy

OWN, OTHER, THIRD = "000000000000", "111122223333", "444455556666"
OWNER_HEADER = "x-amz-expected-bucket-owner"


class Watcher:
    """Stands at the proxy of an object store: knows who owns which bucket, and replaces objects when they are read."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self.owners: dict[str, str] = {}
        self.replace_when_read: dict[tuple[str, str], bytes] = {}
        self.asked: list[tuple[str, str | None, str]] = []

    def __call__(self, method: str, path: str, headers: Mapping[str, str]) -> int | None:
        bucket, _, key = path.lstrip("/").partition("?")[0].partition("/")
        expected = headers.get(OWNER_HEADER)
        if method == "HEAD" and not key:
            self.asked.append((bucket, expected, headers.get("authorization", "")))
        if expected is not None and bucket in self.owners and self.owners[bucket] != expected:
            return 403
        if method == "GET" and (bucket, key) in self.replace_when_read:
            self.store.client.put_object(Bucket=bucket, Key=key, Body=self.replace_when_read.pop((bucket, key)))
        return None


@pytest.fixture(scope="module")
def watcher(s3: ObjectStore) -> Watcher:
    for bucket in ("owned", "results-of-owned", "odd-keys", "changing"):
        s3.client.create_bucket(Bucket=bucket)
    s3.client.put_object(Bucket="owned", Key="study/a.dcm", Body=written(slice_of()))
    return Watcher(s3)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, s3: ObjectStore, watcher: Watcher) -> Iterator[ServerProcess]:
    with proxy(s3, watcher) as store:
        process = ServerProcess(tmp_path_factory.mktemp("watched") / "data", store.environment()).start()
        yield process
        process.stop()


@pytest.fixture(scope="module")
def client(watched: ServerProcess) -> Any:
    return watched.client()


def ended(client: Any, source: str, **parameters: Any) -> dict[str, Any]:
    datastore = active_datastore(client)
    job_id = start_import(client, datastore, source, "s3://results-of-owned/", **parameters)
    return finished_job(client, datastore, job_id)


def lines(store: ObjectStore, job: dict[str, Any], name: str) -> dict[str, dict[str, Any]]:
    prefix = job["outputS3Uri"].removeprefix("s3://results-of-owned/")
    told = [json.loads(line) for line in store.get("results-of-owned", prefix + name).splitlines()]
    return {line["inputFile"]: line for line in told}


def test_the_owner_of_the_input_is_asked_of_the_store(client: Any, watcher: Watcher) -> None:
    watcher.owners["owned"] = OTHER
    watcher.asked.clear()
    assert ended(client, "s3://owned/study/")["jobStatus"] == "COMPLETED"
    assert watcher.asked == []
    assert ended(client, "s3://owned/study/", inputOwnerAccountId=OTHER)["jobStatus"] == "COMPLETED"
    bucket, expected, authorization = watcher.asked[0]
    assert (bucket, expected) == ("owned", OTHER)
    assert OWNER_HEADER in authorization.partition("SignedHeaders=")[2].partition(",")[0].split(";")


@pytest.mark.parametrize("account", [OWN, THIRD])
def test_a_bucket_of_somebody_else_is_not_read(client: Any, watcher: Watcher, account: str) -> None:
    watcher.owners["owned"] = OTHER
    job = ended(client, "s3://owned/study/", inputOwnerAccountId=account)
    assert job["jobStatus"] == "FAILED"
    assert f"bucket owned does not belong to account {account}" in job["message"]
    assert lines(watcher.store, job, "SUCCESS/success.ndjson") == {}


def test_a_store_that_knows_no_owners_has_buckets_of_the_own_account_only(client: Any, watcher: Watcher) -> None:
    watcher.owners.clear()
    assert ended(client, "s3://owned/study/", inputOwnerAccountId=OWN)["jobStatus"] == "COMPLETED"
    job = ended(client, "s3://owned/study/", inputOwnerAccountId=OTHER)
    assert job["jobStatus"] == "FAILED"
    assert "the object store does not know who owns bucket owned" in job["message"]
    job = ended(client, "s3://not-there-at-all/", inputOwnerAccountId=OTHER)
    assert (job["jobStatus"], "cannot be reached" in job["message"]) == ("FAILED", True)


def test_bucket_folders_belong_to_the_own_account(server: ServerProcess) -> None:
    client = server.client()
    datastore = active_datastore(client)
    fill(server, "owner", [slice_of()])
    job_id = start_job(server, client, datastore, "owner", inputOwnerAccountId=OWN)
    assert finished_job(client, datastore, job_id)["jobStatus"] == "COMPLETED"
    job_id = start_job(server, client, datastore, "owner", inputOwnerAccountId=OTHER)
    job = finished_job(client, datastore, job_id)
    assert job["jobStatus"] == "FAILED"
    assert f"belongs to account {OWN}, not to account {OTHER}" in job["message"]


ODD_KEYS = ["odd//a.dcm", "odd/../b.dcm", "odd/./c.dcm", "/d.dcm", "odd/e/../", "odd/tab\t.dcm", "odd/ü #%20+.dcm"]


def test_keys_that_are_no_paths_are_read_as_they_are(client: Any, s3: ObjectStore, watched: ServerProcess) -> None:
    for number, key in enumerate(ODD_KEYS):
        s3.client.put_object(Bucket="odd-keys", Key=key, Body=written(slice_of(number=number)))
    s3.client.put_object(Bucket="odd-keys", Key="odd//", Body=b"")
    s3.client.put_object(Bucket="odd-keys", Key="odd//bad", Body=FAILING["truncated-in-pixels.dcm"][0]())
    job = ended(client, "s3://odd-keys/")
    assert job["jobStatus"] == "COMPLETED"
    success = lines(s3, job, "SUCCESS/success.ndjson")
    assert sorted(success) == sorted(ODD_KEYS)
    assert lines(s3, job, "FAILURE/failure.ndjson").keys() == {"odd//bad"}
    (image_set,) = {line["importResponse"]["imageSetId"] for line in success.values()}
    found = sop_instances(client, job["datastoreId"], image_set)
    assert found.keys() == {uid(1, 1, number) for number in range(len(ODD_KEYS))}
    below = ended(client, "s3://odd-keys/odd//")
    assert lines(s3, below, "SUCCESS/success.ndjson").keys() == {"odd//a.dcm"}


def test_an_object_replaced_while_the_job_reads_it_fails_alone(client: Any, s3: ObjectStore, watcher: Watcher) -> None:
    keys = ["c/one.dcm", "c/two.dcm", "c//odd.dcm", "c/three.dcm"]
    for number, key in enumerate(keys):
        s3.client.put_object(Bucket="changing", Key=key, Body=written(slice_of(number, study=901)))
    s3.client.put_object(Bucket="changing", Key="c/meta.json", Body=b"{}")
    for key in ("c/two.dcm", "c//odd.dcm"):
        watcher.replace_when_read["changing", key] = written(slice_of(7, study=902))
    watcher.replace_when_read["changing", "c/meta.json"] = b'{"00204000": {"vr": "LT", "Value": ["new"]}}'
    mapping = {"studyInstanceUID": uid(901), "seriesInstanceUID": uid(901, 3), "metadataFilePath": "meta.json"}
    mappings = {"dicomJsonMetadataImportConfiguration": {"dicomMetadataMappings": [mapping]}}
    job = ended(client, "s3://changing/c/", importConfiguration=mappings)
    assert job["jobStatus"] == "COMPLETED"
    assert watcher.replace_when_read == {}
    failure = {key: line["exception"] for key, line in lines(s3, job, "FAILURE/failure.ndjson").items()}
    assert failure.keys() == {"c/two.dcm", "c//odd.dcm", "c/three.dcm"}
    assert {exception["exceptionType"] for exception in failure.values()} == {"ValidationException"}
    for key in ("c/two.dcm", "c//odd.dcm"):
        assert "replaced or changed after the job had listed it" in failure[key]["message"]
    assert failure["c/three.dcm"]["message"].startswith("Metadata file meta.json: it was replaced")
    assert lines(s3, job, "SUCCESS/success.ndjson").keys() == {"c/one.dcm"}
