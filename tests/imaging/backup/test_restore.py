"""A backup made beside a server comes back elsewhere, on the other database too, with every answer as it was."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from support.backup.installations import ENVIRONMENT, backed_up, fill, restored, store_study
from support.faults.data_rules import check_data_rules
from support.identities.users import command
from support.imaging.imports import image_sets
from support.servers import ServerProcess, active_datastore, wait_for
from support.services.key_service import key_service
from support.services.object_store import ObjectStore
from support.services.postgresql import PostgresqlServer
from support.upgrade.answers import Answers, answers


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path_factory.mktemp("backed-up") / "data", ENVIRONMENT).start()
    fill(process)
    yield process
    process.stop()


def answered(server: ServerProcess) -> Answers:
    """Start a restored server, ask it for everything, and check what it holds."""
    server.start()
    try:
        return answers(server, {})
    finally:
        server.stop()
        check_data_rules(server)


@pytest.mark.slow
def test_another_folder(server: ServerProcess, tmp_path: Path, passphrase: tuple[str, str]) -> None:
    made = backed_up(server, tmp_path / "backup", *passphrase)
    assert made["packs"] > 0
    before = answers(server, {})
    copy = restored(tmp_path / "backup", tmp_path / "restored", *passphrase)
    assert copy.key() == server.key()
    check_data_rules(copy)
    assert answered(copy) == before


def test_to_a_cluster_and_back(server: ServerProcess, tmp_path: Path, postgresql_url: str, s3: ObjectStore) -> None:
    """From SQLite and a folder, by a bucket, to PostgreSQL and a bucket, and by a folder back; keys by a key service."""
    for bucket in ("backups", "restored-packs"):
        s3.client.create_bucket(Bucket=bucket)
    before = answers(server, {})
    with key_service(s3) as service:
        server.environment.update({**s3.environment(), **service.environment()})
        cluster = {
            **server.environment,
            "HOUNSFIELD_DATABASE_URL": postgresql_url,
            "HOUNSFIELD_BLOBS_URL": "s3://restored-packs/there",
        }
        arn = service.new_key()
        made = backed_up(server, "s3://backups/ward", "--kms-key", arn)
        copy = restored("s3://backups/ward", tmp_path / "cluster", environment=cluster)
        assert len(s3.keys("restored-packs", "there/packs/")) == made["packs"]
        assert answered(copy) == before
        # The database and the bucket are taken now.
        again = command(ServerProcess(tmp_path / "again", cluster), "restore", "s3://backups/ward")
        assert (again.exit_code, "HOUNSFIELD_DATABASE_URL is not empty" in again.output) == (3, True), again.output
        backed_up(copy, tmp_path / "backup", "--kms-key", arn)
        service.disable(arn)
        refused = command(ServerProcess(tmp_path / "home", service.environment()), "restore", str(tmp_path / "backup"))
        assert (refused.exit_code, f"wrapped by {arn}, which does not open them" in refused.output) == (3, True)
        service.enable(arn)
        home = restored(tmp_path / "backup", tmp_path / "home", environment=service.environment())
        assert answered(home) == before


@pytest.mark.slow
def test_a_moment_between_two_backups(
    server: ServerProcess, tmp_path: Path, passphrase: tuple[str, str], postgresql_server: PostgresqlServer
) -> None:
    """The generation before it is brought forward by the journal; what happened after it did not happen."""
    client = server.client()
    backed_up(server, tmp_path / "backup", *passphrase)
    later = active_datastore(client, datastoreName="later")
    for study in (11, 12):
        store_study(server, later, study)
    (datastore,) = (
        found["datastoreId"]
        for found in client.list_datastores()["datastoreSummaries"]
        if found["datastoreName"] == "backed-up"
    )
    store_study(server, datastore, 13)
    deleted = image_sets(client, datastore)[0]["imageSetId"]
    client.delete_image_set(datastoreId=datastore, imageSetId=deleted)
    wait_for(
        lambda: deleted not in {entry["imageSetId"] for entry in image_sets(client, datastore)}, "the deletion to end"
    )
    before = answers(server, {})
    moment = datetime.now(UTC).isoformat()
    time.sleep(0.01)
    client.delete_image_set(datastoreId=later, imageSetId=image_sets(client, later)[0]["imageSetId"])
    store_study(server, later, 14)
    backed_up(server, tmp_path / "backup")
    for name, environment in (
        ("restored", {}),
        ("on-postgresql", {"HOUNSFIELD_DATABASE_URL": postgresql_server.new_database()}),
    ):
        copy = restored(
            tmp_path / "backup",
            tmp_path / name,
            "--to",
            moment,
            *passphrase,
            environment={**server.environment, **environment},
        )
        check_data_rules(copy)
        assert answered(copy) == before
