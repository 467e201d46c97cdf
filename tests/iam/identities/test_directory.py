"""The directory in memory: what it shows of the database, and what it does when that is damaged or away."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from hounsfield.iam.identities.access_keys import create_key, delete_key, finish_rotation, list_keys, set_key_status
from hounsfield.iam.identities.attachments import attach_policy, put_inline_policy, set_boundary
from hounsfield.iam.identities.directory import TRUSTED_SECONDS, Directory
from hounsfield.iam.identities.errors import DirectoryError, DirectoryUnavailableError, LimitExceededError
from hounsfield.iam.identities.identities import create_role, create_user, delete_identity, list_identities
from hounsfield.iam.identities.managed_policies import create_policy
from hounsfield.iam.identities.records import IdentityKind, KeyStatus
from hounsfield.iam.identities.repository import Repository
from hounsfield.iam.identities.snapshot import take_snapshot
from hounsfield.iam.policies.policy_set import NO_RIGHTS
from hounsfield.storage.db.engines import open_embedded, open_postgresql
from hounsfield.storage.db.iam_tables import access_keys, identities, inline_policies
from hounsfield.storage.keys.data_key import KeyUnavailableError
from hounsfield.storage.keys.master_keys import LocalKeyring
from support.examples import examples

ALLOW = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "medical-imaging:*", "Resource": "*"}]}
)
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "000000000000"}, "Action": "sts:AssumeRole"}],
    }
)
USER, ROLE = IdentityKind.USER, IdentityKind.ROLE
READ_ONLY = "AWSHealthImagingReadOnlyAccess"


@pytest.fixture(scope="module", params=["embedded", "postgresql"])
def repository(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Repository]:
    folder = tmp_path_factory.mktemp("directory")
    if request.param == "embedded":
        database = open_embedded(folder / "h.db", bytes(32))
    else:
        database = open_postgresql(request.getfixturevalue("postgresql_url"))
    yield Repository.of(database, LocalKeyring(folder / "master.json"), "000000000000", "aws")
    database.close()


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def test_an_old_view_is_not_trusted_before_the_database_was_heard_of_again(repository: Repository) -> None:
    create_user(repository, "clocked")
    key = create_key(repository, "clocked")
    clock = Clock()
    directory = Directory(repository, clock)
    clock.now += TRUSTED_SECONDS
    assert directory.key(key.record.id) is not None
    clock.now += 0.1
    for look in (directory.key, directory.role, directory.policy):
        with pytest.raises(DirectoryUnavailableError):
            look(key.record.id)
    directory.refresh()
    known = directory.key(key.record.id)
    assert known is not None
    assert known.secret == key.secret
    assert key.secret not in repr(known) + repr(key) + repr(repository)


def test_what_is_known_of_a_user_and_a_role(repository: Repository) -> None:
    create_user(repository, "Known", {"ward": "4b"})
    create_policy(repository, "all", ALLOW)
    attach_policy(repository, USER, "known", "arn:aws:iam::000000000000:policy/all")
    put_inline_policy(repository, USER, "known", "own", ALLOW)
    set_boundary(repository, USER, "known", READ_ONLY)
    key = create_key(repository, "known")
    create_role(repository, "taken", TRUST, max_session_seconds=7200)
    attach_policy(repository, ROLE, "taken", READ_ONLY)
    directory = Directory(repository)
    known = directory.key(key.record.id)
    assert known is not None
    principal = known.principal
    assert (principal.arn, principal.name) == ("arn:aws:iam::000000000000:user/Known", "Known")
    assert (principal.access_key_id, dict(principal.tags)) == (key.record.id, {"ward": "4b"})
    assert principal.id.startswith("AIDA")
    assert [policy.text for policy in principal.rights.identity] == [ALLOW, ALLOW]
    assert principal.rights.boundary is directory.policy(f"arn:aws:iam::aws:policy/{READ_ONLY}")
    role = directory.role("arn:aws:iam::000000000000:role/taken")
    assert role is not None
    assert (role.id[:4], role.max_session_seconds, role.trust.text) == ("AROA", 7200, TRUST)
    assert len(role.rights.identity) == 1


def test_policies_that_cannot_be_read_take_all_rights_away(repository: Repository) -> None:
    create_user(repository, "damaged")
    key = create_key(repository, "damaged")
    for name in ("allows", "denies"):
        put_inline_policy(repository, USER, "damaged", name, ALLOW)
    create_role(repository, "untrusted", TRUST)
    assert take_snapshot(repository).keys[key.record.id].principal.rights != NO_RIGHTS
    with repository.change() as connection:
        connection.execute(update(inline_policies).where(inline_policies.c.name == "denies").values(document="{"))
        connection.execute(update(identities).where(identities.c.name == "untrusted").values(trust_policy="{}"))
    snapshot = take_snapshot(repository)
    assert snapshot.keys[key.record.id].principal.rights == NO_RIGHTS
    assert repository.arn("role", "untrusted") not in snapshot.roles
    with repository.change() as connection:
        connection.execute(update(inline_policies).where(inline_policies.c.name == "denies").values(document=ALLOW))
        gone = update(identities).where(identities.c.name == "damaged")
        connection.execute(gone.values(boundary_arn="arn:aws:iam::000000000000:policy/gone"))
    assert take_snapshot(repository).keys[key.record.id].principal.rights == NO_RIGHTS


def test_a_sealed_secret_opens_for_its_own_key_only(repository: Repository, tmp_path: Path) -> None:
    create_user(repository, "swapped")
    mine, other = create_key(repository, "swapped"), create_key(repository, "swapped")
    with repository.change() as connection:
        sealed = connection.execute(
            select(access_keys.c.sealed_secret).where(access_keys.c.id == other.record.id)
        ).scalar_one()
        connection.execute(update(access_keys).where(access_keys.c.id == mine.record.id).values(sealed_secret=sealed))
    snapshot = take_snapshot(repository)
    assert mine.record.id not in snapshot.keys
    assert snapshot.keys[other.record.id].secret == other.secret
    with pytest.raises(KeyUnavailableError):
        Repository.of(repository.database, LocalKeyring(tmp_path / "another.json"), "000000000000", "aws")


def test_of_many_keys_made_at_once_two_are_made(repository: Repository) -> None:
    create_user(repository, "crowded")
    outcomes: list[str] = []

    def make() -> None:
        try:
            outcomes.append(create_key(repository, "crowded").record.id)
        except LimitExceededError:
            outcomes.append("refused")

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = sorted(outcome for outcome in outcomes if outcome != "refused")
    assert (len(outcomes), len(made)) == (8, 2)
    assert sorted(key.id for key in list_keys(repository, "crowded")) == made


NAMES = st.sampled_from(["ann", "Ben", "cy"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("user"), NAMES),
        st.tuples(st.just("leave"), NAMES),
        st.tuples(st.just("key"), NAMES),
        st.tuples(st.just("drop"), NAMES),
        st.tuples(st.just("off"), NAMES),
        st.tuples(st.just("on"), NAMES),
        st.tuples(st.just("finish"), NAMES),
    ),
    min_size=4,
    max_size=20,
)


@settings(max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_the_directory_follows_any_changes(repository: Repository, steps: list[tuple[str, str]]) -> None:
    for record in list_identities(repository, USER):
        delete_identity(repository, USER, record.name, force=True)
    directory = Directory(repository)
    users: dict[str, list[tuple[str, bool]]] = {}
    for step, name in steps:
        change(repository, users, step, name)
        directory.refresh()
        expected = {(key, active, name) for name, keys in users.items() for key, active in keys}
        known = [directory.key(key) for key, _, _ in expected]
        assert {(key.id, key.active, key.principal.name) for key in known if key is not None} == expected
        assert len(take_snapshot(repository).keys) == len(expected)


def change(repository: Repository, users: dict[str, list[tuple[str, bool]]], step: str, name: str) -> None:
    """Do a step to the directory and to the model; what the model does not have must be refused."""
    keys = users.get(name)
    if step == "user" and keys is None:
        create_user(repository, name)
        users[name] = []
    elif step == "leave" and keys is not None:
        delete_identity(repository, USER, name.upper(), force=True)
        del users[name]
    elif step == "key" and keys is not None and len(keys) < 2:
        keys.append((create_key(repository, name).record.id, True))
    elif step == "drop" and keys:
        delete_key(repository, keys.pop(0)[0])
    elif step in {"off", "on"} and keys:
        active = step == "on"
        set_key_status(repository, keys[-1][0], KeyStatus.ACTIVE if active else KeyStatus.INACTIVE)
        keys[-1] = (keys[-1][0], active)
    elif step == "finish" and keys and len(keys) == 2 and keys[1][1]:
        finish_rotation(repository, name)
        keys[0] = (keys[0][0], False)
    elif step in {"user", "leave", "key", "finish"}:
        with pytest.raises(DirectoryError):
            refused(repository, step, name)


def refused(repository: Repository, step: str, name: str) -> None:
    if step == "user":
        create_user(repository, name.lower())
    elif step == "leave":
        delete_identity(repository, USER, name)
    elif step == "key":
        create_key(repository, name)
    else:
        finish_rotation(repository, name)
