"""Two nodes with one PostgreSQL: users, sessions, and keys of one are those of the other."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from support.clients.dicomweb import part10, store
from support.files.synthetic import slice_of, uid
from support.identities.users import answer, command, refusal
from support.identities.users_and_roles import client_of
from support.imaging.stored_series import verified
from support.servers import ServerProcess, active_datastore, wait_for
from support.services.key_service import KeyServiceProxy, key_service
from support.services.object_store import ObjectStore

INVALID = ("UnrecognizedClientException", "The security token included in the request is invalid.")
LISTING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "medical-imaging:ListDatastores", "Resource": "*"}],
}


@pytest.fixture(scope="module")
def proxy(s3: ObjectStore) -> Iterator[KeyServiceProxy]:
    with key_service(s3) as place:
        yield place


@pytest.fixture(scope="module")
def nodes(
    tmp_path_factory: pytest.TempPathFactory, postgresql_url: str, proxy: KeyServiceProxy
) -> Iterator[list[ServerProcess]]:
    folder = tmp_path_factory.mktemp("nodes")
    environment = {
        **proxy.environment(),
        "HOUNSFIELD_DATABASE_URL": postgresql_url,
        "HOUNSFIELD_KMS_CACHE_SECONDS": "5",
    }
    started: list[ServerProcess] = []
    try:
        for name in ("first", "second"):
            data = folder / name
            if started:
                copied(started[0].data, data)
                environment = {**environment, "HOUNSFIELD_BLOBS_URL": f"file://{started[0].data}/blobs"}
            started.append(ServerProcess(data, environment).start())
        yield started
    finally:
        for node in started:
            node.stop()


def copied(source: Path, target: Path) -> None:
    """Give a node the keys and the root key of another one."""
    shutil.copytree(source / "keys", target / "keys")
    shutil.copy(source / "credentials", target / "credentials")


def test_both_nodes_notice_every_change(nodes: list[ServerProcess]) -> None:
    first, second = nodes
    answer(first, "user", "create", "roaming")
    answer(second, "policy", "put", "listing", "-", "--user", "roaming", given=json.dumps(LISTING))
    key = answer(first, "access-key", "create", "roaming")
    clients = [node.client(key=(key["access_key_id"], key["secret_access_key"])) for node in nodes]
    for client in clients:
        wait_for(lambda client=client: refusal(client) is None, "the key to be let in")
    answer(second, "policy", "remove", "listing", "--user", "roaming")
    for client in clients:
        wait_for(
            lambda client=client: (refusal(client) or ("",))[0] == "AccessDeniedException", "its policy to be gone"
        )
    answer(second, "access-key", "disable", key["access_key_id"])
    for client in clients:
        wait_for(lambda client=client: refusal(client) == INVALID, "the key to be refused")

    def used() -> bool:
        (listed,) = answer(first, "access-key", "list", "--user", "roaming")
        return listed["last_used_at"] is not None

    # Nodes write down now and then what was used, not with each request.
    wait_for(used, "the use of the key to be written down")
    assert command(second, "user", "create", "Roaming").exit_code == 1


def test_a_session_that_one_node_began_is_one_on_the_other(nodes: list[ServerProcess]) -> None:
    first, second = nodes
    trust = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:root"}, "Action": "sts:AssumeRole"}
    answer(
        first,
        "role",
        "create",
        "night",
        "--trust",
        "-",
        given=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )
    answer(first, "policy", "put", "listing", "-", "--role", "night", given=json.dumps(LISTING))
    answer(first, "user", "create", "sleeper")
    assume = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}
    asking = json.dumps({"Version": "2012-10-17", "Statement": [assume]})
    answer(first, "policy", "put", "asking", "-", "--user", "sleeper", given=asking)
    key = answer(first, "access-key", "create", "sleeper")
    pair = (key["access_key_id"], key["secret_access_key"])
    asking = first.client(key=pair)
    wait_for(lambda: refusal(asking) != INVALID, "the key to be known")
    begun = client_of(first, "sts", pair).assume_role(
        RoleArn="arn:aws:iam::000000000000:role/night", RoleSessionName="of-first"
    )["Credentials"]
    there = client_of(second, "medical-imaging", begun)
    wait_for(lambda: refusal(there) is None, "the role to be known to the other node")
    told = client_of(second, "sts", begun).get_caller_identity()
    assert told["Arn"] == "arn:aws:sts::000000000000:assumed-role/night/of-first"
    # A role that is changed on one node counts for its sessions on the other.
    answer(first, "policy", "remove", "listing", "--role", "night")
    wait_for(lambda: (refusal(there) or ("",))[0] == "AccessDeniedException", "its policy to be gone")
    assert command(first, "role", "delete", "night", "--force").exit_code == 0
    wait_for(lambda: refusal(there) == INVALID, "its sessions to be over")


def test_a_key_of_a_key_service_opens_and_closes_a_data_store_on_both(
    nodes: list[ServerProcess], proxy: KeyServiceProxy
) -> None:
    first, second = nodes
    key = proxy.new_key()
    datastore_id = active_datastore(first.client(), kmsKeyArn=key)
    assert store(first, datastore_id, [part10(slice_of(study=840))]).status_code == 200
    (found,) = second.client().search_image_sets(datastoreId=datastore_id, searchCriteria={})[
        "imageSetsMetadataSummaries"
    ]
    for node in nodes:
        assert verified(node.client(), datastore_id, found["imageSetId"]).keys() == {uid(840, 1, 1)}
    proxy.disable(key)
    try:
        for node in nodes:
            search = node.client().search_image_sets
            wait_for(
                lambda search=search: (
                    code_of(lambda: search(datastoreId=datastore_id, searchCriteria={})) == "AccessDeniedException"
                ),
                "the key to be given up",
            )
    finally:
        proxy.restore()
    for client in [node.client() for node in nodes]:
        wait_for(
            lambda client=client: code_of(lambda: verified(client, datastore_id, found["imageSetId"])) is None,
            "the key to be given again",
        )


def test_master_keys_are_rotated_for_both(nodes: list[ServerProcess]) -> None:
    first, second = nodes
    datastore_id = active_datastore(first.client())
    assert store(first, datastore_id, [part10(slice_of(study=841))]).status_code == 200
    (found,) = first.client().search_image_sets(datastoreId=datastore_id, searchCriteria={})[
        "imageSetsMetadataSummaries"
    ]
    prepared = command(first, "master-key", "prepare")
    assert prepared.exit_code == 0, prepared.output
    (new,) = re.findall(r"[0-9a-f]{16}", prepared.stdout)[:1]
    shutil.copy(first.data / "keys" / "master.json", second.data / "keys" / "master.json")
    rotated = command(first, "master-key", "rotate")
    assert rotated.exit_code == 0, rotated.output
    assert rotated.stdout.startswith(f"{new} wraps from now on")
    # What either wraps now, the other unwraps; so also a node that still wraps with the old key.
    for maker, reader in ((first, second), (second, first)):
        made = active_datastore(maker.client())
        assert store(maker, made, [part10(slice_of(study=842))]).status_code == 200
        assert store(reader, made, [part10(slice_of(study=843))]).status_code == 200
    for node in nodes:
        assert verified(node.client(), datastore_id, found["imageSetId"]).keys() == {uid(841, 1, 1)}
    shutil.copy(first.data / "keys" / "master.json", second.data / "keys" / "master.json")
    second.stop()
    second.start()
    assert verified(second.client(), datastore_id, found["imageSetId"]).keys() == {uid(841, 1, 1)}


def code_of(call: Callable[[], object]) -> str | None:
    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return None


def test_a_command_with_another_master_key_is_refused(nodes: list[ServerProcess], tmp_path: Path) -> None:
    stranger = ServerProcess(tmp_path / "stranger", nodes[0].environment)
    (stranger.data / "keys").mkdir(parents=True)
    content = json.loads((nodes[0].data / "keys" / "master.json").read_text())
    for entry in content["keys"]:
        entry["id"] = content["current"] = "00" * 8
    (stranger.data / "keys" / "master.json").write_text(json.dumps(content))
    run = command(stranger, "user", "list")
    assert run.exit_code == 1
    assert "is not the master key of this database" in run.stderr


def test_a_database_that_cannot_be_reached_is_told(nodes: list[ServerProcess], tmp_path: Path) -> None:
    lost = ServerProcess(tmp_path / "lost", {"HOUNSFIELD_DATABASE_URL": "postgresql://u:hidden@127.0.0.1:9/none"})
    shutil.copytree(nodes[0].data / "keys", lost.data / "keys")
    run = command(lost, "user", "list")
    assert run.exit_code == 1
    assert "HOUNSFIELD_DATABASE_URL cannot be used" in run.stderr
    assert "hidden" not in run.output
