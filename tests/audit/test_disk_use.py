"""What the audit trail takes of the disk: little of strangers, and always room for changes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from hounsfield.audit.unknown_callers import BURST_SECONDS
from support.audit_trail import audit_bytes, record_of, records, verified
from support.clients.raw_http import connection, read_to_end
from support.clients.signed_http import send, send_signed
from support.faults.small_disk import SmallDisk, small_disk
from support.servers import ServerProcess, active_datastore, wait_for

CALLS, CONNECTIONS, RATE = 600, 4, 5.0
AGENT = "Stranger/" + "x" * 1500


def unknown(server: ServerProcess) -> list[dict[str, Any]]:
    return [record for record in records(server) if record["userIdentity"].get("type") == "Unknown"]


def counted(server: ServerProcess) -> list[dict[str, Any]]:
    return [
        record["serviceEventDetails"] for record in records(server) if record["eventName"] == "UnprovenCallsCounted"
    ]


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, SmallDisk]]:
    data = tmp_path_factory.mktemp("room") / "data"
    with small_disk(data / "audit", 32 << 20) as made:
        server = ServerProcess(data, {"HOUNSFIELD_API_WORKERS": "1"}).start()
        yield server, made
        server.stop()


def test_what_strangers_leave_is_bounded_and_every_call_is_told(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", {"HOUNSFIELD_API_WORKERS": "1"}).start()
    began = time.monotonic()
    try:
        paths = ["/datastore", "/no/such/operation", f"/datastore/{'0f' * 16}/studies", "/%41/" + "y" * 3000]
        request = "GET {} HTTP/1.1\r\nHost: x\r\nUser-Agent: {}\r\n{}\r\n"
        many = "".join(
            request.format(paths[number % len(paths)], AGENT, "Connection: close\r\n" if number == last else "")
            for last in [CALLS // CONNECTIONS - 1]
            for number in range(last + 1)
        ).encode()

        def stranger(_: int) -> int:
            with connection(server) as client:
                client.sendall(many)
                return read_to_end(client).data.count(b"HTTP/1.1 4")

        with ThreadPoolExecutor(CONNECTIONS) as threads:
            answered = sum(threads.map(stranger, range(CONNECTIONS)))
        # Who has proven to call leaves all that was said.
        headers = {"User-Agent": AGENT[:1200]}
        known = send_signed(server, "GET", "/datastore", headers=headers).headers["x-amzn-requestid"]
        assert len(record_of(server, known)["userAgent"]) == 1024
        # A stranger who goes away before the request is complete is one, too.
        with connection(server) as client:
            client.sendall(b"POST /datastore HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
        wait_for(lambda: sum(entry["count"] for entry in counted(server)) > 0, "the count")
    finally:
        server.stop()
    found = unknown(server)
    assert answered == CALLS
    assert answered <= len(found) + sum(entry["count"] for entry in counted(server)) <= answered + 1
    assert len(found) <= RATE * (BURST_SECONDS + time.monotonic() - began)
    assert {len(record["userAgent"]) for record in found} <= {128, 0}
    assert max(len(json.dumps(record)) for record in found) < 1500
    assert all(set(entry["sourceIPAddresses"]) == {"127.0.0.1"} for entry in counted(server))
    assert "intact" in verified(server)


def test_on_a_full_disk_changes_are_made_and_recorded(disk: tuple[ServerProcess, SmallDisk]) -> None:
    server, full = disk
    client = server.client()
    datastore = active_datastore(client)
    arn = client.get_datastore(datastoreId=datastore)["datastoreProperties"]["datastoreArn"]
    full.fill()
    changes = [
        client.tag_resource(resourceArn=arn, tags={"number": str(number)})["ResponseMetadata"]["RequestId"]
        for number in range(40)
    ]
    reads = [client.list_datastores()["ResponseMetadata"]["RequestId"] for _ in range(150)]
    for _ in range(20):
        assert send(server, "GET", "/datastore", headers={"User-Agent": AGENT}).status == 403
    with pytest.raises(ClientError) as refused:
        client.tag_resource(resourceArn=arn.replace(datastore, "0" * 32), tags={"a": "b"})
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    last = client.tag_resource(resourceArn=arn, tags={"last": "yes"})["ResponseMetadata"]["RequestId"]
    told = {record.get("requestID") for record in records(server)}
    assert {*changes, last} <= told
    assert "intact" in verified(server)
    full.empty()
    wait_for(lambda: b'"AuditRecordsLost"' in audit_bytes(server), "what was not recorded to be told")
    again = client.list_datastores()["ResponseMetadata"]["RequestId"]
    assert record_of(server, again)["eventName"] == "ListDatastores"
    told = {record.get("requestID") for record in records(server)}
    (lost,) = (entry for entry in records(server) if entry["eventName"] == "AuditRecordsLost")
    assert lost["serviceEventDetails"]["count"] >= len(set(reads) - told) > 0
    assert "intact" in verified(server)
