"""Several nodes with one PostgreSQL: what is changed of users on one is noticed by all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from identities import answer, client_with, command, refusal

from servers import ServerProcess, wait_for

INVALID = ("UnrecognizedClientException", "The security token included in the request is invalid.")
LISTING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "medical-imaging:ListDatastores", "Resource": "*"}],
}


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory, postgresql_url: str) -> Iterator[list[ServerProcess]]:
    folder = tmp_path_factory.mktemp("nodes")
    environment = {"HOUNSFIELD_DATABASE_URL": postgresql_url}
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
    key = answer(first, "key", "create", "roaming")
    clients = [client_with(node, key["access_key_id"], key["secret_access_key"]) for node in nodes]
    for client in clients:
        wait_for(lambda client=client: refusal(client) is None, "the key to be let in")
    answer(second, "policy", "remove", "listing", "--user", "roaming")
    for client in clients:
        wait_for(
            lambda client=client: (refusal(client) or ("",))[0] == "AccessDeniedException", "its policy to be gone"
        )
    answer(second, "key", "disable", key["access_key_id"])
    for client in clients:
        wait_for(lambda client=client: refusal(client) == INVALID, "the key to be refused")

    def used() -> bool:
        (listed,) = answer(first, "key", "list", "--user", "roaming")
        return listed["last_used_at"] is not None

    # Nodes write down now and then what was used, not with each request.
    wait_for(used, "the use of the key to be written down")
    assert command(second, "user", "create", "Roaming").exit_code == 1


def test_a_command_with_another_master_key_is_refused(nodes: list[ServerProcess], tmp_path: Path) -> None:
    stranger = ServerProcess(tmp_path / "stranger", nodes[0].environment)
    (stranger.data / "keys").mkdir(parents=True)
    content = json.loads((nodes[0].data / "keys" / "master.json").read_text())
    for entry in content["keys"]:
        entry["id"] = "00" * 8
    (stranger.data / "keys" / "master.json").write_text(json.dumps(content))
    run = command(stranger, "user", "list")
    assert run.exit_code == 1
    assert "is not the master key of this database" in run.stderr


def test_a_database_that_cannot_be_reached_is_told(nodes: list[ServerProcess], tmp_path: Path) -> None:
    lost = ServerProcess(tmp_path / "lost", {"HOUNSFIELD_DATABASE_URL": "postgresql://u:hidden@127.0.0.1:9/none"})
    shutil.copytree(nodes[0].data / "keys", lost.data / "keys")
    run = command(lost, "user", "list")
    assert run.exit_code == 1
    assert "the database cannot be used" in run.stderr
    assert "hidden" not in run.output
