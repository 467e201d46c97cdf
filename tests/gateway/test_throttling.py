"""Throttling, as clients meet it: 429 for what goes beyond a rate, and SDKs that come again by themselves."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.clients.signed_http import Answer, send, send_signed
from support.servers import ServerProcess

NEVER = 0.001
"""Requests a second that no test waits for."""
RATES = {
    "ListDatastores": (NEVER, 3),
    "GetDatastore": (NEVER, 2),
    "ListTagsForResource": (0.3, 1),
    "SearchImageSets": (NEVER, 1),
    "GetImageFrame": (NEVER, 1),
}
NOWHERE = "0" * 32


@pytest.fixture(scope="module")
def throttled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server on loopback that throttles as AWS does, some actions more."""
    rates = ",".join(f"{action}={rate}/{burst}" for action, (rate, burst) in RATES.items())
    folder = tmp_path_factory.mktemp("throttled") / "data"
    environment = {"HOUNSFIELD_THROTTLING": "aws", "HOUNSFIELD_THROTTLE_RATES": rates}
    process = ServerProcess(folder, environment).start()
    yield process
    process.stop()


def code_of(call: Any, **parameters: Any) -> str:
    try:
        call(**parameters)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return "done"


def codes(answers: list[Answer]) -> list[tuple[int, str]]:
    return [(answer.status, answer.code) for answer in answers]


def test_what_goes_beyond_the_burst_is_answered_429(throttled: ServerProcess) -> None:
    client = throttled.client()
    for _ in range(3):
        client.list_datastores()
    with pytest.raises(client.exceptions.ThrottlingException) as error:
        client.list_datastores()
    answer = error.value.response
    assert answer["Error"]["Code"] == "ThrottlingException"
    assert answer["Error"]["Message"].startswith(
        "Rate exceeded: ListDatastores can be called 0.001 times a second with bursts of 3; try again in "
    )
    told = answer["ResponseMetadata"]
    assert told["HTTPStatusCode"] == 429
    assert told["HTTPHeaders"]["x-amzn-errortype"] == "ThrottlingException"
    seconds, milliseconds = (int(told["HTTPHeaders"][name]) for name in ("retry-after", "x-amz-retry-after"))
    assert 0 < milliseconds <= 1000 * seconds <= 1_000_000
    assert [code_of(client.create_datastore) for _ in range(2)] == ["done", "ThrottlingException"]


def test_only_requests_that_are_let_in_count(throttled: ServerProcess) -> None:
    path = f"/datastore/{NOWHERE}"
    stranger = [send_signed(throttled, "GET", path, key=("AKIAIOSFODNN7EXAMPLE", "no")) for _ in range(5)]
    assert codes(stranger) == [(403, "UnrecognizedClientException")] * 5
    forger = [send_signed(throttled, "GET", path, key=(throttled.key()[0], "no")) for _ in range(5)]
    assert codes(forger) == [(403, "InvalidSignatureException")] * 5
    assert send(throttled, "GET", path).status == 403
    mine = [send_signed(throttled, "GET", path) for _ in range(3)]
    assert codes(mine) == [(404, "ResourceNotFoundException")] * 2 + [(429, "ThrottlingException")]


def test_a_request_is_counted_before_its_body_is_looked_at(throttled: ServerProcess) -> None:
    path = f"/datastore/{NOWHERE}/searchImageSets"
    answers = [send_signed(throttled, "POST", path, b"{") for _ in range(2)]
    assert codes(answers) == [(400, "SerializationException"), (429, "ThrottlingException")]


def test_frames_are_throttled_too(throttled: ServerProcess) -> None:
    frame = {
        "datastoreId": NOWHERE,
        "imageSetId": NOWHERE,
        "imageFrameInformation": {"imageFrameId": NOWHERE},
    }
    client = throttled.client()
    found = [code_of(client.get_image_frame, **frame) for _ in range(2)]
    assert found == ["ResourceNotFoundException", "ThrottlingException"]


def test_a_client_that_tries_again_gets_through(throttled: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token comes back after 3.3 seconds; the header tells the SDK so, and its second try is let in."""
    monkeypatch.setenv("AWS_RETRY_MODE", "standard")
    client = throttled.client(retrying=True)
    arn = f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{NOWHERE}"
    retries = []
    for _ in range(2):
        with pytest.raises(client.exceptions.ResourceNotFoundException) as error:
            client.list_tags_for_resource(resourceArn=arn)
        retries.append(error.value.response["ResponseMetadata"]["RetryAttempts"])
    assert retries == [0, 1]


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("THROTTLING", "maybe", "HOUNSFIELD_THROTTLING is 'maybe', it must be one of aws, off"),
        ("THROTTLE_RATES", "GetImageSet=fast", "HOUNSFIELD_THROTTLE_RATES: GetImageSet=fast must be GetImageSet=<per"),
        ("QUOTA_TAGS", "-1", "HOUNSFIELD_QUOTA_TAGS must be 0 for no limit, or more"),
    ],
)
def test_a_server_does_not_start_with_settings_that_cannot_be(tmp_path: Path, name: str, value: str, text: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "hounsfield", "serve", "--data", str(tmp_path / "data"), "--port", "0"],
        env={f"HOUNSFIELD_{name}": value},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert (run.returncode, run.stdout) == (2, "")
    assert text in run.stderr
    assert not (tmp_path / "data").exists()
