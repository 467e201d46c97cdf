"""Two nodes with one PostgreSQL and one object store: what one changes counts for the other, and runners share the work."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from support.clients.dicomweb import get, part10, store, updated
from support.faults.data_rules import check_data_rules
from support.faults.suspended_runner import suspended
from support.files.synthetic import noise, slice_of, uid
from support.identities.users import answer, command, refusal
from support.identities.users_and_roles import client_of
from support.imaging.import_folders import sop_instances
from support.imaging.imports import document, frame, image_sets
from support.imaging.stored_series import deleted, verified
from support.processes import runners
from support.servers import ServerProcess, active_datastore, finished_job, start_import, wait_for
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
    tmp_path_factory: pytest.TempPathFactory, postgresql_url: str, proxy: KeyServiceProxy, s3: ObjectStore
) -> Iterator[list[ServerProcess]]:
    folder = tmp_path_factory.mktemp("nodes")
    for bucket in ("nodes-packs", "nodes-sources", "nodes-results"):
        s3.client.create_bucket(Bucket=bucket)
    environment = {
        **s3.environment(),
        **proxy.environment(),
        "HOUNSFIELD_BLOBS_URL": "s3://nodes-packs/archive",
        "HOUNSFIELD_LEASE_SECONDS": "3",
        "HOUNSFIELD_DATABASE_URL": postgresql_url,
        "HOUNSFIELD_KMS_CACHE_SECONDS": "5",
    }
    started: list[ServerProcess] = []
    try:
        for name in ("first", "second"):
            data = folder / name
            if started:
                copied(started[0].data, data)
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


def _everything(
    node: ServerProcess, datastore: str, image_set: str, frame_id: str, study: int
) -> dict[str, tuple[int, bytes]]:
    """Ask a node for all that an API process keeps of an image set of one instance: status and content of each answer."""
    client, series = node.client(), f"studies/{uid(study)}/series/{uid(study, 1)}"
    instance = f"{series}/instances/{uid(study, 1, 1)}"
    found = {
        "DICOMweb metadata": get(node, datastore, f"{series}/metadata", "application/dicom+json"),
        "DICOMweb frame": get(node, datastore, f"{instance}/frames/1", 'multipart/related; type="image/jphc"'),
        "instance": get(node, datastore, instance, 'multipart/related; type="application/dicom"'),
        "rendered": get(node, datastore, f"{instance}/rendered", "image/png"),
        "thumbnail": get(node, datastore, f"{series}/thumbnail", "image/png"),
    }
    return {
        "metadata": _answer(lambda: json.dumps(document(client, datastore, image_set)).encode()),
        "frame": _answer(lambda: frame(client, datastore, image_set, frame_id)[0]),
        **{name: (answer.status_code, answer.content) for name, answer in found.items()},
    }


def _answer(call: Callable[[], bytes]) -> tuple[int, bytes]:
    try:
        return 200, call()
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"], b""


def test_what_one_node_changes_or_deletes_the_other_serves_no_more(nodes: list[ServerProcess]) -> None:
    first, second = nodes
    client = first.client()
    datastore = active_datastore(client)
    slice_ = slice_of(study=850, pixels=noise(64, 64, seed=850), PatientName="BEFORE^A")
    assert store(first, datastore, [part10(slice_)]).status_code == 200
    (found,) = image_sets(client, datastore)
    (instance,) = sop_instances(client, datastore, found["imageSetId"]).values()
    asked = (datastore, found["imageSetId"], instance["ImageFrames"][0]["ID"], 850)
    # The second time from memory, on both.
    before = [_everything(node, *asked) for node in nodes for _ in range(2)]
    assert [{status for status, _ in seen.values()} for seen in before] == [{200}] * 4
    assert all(any((node.data / "read-cache" / datastore).rglob("*-*")) for node in nodes)
    named = ("metadata", "DICOMweb metadata", "instance")
    assert all(b"BEFORE^A" in seen[name][1] for seen in before for name in named)

    updated(client, *asked[:2], {"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientName": "AFTER^A"}}})
    now = _everything(second, *asked)
    assert all(b"AFTER^A" in now[name][1] and b"BEFORE^A" not in now[name][1] for name in named)
    assert now["frame"] == before[0]["frame"]

    deleted(client, *asked[:2])
    assert {name: status for name, (status, _) in _everything(second, *asked).items()} == dict.fromkeys(now, 404)


@pytest.mark.slow
def test_runners_share_jobs_and_one_goes_on_with_those_of_another(nodes: list[ServerProcess], s3: ObjectStore) -> None:
    """One runner is killed and the other stands still for longer than a lease, in the midst of jobs; then it wakes."""
    jobs, files = 20, 3
    for job in range(jobs):
        for number in range(files):
            body = part10(slice_of(number=number, study=860 + job, pixels=noise(96, 96, seed=job)))
            s3.client.put_object(Bucket="nodes-sources", Key=f"{job}/{number}.dcm", Body=body)
    clients = [node.client() for node in nodes]
    datastore = active_datastore(clients[0])
    started = {
        job: start_import(clients[job % 2], datastore, f"s3://nodes-sources/{job}/", "s3://nodes-results/")
        for job in range(jobs)
    }
    stale = suspended(nodes[1])
    try:
        for runner in runners(nodes[0]):
            runner.kill()
        ended = {job: finished_job(clients[0], datastore, job_id) for job, job_id in started.items()}
    finally:
        stale.resume()
    assert {ended[job]["jobStatus"] for job in ended} == {"COMPLETED"}
    found = image_sets(clients[1], datastore)
    # What the runner that woke had begun changes nothing any more.
    assert sorted(entry["DICOMTags"]["DICOMStudyInstanceUID"] for entry in found) == sorted(
        uid(860 + job) for job in range(jobs)
    )
    last = start_import(clients[0], datastore, "s3://nodes-sources/0/", "s3://nodes-results/")
    assert finished_job(clients[1], datastore, last)["jobStatus"] == "COMPLETED"
    wait_for(lambda: len({runner.pid for node in nodes for runner in runners(node)}) == 2, "both runners to be up")
    for entry in image_sets(clients[1], datastore):
        first = entry["DICOMTags"]["DICOMStudyInstanceUID"] == uid(860)
        assert entry["version"] == (2 if first else 1)
        assert len(verified(clients[1], datastore, entry["imageSetId"])) == files
    for job, job_id in started.items():
        keys = [key for key in s3.keys("nodes-results") if job_id in key and key.endswith("success.ndjson")]
        assert len(keys) == 1, (job, keys)
        assert len(s3.get("nodes-results", keys[0]).splitlines()) == files
    check_data_rules(nodes[0])


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
