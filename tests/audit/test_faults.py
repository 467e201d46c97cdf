"""The audit trail when something fails: a killed process, a disk that takes nothing, a bucket that does not answer."""

from __future__ import annotations

import gzip
import json
import re
import signal
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from support.audit_trail import api_chains, record_of, records, run_audit, verified
from support.clients.signed_http import send_signed
from support.faults.unwritable_disk import put_back, take_away
from support.processes import api_processes
from support.servers import ServerProcess, active_datastore, wait_for
from support.services.object_store import ObjectStore, proxy

KEY = re.compile(
    r"trail/AWSLogs/000000000000/CloudTrail/us-east-1/\d{4}/\d\d/\d\d/"
    r"000000000000_CloudTrail_us-east-1_\d{8}T\d{4}Z_[A-Z0-9]{16}\.json\.gz"
)


def delivered(s3: ObjectStore) -> Counter[str]:
    """Count the records in the bucket by their event ids."""
    keys = s3.keys("audit-trail")
    assert [key for key in keys if not KEY.fullmatch(key)] == []
    return Counter(
        record["eventID"]
        for key in keys
        for record in json.loads(gzip.decompress(s3.get("audit-trail", key)))["Records"]
    )


def test_the_trail_is_delivered_once_through_an_outage_and_the_death_of_processes(
    tmp_path: Path, s3: ObjectStore
) -> None:
    s3.client.create_bucket(Bucket="audit-trail")
    state = {"away": True, "refused": 0}

    def watch(method: str, path: str, _: Mapping[str, str]) -> int | None:
        if state["away"] and method == "PUT":
            state["refused"] += 1
            return 503
        return None

    with proxy(s3, watch) as store:
        settings = {
            **store.environment(),
            "HOUNSFIELD_AUDIT_S3_URI": "s3://audit-trail/trail",
            "HOUNSFIELD_AUDIT_S3_SECONDS": "0.2",
            "HOUNSFIELD_API_WORKERS": "2",
        }
        server = ServerProcess(tmp_path / "data", settings).start()
        try:
            client = server.client()
            datastore = active_datastore(client)
            arn = client.get_datastore(datastoreId=datastore)["datastoreProperties"]["datastoreArn"]
            wait_for(lambda: state["refused"], "a refused delivery")
            changes = [
                client.tag_resource(resourceArn=arn, tags={"number": str(number)})["ResponseMetadata"]["RequestId"]
                for number in range(20)
            ]
            # The server is ready with the first of them.
            wait_for(lambda: len(api_chains(server)) == 2, "each API process to begin its chain")
            for process in api_processes(server)[1:]:
                process.send_signal(signal.SIGKILL)
            # A change is durable in the trail before it is answered, so that not one is missing now.
            assert {record.get("requestID") for record in records(server)} >= set(changes)
            # A killed process keeps its files, and so looks alive, until the kernel has taken it down.
            wait_for(lambda: "the process did not end its chain" in verified(server), "the end of a chain to be missed")
            state["away"] = False

            def answers() -> bool:
                try:
                    return bool(server.client().list_datastores())
                except (ClientError, ConnectionError, HTTPClientError):
                    return False

            wait_for(answers, "another process to answer")
            wait_for(lambda: {r["eventID"] for r in records(server)} <= delivered(s3).keys(), "the delivery")
        finally:
            server.stop()
        done = run_audit(server.data, "deliver", **settings)
        assert done.exit_code == 0, done.output
    assert delivered(s3) == Counter(record["eventID"] for record in records(server))
    said = verified(server)
    # Of the two that were killed; one that is still starting when all are stopped ends its chain like any other.
    assert said.count("the process did not end its chain") == 2
    assert "intact" in said


def test_a_process_that_is_stopped_while_it_starts_ends_its_chain(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", {"HOUNSFIELD_API_WORKERS": "1"}).start()
    try:
        index = server.data / "audit" / "index.jsonl"
        begun = index.read_text().count('"started"')
        (killed,) = api_processes(server)[1:]
        killed.send_signal(signal.SIGKILL)
        wait_for(lambda: index.read_text().count('"started"') > begun, "another process to begin its chain")
    finally:
        server.stop()
    said = verified(server)
    assert said.count("the process did not end its chain") == 1
    assert f"-api-{killed.pid}-" in said


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose trail begins a file with every write, and records no data events."""
    settings = {"HOUNSFIELD_AUDIT_FILE_BYTES": "1", "HOUNSFIELD_AUDIT_DATA_EVENTS": "false"}
    process = ServerProcess(tmp_path_factory.mktemp("failing") / "data", settings).start()
    yield process
    process.stop()


def test_data_events_are_left_out_where_they_are_switched_off(failing: ServerProcess) -> None:
    datastore = active_datastore(failing.client())
    base = f"/datastore/{datastore}"
    left_out = [
        send_signed(failing, "GET", f"{base}/studies"),
        send_signed(failing, "POST", f"{base}/imageSet/{'0f' * 16}/getImageFrame", b'{"imageFrameId":"x"}'),
    ]
    last = send_signed(failing, "GET", "/datastore").headers["x-amzn-requestid"]
    assert record_of(failing, last)["eventName"] == "ListDatastores"
    recorded = {record.get("requestID") for record in records(failing)}
    assert recorded.isdisjoint({answer.headers["x-amzn-requestid"] for answer in left_out})


def test_while_the_disk_takes_nothing_nothing_is_changed_and_everything_is_read(failing: ServerProcess) -> None:
    client = failing.client()
    datastore = active_datastore(client)
    arn = client.get_datastore(datastoreId=datastore)["datastoreProperties"]["datastoreArn"]
    folder = failing.data / "audit"
    away = take_away(folder)
    read: list[str] = []

    def refused() -> bool:
        read.append(client.list_datastores()["ResponseMetadata"]["RequestId"])
        try:
            client.tag_resource(resourceArn=arn, tags={"refused": "yes"})
        except ClientError as error:
            status, message = error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Message"]
            return status == 503 and "cannot be recorded" in message
        return False

    wait_for(refused, "a change to be refused before it is made")
    assert send_signed(failing, "GET", "/healthz").status == 200
    not_ready = send_signed(failing, "GET", "/readyz")
    assert (not_ready.status, json.loads(not_ready.body)) == (503, {"status": "not ready", "reasons": ["audit-trail"]})
    tags = client.list_tags_for_resource(resourceArn=arn)
    read.append(tags["ResponseMetadata"]["RequestId"])
    put_back(folder, away)

    def changed() -> str:
        try:
            answer = client.tag_resource(resourceArn=arn, tags={"changed": "yes"})
        except ClientError:
            return ""
        return str(answer["ResponseMetadata"]["RequestId"])

    made = wait_for(changed, "a change to be made")
    recorded: dict[str, Any] = {record.get("requestID"): record for record in records(failing)}
    assert set(read) <= recorded.keys()
    assert recorded[made]["eventName"] == "TagResource"
    assert send_signed(failing, "GET", "/readyz").status == 200
    refusals = [record for record in recorded.values() if record.get("errorCode") == "ServiceUnavailableException"]
    assert refusals
    assert "audit trail" in failing.log_text()
    verified(failing)
