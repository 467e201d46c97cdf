"""The AWS CLI against a server, and the commands of ours, as a user types them."""

from __future__ import annotations

import configparser
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest

from support.as_installed import as_installed
from support.files.synthetic import noise, save, slice_of
from support.identities.users import answer, refusal
from support.imaging.import_folders import fill
from support.programs import aws_preloader, hounsfield
from support.servers import ROLE, ServerProcess, finished_job, wait_for

PROGRAMS = Path(sys.executable).parent


def _environment(**more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HOUNSFIELD_", "AWS_"))}
    return {**kept, "AWS_EC2_METADATA_DISABLED": "true", "AWS_PAGER": "", **more}


class Aws:
    """``aws medical-imaging`` with everything it needs from the environment."""

    def __init__(self, server: ServerProcess, home: Path) -> None:
        self.environment = _environment(
            AWS_ENDPOINT_URL_MEDICAL_IMAGING=server.url,
            AWS_DISABLE_HOST_PREFIX_INJECTION="true",
            AWS_SHARED_CREDENTIALS_FILE=str(server.data / "credentials"),
            AWS_DEFAULT_REGION="us-east-1",
            HOME=str(home),
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return aws_preloader().run(["awscli", "medical-imaging", *arguments, "--output", "json"], self.environment)

    def __call__(self, *arguments: str) -> dict[str, Any]:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout)) if done.stdout.strip() else {}


@pytest.fixture
def aws(server: ServerProcess, tmp_path: Path) -> Aws:
    if not (PROGRAMS / "aws").exists():
        pytest.skip("the AWS CLI is not installed beside this Python")
    return Aws(server, tmp_path)


def test_the_aws_cli_goes_the_whole_way(server: ServerProcess, aws: Aws, tmp_path: Path) -> None:
    pixels = noise(200, 300, seed=9)
    fill(server, "cli", [slice_of(study=90, pixels=pixels)])
    server.bucket("results")
    made = aws("create-datastore", "--datastore-name", "from-the-cli")
    assert made["datastoreStatus"] == "CREATING"
    store = ("--datastore-id", made["datastoreId"])
    # Waiting is left to a client that starts sooner.
    client, identifier = server.client(), {"datastoreId": made["datastoreId"]}
    wait_for(lambda: client.get_datastore(**identifier)["datastoreProperties"]["datastoreStatus"] == "ACTIVE", "ACTIVE")
    assert aws("get-datastore", *store)["datastoreProperties"]["datastoreStatus"] == "ACTIVE"
    listed = aws("list-datastores", "--datastore-status", "ACTIVE")["datastoreSummaries"]
    assert made["datastoreId"] in {entry["datastoreId"] for entry in listed}
    uris = ("--input-s3-uri", "s3://input/cli/", "--output-s3-uri", "s3://results/")
    started = aws("start-dicom-import-job", *store, "--data-access-role-arn", ROLE, "--job-name", "typed", *uris)
    assert started["jobStatus"] == "SUBMITTED"
    job = ("--job-id", started["jobId"])
    finished_job(client, made["datastoreId"], started["jobId"])
    assert aws("get-dicom-import-job", *store, *job)["jobProperties"]["jobStatus"] == "COMPLETED"
    assert [entry["jobName"] for entry in aws("list-dicom-import-jobs", *store)["jobSummaries"]] == ["typed"]
    criteria = json.dumps({"filters": [{"operator": "EQUAL", "values": [{"DICOMPatientId": "P-1"}]}]})
    (found,) = aws("search-image-sets", *store, "--search-criteria", criteria)["imageSetsMetadataSummaries"]
    assert found["DICOMTags"]["DICOMPatientName"] == "Roe^Jane"
    image_set = (*store, "--image-set-id", found["imageSetId"])
    assert aws("get-image-set", *image_set)["imageSetState"] == "ACTIVE"
    metadata = tmp_path / "metadata.json.gz"
    assert aws("get-image-set-metadata", *image_set, str(metadata))["contentEncoding"] == "gzip"
    document = json.loads(gzip.decompress(metadata.read_bytes()))
    (series,) = document["Study"]["Series"].values()
    (instance,) = series["Instances"].values()
    (entry,) = instance["ImageFrames"]
    frame = tmp_path / "frame.jph"
    information = f"imageFrameId={entry['ID']}"
    answer = aws("get-image-frame", *image_set, "--image-frame-information", information, str(frame))
    assert answer["contentType"] == "image/jph"
    assert np.array_equal(imagecodecs.htj2k_decode(frame.read_bytes()), pixels)


def test_the_aws_cli_shows_our_errors(aws: Aws) -> None:
    command = [str(PROGRAMS / "aws"), "medical-imaging", "get-datastore", "--datastore-id", "0" * 32]
    done = subprocess.run(command, env=aws.environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode in {254, 255}
    assert "(ResourceNotFoundException)" in done.stderr
    aws.environment["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    aws.environment.update(AWS_ACCESS_KEY_ID="AKIAAAAAAAAAAAAAAAAA", AWS_SECRET_ACCESS_KEY="x" * 40)
    done = aws.run("list-datastores")
    assert done.returncode in {254, 255}
    assert "(UnrecognizedClientException)" in done.stderr


def installed(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program that is installed to its end."""
    command = [str(PROGRAMS / "hounsfield"), *arguments]
    return subprocess.run(
        command,
        env=_environment(**as_installed()),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path_factory.mktemp("command") / "data").start()
    yield process
    process.stop()


def _counts(text: str) -> list[int]:
    """Numbers of the summary: scanned, imported, failed, image sets."""
    names = ("Files scanned", "Files imported", "Files failed", "Image sets")
    lines = text.splitlines()
    return [int(next(line.split()[-1] for line in lines if line.startswith(name))) for name in names]


def test_import_without_a_server_starts_one_and_stops_it(tmp_path: Path) -> None:
    for number in range(3):
        save(slice_of(number=number), tmp_path / "files" / "deeper" / f"{number}.dcm")
    data = tmp_path / "data"
    done = installed("import", "--data", str(data), str(tmp_path / "files"))
    assert done.returncode == 0, done.stderr
    assert _counts(done.stdout) == [3, 3, 0, 1]
    assert not (data / "server.json").exists()
    again = hounsfield("import", "--data", str(data), str(tmp_path / "files" / "deeper" / "0.dcm"))
    assert again.returncode == 0, again.stderr
    assert _counts(again.stdout) == [1, 1, 0, 1]


def test_import_uses_the_server_that_runs(own_server: ServerProcess, tmp_path: Path) -> None:
    good = save(slice_of(study=91), tmp_path / "good.dcm")
    done = hounsfield("import", "--data", str(own_server.data), "--datastore", "typed", str(good))
    assert done.returncode == 0, done.stderr
    client = own_server.client()
    (store,) = [entry for entry in client.list_datastores()["datastoreSummaries"] if entry["datastoreName"] == "typed"]
    (found,) = client.search_image_sets(datastoreId=store["datastoreId"], searchCriteria={})[
        "imageSetsMetadataSummaries"
    ]
    assert found["DICOMTags"]["DICOMStudyId"] == "S1"
    second = hounsfield("import", "--data", str(own_server.data), "--datastore", store["datastoreId"], str(good))
    assert second.returncode == 0, second.stderr
    found = client.search_image_sets(datastoreId=store["datastoreId"], searchCriteria={})["imageSetsMetadataSummaries"]
    assert [entry["version"] for entry in found] == [2]


def test_import_as_a_user_is_what_the_user_may_do(own_server: ServerProcess, tmp_path: Path) -> None:
    good = save(slice_of(study=93), tmp_path / "good.dcm")
    command = ("import", "--data", str(own_server.data), "--datastore", "by-a-user", "--profile", "importer", str(good))
    credentials = tmp_path / "credentials"
    environment = {"AWS_SHARED_CREDENTIALS_FILE": str(credentials), "AWS_CONFIG_FILE": os.devnull}
    unknown = hounsfield(*command, environment=environment)
    assert unknown.returncode == 1
    assert "profile importer" in unknown.stderr
    answer(own_server, "user", "create", "importer")
    delivery = ("--profile", "importer", "--credentials-file", str(credentials))
    answer(own_server, "access-key", "create", "importer", *delivery)
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(credentials)
    profile = parser["importer"]
    client = own_server.client(key=(profile["aws_access_key_id"], profile["aws_secret_access_key"]))
    wait_for(lambda: refused(client) == "AccessDeniedException", "the key to be known")
    denied = hounsfield(*command, environment=environment)
    assert denied.returncode == 1
    assert "user/importer is not authorized to perform: medical-imaging:ListDatastores" in denied.stderr
    answer(own_server, "policy", "attach", "AWSHealthImagingFullAccess", "--user", "importer")
    trust = {"Effect": "Allow", "Principal": {"Service": "medical-imaging.amazonaws.com"}, "Action": "sts:AssumeRole"}
    buckets = {"Effect": "Allow", "Action": "s3:*", "Resource": ["arn:aws:s3:::imports", "arn:aws:s3:::imports/*"]}
    answer(own_server, "role", "create", "hounsfield-import", "--trust", "-", given=policy(trust))
    answer(own_server, "policy", "put", "buckets", "-", "--role", "hounsfield-import", given=policy(buckets))
    wait_for(lambda: refused(client) == "", "the policy to count")
    done = hounsfield(*command, environment=environment)
    assert done.returncode == 0, done.stderr
    assert _counts(done.stdout) == [1, 1, 0, 1]


def refused(client: Any) -> str:
    """The code that ListDatastores is refused with."""
    code, _ = refusal(client) or ("", "")
    return code


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def test_import_exits_with_1_when_files_fail(own_server: ServerProcess, tmp_path: Path) -> None:
    save(slice_of(study=92), tmp_path / "files" / "good.dcm")
    (tmp_path / "files" / "bad.dcm").write_bytes(b"Roe^Jane is not DICOM")
    done = hounsfield("import", "--data", str(own_server.data), str(tmp_path / "files"))
    assert done.returncode == 1, done.stderr
    assert _counts(done.stdout) == [2, 1, 1, 1]
    assert "bad.dcm: DICOM attributes does not exist" in done.stdout
    assert "Roe" not in done.stdout + done.stderr


def test_import_of_nothing_says_so(own_server: ServerProcess, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = hounsfield("import", "--data", str(own_server.data), str(tmp_path / "empty"))
    assert done.returncode == 1
    assert "no files" in done.stderr
    missing = hounsfield("import", "--data", str(own_server.data), str(tmp_path / "missing"))
    assert missing.returncode == 2
    assert "does not exist" in missing.stderr


def test_serving_without_authentication_is_for_loopback_only(tmp_path: Path) -> None:
    done = hounsfield(
        "serve", "--data", str(tmp_path / "data"), "--host", "0.0.0.0", "--port", "0", "--insecure-no-auth"
    )
    assert done.returncode == 1
    assert "only loopback" in done.stderr


def test_a_setting_of_the_wrong_type_is_named(tmp_path: Path) -> None:
    done = hounsfield("serve", "--data", str(tmp_path / "data"), environment={"HOUNSFIELD_API_WORKERS": "many"})
    assert done.returncode == 2
    assert "HOUNSFIELD_API_WORKERS" in done.stderr
