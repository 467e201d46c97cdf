"""Letting a request in: its signature is checked, and policies of 100 statements decide on it.

    signed headers ─▶ Authenticator ─▶ body proven ─▶ require (data store, image set) ─▶ µs, median, against the limit

In one process, without HTTP: what every request pays before anything is done for it, with users and policies in the directory
of an installation. Measured is the processor time of the thread, as these are microseconds and the machine is shared.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from bench.report import Report, median, percentile
from bench.scale import Run
from hounsfield.api.healthimaging.permissions import permission_of
from hounsfield.bootstrap.image_store import open_image_store
from hounsfield.bootstrap.installation import open_repository
from hounsfield.gateway.authentication import AccessKeyHolders, Authenticator
from hounsfield.gateway.condition_keys import ConditionKeys
from hounsfield.iam.authorization import require
from hounsfield.iam.identities.access_keys import create_key
from hounsfield.iam.identities.attachments import attach_policy
from hounsfield.iam.identities.directory import Directory
from hounsfield.iam.identities.identities import create_user
from hounsfield.iam.identities.managed_policies import create_policy
from hounsfield.iam.identities.records import IdentityKind
from hounsfield.iam.identities.repository import Repository
from hounsfield.iam.principals import Principal
from hounsfield.iam.root_credentials import credentials_file, root_key
from hounsfield.iam.sessions.sessions import SEALED_WITH, Sessions
from hounsfield.imaging.image_store import ImageStore
from hounsfield.settings import Settings
from hounsfield.storage.keys.installation_secrets import installation_secret

LIMIT_US = 150
STATEMENTS = 100
_PER_POLICY = 20
_PATH: Mapping[str, str] = {"datastoreId": "a" * 32, "imageSetId": "b" * 32}
_BODY = b'{"imageFrameId": "' + b"f" * 32 + b'"}'

Statement = dict[str, object]


@dataclass(frozen=True)
class Gate:
    """What decides about requests, as an API process has it."""

    image_store: ImageStore
    callers: Authenticator

    def let_in(self, scope: dict[str, object]) -> Principal:
        """Check the signature of a request."""
        caller = self.callers.authenticate(scope)
        reader = caller.reader()
        reader.feed(_BODY)
        reader.finish()
        return caller.principal

    def decide(self, principal: Principal, scope: dict[str, object]) -> None:
        """Ask for the permission that GetImageFrame needs."""
        require(
            principal, permission_of("GetImageFrame", _PATH, self.image_store), ConditionKeys(scope, self.image_store)
        )


def run(setting: Run, report: Report) -> None:
    """Measure signature check and decision, together and apart."""
    settings = Settings(data=setting.folder("access-speed") / "data")
    image_store, keyring = open_image_store(settings)
    repository = open_repository(settings, image_store.database, keyring)
    keys = {
        name: _user_with(repository, f"reader-{number}", statements)
        for number, (name, statements) in enumerate(_shapes(image_store).items())
    }
    directory = Directory(repository)
    directory.start()
    try:
        sessions = Sessions(installation_secret(image_store.database, keyring, SEALED_WITH), directory)
        root = root_key(credentials_file(settings.data))
        holders = AccessKeyHolders.of(root, directory, sessions, image_store.account_id, image_store.partition)
        gate = Gate(image_store, Authenticator.by_signature(image_store.region, holders))
        report.note(
            f"{STATEMENTS} statements in {STATEMENTS // _PER_POLICY} policies; GetImageFrame is decided for two resources"
        )
        rounds = 50 if setting.scale.quick else 4000
        for name, key in keys.items():
            _measure(gate, _signed_scope(key), name, rounds, report)
    finally:
        directory.stop()
        image_store.database.close()


def _measure(gate: Gate, scope: dict[str, object], name: str, rounds: int, report: Report) -> None:
    principal = gate.let_in(scope)
    report.figure(f"{name}: signature alone, p50", median(_times(lambda: gate.let_in(scope), rounds)), "µs")
    decisions = _times(lambda: gate.decide(principal, scope), rounds)
    report.figure(f"{name}: decision alone, p50", median(decisions), "µs")
    both = _times(lambda: gate.decide(gate.let_in(scope), scope), rounds)
    report.figure(f"{name}: both, p50", median(both), "µs", LIMIT_US)
    report.figure(f"{name}: both, quickest tenth", percentile(both, 10), "µs")
    report.figure(f"{name}: both, p99", percentile(both, 99), "µs")
    report.figure(f"{name}: ratio of both to the limit", median(both) / LIMIT_US, "", 1)


def _times(call: Callable[[], None], rounds: int) -> list[float]:
    """Return the µs of processor time of each round, after some that are not counted."""
    for _ in range(rounds // 10):
        call()
    found = []
    for _ in range(rounds):
        begin = time.thread_time_ns()
        call()
        found.append((time.thread_time_ns() - begin) / 1000)
    return found


def _user_with(repository: Repository, name: str, statements: Sequence[Statement]) -> tuple[str, str]:
    """Make a user with these statements in managed policies, and give its key."""
    create_user(repository, name, {"ward": "3"})
    for start in range(0, len(statements), _PER_POLICY):
        document = {"Version": "2012-10-17", "Statement": statements[start : start + _PER_POLICY]}
        policy = f"{name}-{start}"
        create_policy(repository, policy, json.dumps(document))
        attach_policy(repository, IdentityKind.USER, name, policy)
    key = create_key(repository, name)
    return key.record.id, key.secret


def _signed_scope(key: tuple[str, str]) -> dict[str, object]:
    path = f"/datastore/{_PATH['datastoreId']}/imageSet/{_PATH['imageSetId']}/getImageFrame"
    headers = {"Content-Type": "application/json", "Host": "127.0.0.1:8080", "User-Agent": "Boto3/1.43"}
    request = AWSRequest("POST", f"http://127.0.0.1:8080{path}", data=_BODY, headers=headers)
    SigV4Auth(Credentials(*key), "medical-imaging", "us-east-1").add_auth(request)
    raw = [(name.lower().encode(), value.encode()) for name, value in request.headers.items()]
    return {
        "method": "POST",
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": raw,
        "client": ("127.0.0.1", 40000),
        "scheme": "http",
    }


def _shapes(image_store: ImageStore) -> Mapping[str, Sequence[Statement]]:
    return {
        "all actions": list(_spread()),
        "this action, other resources": list(_crowded(image_store)),
        "this action, wards by tag": list(_wards(image_store)),
        "this action, patterns in conditions": list(_patterns(image_store)),
    }


def _spread() -> Iterator[Statement]:
    actions = ["GetImageSet", "GetDICOM*", "Search*", "StoreDICOM", "List*", "UpdateImageSetMetadata", "Tag*", "Copy*"]
    for number in range(STATEMENTS - 1):
        yield _allow(f"medical-imaging:{actions[number % len(actions)]}", "*")
    yield _allow("medical-imaging:GetImageFrame", "*")


def _crowded(image_store: ImageStore) -> Iterator[Statement]:
    for number in range(STATEMENTS - 1):
        yield _allow("medical-imaging:Get*", f"{image_store.datastore_arn(f'{number:032d}')}*")
    yield _allow("medical-imaging:Get*", f"{image_store.datastore_arn('a' * 32)}*")


def _wards(image_store: ImageStore) -> Iterator[Statement]:
    """Yield a statement for each of many wards; that of the user's comes last."""
    for number in reversed(range(STATEMENTS)):
        tags = {"aws:PrincipalTag/ward": f"{number + 3}"}
        condition = {"StringEquals": tags, "IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}
        yield {**_allow("medical-imaging:Get*", image_store.datastore_arn("*")), "Condition": condition}


def _patterns(image_store: ImageStore) -> Iterator[Statement]:
    """Yield statements with conditions that must all be asked; the last is met."""
    for number in range(STATEMENTS - 1):
        condition = {"StringLike": {"aws:username": f"writer-{number}*"}}
        yield {**_allow("medical-imaging:Get*", image_store.datastore_arn("*")), "Condition": condition}
    own = {"StringLike": {"aws:username": "${aws:username}"}, "Bool": {"aws:SecureTransport": "false"}}
    yield {**_allow("medical-imaging:Get*", image_store.datastore_arn("*")), "Condition": own}


def _allow(action: str, resource: str) -> Statement:
    return {"Effect": "Allow", "Action": action, "Resource": resource}
