"""Letting a request in: its signature is checked, and policies of 100 statements decide on it.

    signed headers ─▶ Verifier ─▶ require ×2 (data store, image set) ─▶ µs, median, against the limit

In one process, without HTTP: what every request pays before anything is done for it. Measured is the processor time of the
thread, as these are microseconds and the machine is shared.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from bench.report import Report, median, percentile
from bench.scale import Run
from hounsfield.access.permissions import require
from hounsfield.access.policies.parsing import parse_policy
from hounsfield.access.policies.rights import Rights
from hounsfield.access.principals import Principal, PrincipalKind
from hounsfield.app import open_archive
from hounsfield.aws.request import Request
from hounsfield.aws.sigv4 import Verifier
from hounsfield.gate.facts import Facts
from hounsfield.imaging.archive import Archive
from hounsfield.native.permissions import permission_of
from hounsfield.settings import Settings

LIMIT_US = 150
STATEMENTS = 100
_PER_POLICY = 20
_KEY, _SECRET = "AKIAQQQQQQQQQQQQQQQQ", "x" * 40
_BODY = b'{"imageFrameId": "' + b"f" * 32 + b'"}'

Statement = dict[str, object]


def run(setting: Run, report: Report) -> None:
    """Measure signature check and decision, together and apart."""
    rounds = 50 if setting.scale.quick else 4000
    archive, _ = open_archive(Settings(data=setting.folder("access-speed") / "data"))
    try:
        _measure(archive, rounds, report)
    finally:
        archive.database.close()


def _measure(archive: Archive, rounds: int, report: Report) -> None:
    path = {"datastoreId": "a" * 32, "imageSetId": "b" * 32}
    scope = _signed_scope(f"/datastore/{path['datastoreId']}/imageSet/{path['imageSetId']}/getImageFrame")
    verifier = Verifier(archive.region, "medical-imaging", {_KEY: _SECRET}.get)

    def check() -> None:
        request = Request(scope["method"], scope["raw_path"], scope["query_string"], scope["headers"])
        reader = verifier.authenticate(request).reader()
        reader.feed(_BODY)
        reader.finish()

    report.figure("signature alone, p50", median(_times(check, rounds)), "µs")
    report.note(
        f"{STATEMENTS} statements in {STATEMENTS // _PER_POLICY} policies; GetImageFrame is decided for two resources"
    )
    shapes = {
        "statements for all actions": _spread(),
        "every statement about this action, the last allows": _crowded(archive),
        "every statement with conditions and variables, the last allows": _conditioned(archive),
    }
    for name, statements in shapes.items():
        principal = _principal(list(statements))

        def decide(principal: Principal = principal) -> None:
            require(principal, permission_of("GetImageFrame", path, archive), Facts(scope, archive))

        def let_in(decide: Callable[[], None] = decide) -> None:
            check()
            decide()

        report.figure(f"decision alone: {name}, p50", median(_times(decide, rounds)), "µs")
        both = _times(let_in, rounds)
        report.figure(f"signature and decision: {name}, p50", median(both), "µs", LIMIT_US)
        report.figure(f"signature and decision: {name}, p99", percentile(both, 99), "µs")
        report.figure(f"ratio to the limit: {name}", median(both) / LIMIT_US, "", 1)


def _times(call: Callable[[], None], rounds: int) -> list[float]:
    """Give the µs of processor time of each round, after some that are not counted."""
    for _ in range(rounds // 10):
        call()
    found = []
    for _ in range(rounds):
        begin = time.thread_time_ns()
        call()
        found.append((time.thread_time_ns() - begin) / 1000)
    return found


def _signed_scope(path: str) -> dict[str, object]:
    headers = {"Content-Type": "application/json", "Host": "127.0.0.1:8080", "User-Agent": "Boto3/1.43"}
    request = AWSRequest("POST", f"http://127.0.0.1:8080{path}", data=_BODY, headers=headers)
    SigV4Auth(Credentials(_KEY, _SECRET), "medical-imaging", "us-east-1").add_auth(request)
    raw = [(name.lower().encode(), value.encode()) for name, value in request.headers.items()]
    return {
        "method": "POST",
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": raw,
        "client": ("127.0.0.1", 40000),
        "scheme": "http",
    }


def _principal(statements: list[Statement]) -> Principal:
    texts = [
        json.dumps({"Version": "2012-10-17", "Statement": statements[start : start + _PER_POLICY]})
        for start in range(0, len(statements), _PER_POLICY)
    ]
    rights = Rights(tuple(parse_policy(text) for text in texts))
    arn = "arn:aws:iam::000000000000:user/reader"
    return Principal(arn, PrincipalKind.USER, "AIDAQQQQQQQQQQQQQQQQQ", "reader", rights, {"ward": "3"}, _KEY)


def _spread() -> Iterator[Statement]:
    actions = ["GetImageSet", "GetDICOM*", "Search*", "StoreDICOM", "List*", "UpdateImageSetMetadata", "Tag*", "Copy*"]
    for number in range(STATEMENTS - 1):
        yield _allow(f"medical-imaging:{actions[number % len(actions)]}", "*")
    yield _allow("medical-imaging:GetImageFrame", "*")


def _crowded(archive: Archive) -> Iterator[Statement]:
    for number in range(STATEMENTS - 1):
        yield _allow("medical-imaging:Get*", f"{archive.datastore_arn(f'{number:032d}')}*")
    yield _allow("medical-imaging:Get*", f"{archive.datastore_arn('a' * 32)}*")


def _conditioned(archive: Archive) -> Iterator[Statement]:
    for number in range(STATEMENTS - 1):
        condition = {
            "StringEquals": {"aws:PrincipalTag/ward": f"{number + 4}"},
            "IpAddress": {"aws:SourceIp": "10.0.0.0/8"},
        }
        yield {**_allow("medical-imaging:Get*", archive.datastore_arn("*")), "Condition": condition}
    own = {"StringLike": {"aws:username": "${aws:username}"}, "Bool": {"aws:SecureTransport": "false"}}
    yield {**_allow("medical-imaging:Get*", archive.datastore_arn("*")), "Condition": own}


def _allow(action: str, resource: str) -> Statement:
    return {"Effect": "Allow", "Action": action, "Resource": resource}
