"""The public code examples of the AWS SDKs and of the AWS CLI: the same calls in the same order, with what they rely on."""

from __future__ import annotations

import gzip
import json
import os
import shlex
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jmespath
import numpy as np
import openjpeg.utils
import pytest
from awscli.clidriver import create_clidriver
from botocore.exceptions import ClientError

from support.clients.environment import environment_of
from support.files.synthetic import noise, save, slice_of, uid
from support.imaging.imports import document, image_sets, instances, run_import
from support.servers import ROLE, ServerProcess, wait_for


def import_three(server: ServerProcess, client: Any, datastore_id: str, folder: str, study: int) -> list[str]:
    """Import a series of two slices and one of a colour picture; return their image sets, that of the slices first."""
    colours = np.stack([noise(40, 50, n, "u1") for n in range(3)], axis=-1)
    of_study = [slice_of(number=number, study=study, pixels=noise(200, 150, number)) for number in (1, 2)]
    of_study.append(
        slice_of(2, study=study, pixels=colours[..., 0], SamplesPerPixel=3, PlanarConfiguration=0,
                 PhotometricInterpretation="RGB", PixelData=colours.tobytes())
    )  # fmt: skip
    for number, dataset in enumerate(of_study):
        save(dataset, server.bucket("input") / folder / f"{number}.dcm")
    assert run_import(server, client, datastore_id, f"{folder}/").failure == []
    found = {entry["DICOMTags"]["DICOMSeriesInstanceUID"]: entry for entry in image_sets(client, datastore_id)}
    return [found[uid(study, series)]["imageSetId"] for series in (1, 2)]


def unlocked(client: Any, datastore_id: str, image_set_id: str) -> dict[str, Any]:
    def settled() -> dict[str, Any] | None:
        found = client.get_image_set(datastoreId=datastore_id, imageSetId=image_set_id)
        return None if found["imageSetState"] == "LOCKED" else found

    return wait_for(settled, "the image set to be unlocked")


def test_python_image_sets_and_frames(server: ServerProcess, client: Any, datastore: str) -> None:
    """The manifest is read without asking how the job is; frames are decoded as JP2 files; the widest level is compared."""
    for number in (1, 2):
        save(slice_of(number=number, pixels=noise(300, 260, number)), server.bucket("input") / f"frames/{number}.dcm")
    server.bucket("output")
    job = client.start_dicom_import_job(
        jobName="examples-job",
        datastoreId=datastore,
        dataAccessRoleArn=ROLE,
        inputS3Uri="s3://input/frames/",
        outputS3Uri="s3://output/",
    )
    properties = client.get_dicom_import_job(datastoreId=datastore, jobId=job["jobId"])["jobProperties"]
    location = properties["outputS3Uri"]
    assert location == f"s3://output/{datastore}-DicomImport-{job['jobId']}/"
    manifest = server.data / "buckets" / location.removeprefix("s3://") / "job-output-manifest.json"
    wait_for(manifest.exists, "the manifest to be written")
    summary = json.loads(manifest.read_bytes())["jobSummary"]
    (image_set,) = [entry["imageSetId"] for entry in summary["imageSetsSummary"]]

    def metadata() -> Any:
        # Image sets become visible a moment after their manifest was written.
        try:
            return client.get_image_set_metadata(datastoreId=datastore, imageSetId=image_set)
        except client.exceptions.ResourceNotFoundException:
            return None

    found = json.loads(gzip.decompress(wait_for(metadata, "the image set")["imageSetMetadataBlob"].read()))
    per_instance = jmespath.search("Study.Series.*.Instances[].*[]", found)
    frames = jmespath.search("[].ImageFrames[]", per_instance)
    assert len(frames) == len(per_instance) == 2
    for frame in frames:
        answer = client.get_image_frame(
            datastoreId=datastore, imageSetId=image_set, imageFrameInformation={"imageFrameId": frame["ID"]}
        )
        data = answer["imageFrameBlob"].read()
        described = openjpeg.utils.get_parameters(data, j2k_format=2)
        samples = openjpeg.utils.decode(data, j2k_format=2)
        assert (described["rows"], described["columns"], described["is_signed"]) == (300, 260, True)
        checksum = jmespath.search("max_by(PixelDataChecksumFromBaseToFullResolution, &Width).Checksum", frame)
        assert zlib.crc32(samples) == checksum
        assert (frame["MinPixelValue"], frame["MaxPixelValue"]) == (samples.min(), samples.max())
        assert len(frame["PixelDataChecksumFromBaseToFullResolution"]) > 1


def test_python_colour_frames(server: ServerProcess, client: Any, datastore: str) -> None:
    """The checksum of a colour frame is that of its samples pixel by pixel, as the C++ example writes them too."""
    _, colours = import_three(server, client, datastore, "colour", 921)
    answer = client.get_image_set_metadata(datastoreId=datastore, imageSetId=colours)
    found = json.loads(gzip.decompress(answer["imageSetMetadataBlob"].read()))
    (frame,) = jmespath.search("Study.Series.*.Instances[].*[].ImageFrames[]", found)
    answer = client.get_image_frame(
        datastoreId=datastore, imageSetId=colours, imageFrameInformation={"imageFrameId": frame["ID"]}
    )
    samples = openjpeg.utils.decode(answer["imageFrameBlob"].read(), j2k_format=2)
    assert samples.shape == (40, 50, 3)
    assert zlib.crc32(samples) == frame["PixelDataChecksumFromBaseToFullResolution"][-1]["Checksum"]


def test_python_basics(server: ServerProcess, client: Any) -> None:
    """From creating a data store to deleting it, with the searches, the copy and the update between."""
    before = datetime.now(UTC)
    datastore = client.create_datastore(datastoreName="examples")["datastoreId"]
    wait_for(
        lambda: client.get_datastore(datastoreId=datastore)["datastoreProperties"]["datastoreStatus"] == "ACTIVE",
        "the data store to become ACTIVE",
    )
    slices, colours = import_three(server, client, datastore, "basics", 922)

    def search(*filters: dict[str, Any], **sort: str) -> list[str]:
        criteria = {**({"filters": list(filters)} if filters else {}), **({"sort": sort} if sort else {})}
        pages = client.get_paginator("search_image_sets").paginate(datastoreId=datastore, searchCriteria=criteria)
        return [entry["imageSetId"] for page in pages for entry in page["imageSetsMetadataSummaries"]]

    both = {slices, colours}
    studies = [{"DICOMStudyDateAndTime": {"DICOMStudyDate": day, "DICOMStudyTime": "000000"}} for day in
               ("19990101", datetime.now(UTC).strftime("%Y%m%d"))]  # fmt: skip
    # The upper bound is this very moment, of which boto3 sends the second.
    created = [{"createdAt": before}, {"createdAt": datetime.now(UTC)}]
    updated = [{"updatedAt": before - timedelta(days=1)}, {"updatedAt": datetime.now(UTC)}]
    of_series = {"values": [{"DICOMSeriesInstanceUID": uid(922, 1)}], "operator": "EQUAL"}
    assert set(search({"values": [{"DICOMPatientId": "P-1"}], "operator": "EQUAL"})) == both
    assert set(search({"values": studies, "operator": "BETWEEN"})) == both
    assert set(search({"values": created, "operator": "BETWEEN"})) == both
    both_filters = ({"values": updated, "operator": "BETWEEN"}, of_series)
    assert search(*both_filters, sortOrder="ASC", sortField="updatedAt") == [slices]

    copied = client.copy_image_set(
        datastoreId=datastore,
        sourceImageSetId=slices,
        copyImageSetInformation={"sourceImageSet": {"latestVersionId": "1"}},
    )
    copy = copied["destinationImageSetProperties"]["imageSetId"]
    assert unlocked(client, datastore, copy)["imageSetWorkflowStatus"] == "COPIED"
    unlocked(client, datastore, slices)
    change = {"SchemaVersion": 1.1, "Study": {"DICOM": {"StudyDescription": "CT CHEST"}}}
    client.update_image_set_metadata(
        datastoreId=datastore,
        imageSetId=slices,
        latestVersionId="1",
        updateImageSetMetadataUpdates={"DICOMUpdates": {"updatableAttributes": json.dumps(change)}},
    )
    assert unlocked(client, datastore, slices)["imageSetWorkflowStatus"] == "UPDATED"
    for image_set in (slices, colours, copy):
        client.delete_image_set(datastoreId=datastore, imageSetId=image_set)

    def gone(image_set: str) -> bool:
        try:
            return client.get_image_set(datastoreId=datastore, imageSetId=image_set)["imageSetState"] == "DELETED"
        except client.exceptions.ResourceNotFoundException:
            return True

    for image_set in (slices, colours, copy):
        wait_for(lambda image_set=image_set: gone(image_set), "the image set to be deleted")
    assert search() == []
    assert client.delete_datastore(datastoreId=datastore)["datastoreStatus"] == "DELETING"


@pytest.mark.parametrize("schema", ["1.1", 1.1])
def test_python_copies_of_a_part(server: ServerProcess, client: Any, datastore: str, schema: str | float) -> None:
    """The examples have something else where the series belongs, and the schema version once as a text, once as a number."""
    source, _ = import_three(server, client, datastore, f"parts-{schema!r}", 923)

    def copy(*instances: str, series: str = uid(923, 1)) -> str:
        part = {"Study": {"Series": {series: {"Instances": {instance: {} for instance in instances}}}}}
        attributes = json.dumps({"SchemaVersion": schema, **part})
        answer = client.copy_image_set(
            datastoreId=datastore,
            sourceImageSetId=source,
            copyImageSetInformation={
                "sourceImageSet": {"latestVersionId": "1", "DICOMCopies": {"copiableAttributes": attributes}}
            },
        )
        return str(answer["destinationImageSetProperties"]["imageSetId"])

    before = image_sets(client, datastore)
    with pytest.raises(client.exceptions.ValidationException):
        copy("1.3.6.1.4.1.5962.99.1.1.1.1")
    with pytest.raises(client.exceptions.ValidationException, match="Series Instance UID"):
        copy(uid(923, 1, 2), series="imageSetId")
    assert image_sets(client, datastore) == before
    found = client.get_image_set(datastoreId=datastore, imageSetId=source)
    assert (found["imageSetState"], found["versionId"]) == ("ACTIVE", "1")
    made = copy(uid(923, 1, 2))
    assert unlocked(client, datastore, made)["imageSetWorkflowStatus"] == "COPIED"
    assert [found for found, _ in instances(document(client, datastore, made))] == [uid(923, 1, 2)]


Cli = Callable[[str], str]


@pytest.fixture
def aws(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Cli:
    """The AWS CLI (version 1): gives what a command prints."""
    for name in [name for name in os.environ if name.startswith("AWS_") and name != "AWS_DATA_PATH"]:
        monkeypatch.delenv(name)
    for name, value in environment_of(server).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)

    driver = create_clidriver()

    def run(command: str) -> str:
        code = driver.main(["medical-imaging", *shlex.split(command)])
        printed = capsys.readouterr()
        assert code == 0, printed.err
        return printed.out

    return run


def test_cli_examples_read(server: ServerProcess, client: Any, datastore: str, aws: Cli, tmp_path: Path) -> None:
    slices, _ = import_three(server, client, datastore, "cli-read", 924)
    of_set = f"--datastore-id {datastore} --image-set-id {slices}"
    search = f"search-image-sets --datastore-id {datastore} --search-criteria file://criteria.json"
    day = {"DICOMStudyDate": "19900101", "DICOMStudyTime": "000000"}
    filters = [
        ([{"DICOMPatientId": "P-1"}], "EQUAL", 2),
        ([{"DICOMStudyDateAndTime": day}, {"DICOMStudyDateAndTime": {**day, "DICOMStudyDate": "20991231"}}], "BETWEEN", 2),
        ([{"createdAt": "1985-04-12T23:20:50.52Z"}, {"createdAt": "2099-04-12T23:20:50.52Z"}], "BETWEEN", 2),
        ([{"DICOMSeriesInstanceUID": uid(924, 1)}], "EQUAL", 1),
        ([{"DICOMPatientId": "P-2"}], "EQUAL", 0),
    ]  # fmt: skip
    for values, operator, count in filters:
        (tmp_path / "criteria.json").write_text(json.dumps({"filters": [{"values": values, "operator": operator}]}))
        assert len(json.loads(aws(search))["imageSetsMetadataSummaries"]) == count
    assert json.loads(aws(f"get-image-set {of_set} --version-id 1"))["versionId"] == "1"
    told = json.loads(aws(f"get-image-set-metadata {of_set} --version-id 1 studymetadata.json.gz"))
    assert told == {"contentType": "application/json", "contentEncoding": "gzip"}
    told = json.loads(gzip.decompress((tmp_path / "studymetadata.json.gz").read_bytes()))
    frame = told["Study"]["Series"][uid(924, 1)]["Instances"][uid(924, 1, 1)]["ImageFrames"][0]
    asked = shlex.quote(json.dumps({"imageFrameId": frame["ID"]}))
    aws(f"get-image-frame {of_set} --image-frame-information {asked} imageframe.jph")
    samples = openjpeg.utils.decode((tmp_path / "imageframe.jph").read_bytes(), j2k_format=2)
    np.testing.assert_array_equal(samples, noise(200, 150, 1))
    assert [v["versionId"] for v in json.loads(aws(f"list-image-set-versions {of_set}"))["imageSetPropertiesList"]] == [
        "1"
    ]
    jobs = json.loads(aws(f"list-dicom-import-jobs --datastore-id {datastore}"))["jobSummaries"]
    assert [job["jobStatus"] for job in jobs] == ["COMPLETED"]


def test_cli_examples_write(server: ServerProcess, client: Any, datastore: str, aws: Cli, tmp_path: Path) -> None:
    """Update in the four ways of the examples, copy into a given set, tag, and delete."""
    slices, colours = import_three(server, client, datastore, "cli-write", 925)
    of_set = f"--datastore-id {datastore} --image-set-id {slices}"
    instance = {"DICOM": {"001910F9": "97"}, "DICOMVRs": {"001910F9": "DS"}}
    private = {"Study": {"Series": {uid(925, 1): {"Instances": {uid(925, 1, 1): instance}}}}}
    steps = [
        ({"updatableAttributes": {"Patient": {"DICOM": {"PatientName": "MX^MX"}}}}, ""),
        ({"removableAttributes": {"Study": {"DICOM": {"StudyDescription": ""}}}}, ""),
        ({"updatableAttributes": private}, "--force"),
        (None, ""),
    ]
    for number, (change, force) in enumerate(steps, 1):
        updates: dict[str, Any] = {"revertToVersionId": "1"}
        if change is not None:
            texts = {name: json.dumps({"SchemaVersion": 1.1, **value}) for name, value in change.items()}
            updates = {"DICOMUpdates": texts}
        (tmp_path / "updates.json").write_text(json.dumps(updates))
        aws(
            f"update-image-set-metadata {of_set} --latest-version-id {number} {force}"
            " --update-image-set-metadata-updates file://updates.json"
        )
        assert unlocked(client, datastore, slices)["imageSetWorkflowStatus"] == "UPDATED"

    def read(version: int) -> Any:
        aws(f"get-image-set-metadata {of_set} --version-id {version} {version}.gz")
        return json.loads(gzip.decompress((tmp_path / f"{version}.gz").read_bytes()))

    versions = {version: read(version) for version in range(1, 6)}
    assert versions[2]["Patient"]["DICOM"]["PatientName"] == "MX^MX"
    assert "StudyDescription" in versions[2]["Study"]["DICOM"]
    assert "StudyDescription" not in versions[3]["Study"]["DICOM"]
    edited = versions[4]["Study"]["Series"][uid(925, 1)]["Instances"][uid(925, 1, 1)]
    assert (edited["DICOM"]["001910F9"], edited["DICOMVRs"]["001910F9"]) == ("97", "DS")
    assert versions[5] == versions[1]

    copy = (
        f"copy-image-set --datastore-id {datastore} --source-image-set-id {slices} --force --copy-image-set-information"
    )
    first = json.loads(aws(copy + """ '{"sourceImageSet": {"latestVersionId": "5"}}'"""))
    assert first["sourceImageSetProperties"]["imageSetWorkflowStatus"] == "COPYING_WITH_READ_ONLY_ACCESS"
    into = first["destinationImageSetProperties"]["imageSetId"]
    assert unlocked(client, datastore, into)["imageSetWorkflowStatus"] == "COPIED"
    unlocked(client, datastore, slices)
    arn = first["sourceImageSetProperties"]["imageSetArn"]
    assert aws(f"""tag-resource --resource-arn {arn} --tags '{{"Deployment":"Development"}}'""") == ""
    assert json.loads(aws(f"list-tags-for-resource --resource-arn {arn}")) == {"tags": {"Deployment": "Development"}}
    assert aws(f"""untag-resource --resource-arn {arn} --tag-keys '["Deployment"]'""") == ""
    assert json.loads(aws(f"list-tags-for-resource --resource-arn {arn}")) == {"tags": {}}
    for image_set in (slices, colours, into):
        told = json.loads(aws(f"delete-image-set --datastore-id {datastore} --image-set-id {image_set}"))
        assert (told["imageSetState"], told["imageSetWorkflowStatus"]) == ("LOCKED", "DELETING")
        unlocked(client, datastore, image_set)
    assert json.loads(aws(f"delete-datastore --datastore-id {datastore}"))["datastoreStatus"] == "DELETING"


def test_bash_examples_print_tables(client: Any, aws: Cli) -> None:
    """The shell examples cut the columns out of what the CLI prints as text."""
    name = "bash-examples"
    datastore = aws(f"create-datastore --datastore-name {name} --output text --query datastoreId").strip()
    columns = "datastoreProperties.[datastoreName,datastoreId,datastoreStatus,datastoreArn,createdAt,updatedAt]"
    row = wait_for(
        lambda: next(
            (r for r in [aws(f"get-datastore --datastore-id {datastore} --output text --query {columns}")] if "ACTIVE" in r),
            None,
        ),
        "the data store to become ACTIVE",
    ).split("\t")  # fmt: skip
    assert row[:3] == [name, datastore, "ACTIVE"]
    assert len(row) == 6
    listing = "list-datastores --output text --query datastoreSummaries[*].[datastoreName,datastoreId,datastoreStatus]"
    assert [name, datastore, "ACTIVE"] in [line.split("\t") for line in aws(listing).splitlines()]
    with pytest.raises(ClientError) as missing:
        client.get_datastore(datastoreId="0" * 32)
    assert missing.value.response["Error"]["Code"] == "ResourceNotFoundException"
