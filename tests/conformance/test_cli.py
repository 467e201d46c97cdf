"""Every example of the AWS CLI's guide, as it stands there, against a real server; ids alone are put in.

The CLI runs inside the test process by its own driver: 35 starts of Python would take longer than all the commands. Starting
it as a program is tested in tests/cli.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from botocore import xform_name
from botocore.validate import ParamValidator

from support.conformance.cli_examples import CliExample, cli_examples
from support.conformance.cli_guide import Guide
from support.conformance.responses import violations
from support.files.synthetic import noise, save, slice_of
from support.imaging.imports import instances
from support.requests.shape_samples import MODEL, OPERATIONS
from support.required_tools import required_tool
from support.servers import ServerProcess, active_datastore, wait_for

EXAMPLES = {example.name: example for example in cli_examples()}
OPERATION = {xform_name(name, "-"): name for name in OPERATIONS}
FAR = "2099-03-11T16:00:05Z"


@pytest.fixture(scope="module")
def guide(server: ServerProcess, client: Any) -> Guide:
    return Guide.made(server, client, EXAMPLES)


@dataclass
class Cli:
    """``aws`` in this process; gives the exit code, and what it printed and complained of."""

    driver: Any
    capture: pytest.CaptureFixture[str]

    def run(self, *words: str) -> tuple[int, str, str]:
        self.capture.readouterr()
        code = self.driver.main([*words, "--output", "json"])
        printed = self.capture.readouterr()
        return code, printed.out, printed.err

    def __call__(self, *words: str) -> dict[str, Any]:
        code, out, err = self.run(*words)
        assert code == 0, err
        return dict(json.loads(out)) if out.strip() else {}


@pytest.fixture(scope="module")
def driver() -> Any:
    """What carries out the commands; it reads the models of services once."""
    required_tool(bool(EXAMPLES), "the AWS CLI is not installed beside this Python")
    from awscli.clidriver import create_clidriver

    return create_clidriver()


@pytest.fixture
def aws(
    driver: Any, guide: Guide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Cli:
    for name, value in {
        "AWS_ENDPOINT_URL_MEDICAL_IMAGING": guide.server.url,
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        "AWS_SHARED_CREDENTIALS_FILE": str(guide.server.data / "credentials"),
        "AWS_CONFIG_FILE": str(tmp_path / "no-config"),
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_PAGER": "",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return Cli(driver, capsys)


def names_in(value: Any) -> set[str]:
    """Collect all names of objects in a JSON value."""
    if isinstance(value, dict):
        return set(value).union(*(names_in(inner) for inner in value.values()))
    return set().union(*(names_in(inner) for inner in value)) if isinstance(value, list) else set()


def check_printed(operation: str, printed: dict[str, Any]) -> None:
    """Check what the CLI printed against the output shape; what it wrote into a file is not printed."""
    model = MODEL.operation_model(operation)
    shape = model.output_shape
    assert list(violations(shape, printed)) == []
    if not model.has_streaming_output:
        report = ParamValidator().validate(printed, shape)
        assert not report.has_errors(), report.generate_report()
    times = re.findall(r'"(?:created|updated|submitted|ended|deleted|lastAccessed)At": "(.+?)"', json.dumps(printed))
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d:\d\d|Z)", time) for time in times)


def _latest(guide: Guide, example: str) -> str:
    return str(guide.shown(guide.place(example).image_set_id)["versionId"])


def options(guide: Guide, example: CliExample) -> dict[str, str]:
    """Return the values of this server for the options of a command."""
    place = guide.place(example.name)
    values = {
        "--datastore-id": guide.datastore_id,
        "--image-set-id": place.image_set_id,
        "--source-image-set-id": place.image_set_id,
        "--job-id": guide.job_id,
        "--resource-arn": guide.arn(example.name),
    }
    if example.page == "get-image-frame":
        frame = guide.instance(example.name)["ImageFrames"][0]["ID"]
        values["--image-frame-information"] = f"imageFrameId={frame}"
    if example.page == "update-image-set-metadata":
        values["--latest-version-id"] = _latest(guide, example.name)
    if example.name == "get-datastore-2":
        values["--datastore-id"] = active_datastore(guide.client, losslessStorageFormat="JPEG_2000_LOSSLESS")
    if example.name == "delete-datastore-1":
        values["--datastore-id"] = active_datastore(guide.client)
    return values


def texts(guide: Guide, example: CliExample) -> Callable[[str], str]:
    """Return the function that puts ids of this server into the JSON of a command or of a file beside it."""
    place = guide.place(example.name)
    destination = guide.other["copy-image-set-3"] if example.name == "copy-image-set-3" else guide.primary["reading"]

    def adapted(text: str) -> str:
        text = re.sub(
            r'("destinationImageSet": \{ ?"imageSetId": ")[0-9a-z]{32}', rf"\g<1>{destination.image_set_id}", text
        )
        for written, known in {"2022-04-12T23:20:50.52Z": FAR, "2024-03-11T16:00:05.074000-07:00": FAR}.items():
            text = text.replace(written, known)
        uids = iter((place.series_uid, place.sop_uid))
        # The first UID is that of a series, the second that of an instance; a third is a new one and stays.
        return re.sub(r'(?<=\\")1(?:\.[0-9]+){5,}(?=\\")', lambda match: next(uids, match[0]), text)

    return adapted


def words_of(guide: Guide, example: CliExample, folder: Path) -> list[str]:
    """Write the files of an example and return its words, about things that are there."""
    adapted = texts(guide, example)
    for name, content in example.files.items():
        (folder / name).write_text(adapted(content))
    words = example.arguments()
    known = options(guide, example)
    values = [known.get(before, adapted(word)) for before, word in pairwise(words)]
    return [words[0], *values]


def before_example(guide: Guide, example: CliExample) -> None:
    """Bring about what the example takes for granted."""
    if example.page in {"list-tags-for-resource", "untag-resource"}:
        guide.client.tag_resource(resourceArn=guide.arn(example.name), tags={"Deployment": "Development"})
    if example.page == "list-image-set-versions":
        into = {"imageSetId": guide.place(example.name).image_set_id, "latestVersionId": "1"}
        source = {"sourceImageSet": {"latestVersionId": "1"}, "destinationImageSet": into}
        guide.client.copy_image_set(
            datastoreId=guide.datastore_id,
            sourceImageSetId=guide.primary["searched"].image_set_id,
            copyImageSetInformation=source,
        )
        assert guide.shown(into["imageSetId"])["imageSetWorkflowStatus"] == "COPY_FAILED"
    if example.page == "start-dicom-import-job":
        guide.server.bucket("medical-imaging-output")
        save(slice_of(study=590), guide.server.bucket("medical-imaging-dicom-input") / "dicom_input" / "one.dcm")


MISPRINTED = {"lastUpdatedAt": "updatedAt"}
"""Names in the guide's output that no version of the service model has."""


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_an_example_of_the_guide_runs_as_it_stands(guide: Guide, aws: Cli, name: str, tmp_path: Path) -> None:
    example = EXAMPLES[name]
    before_example(guide, example)
    printed = aws(*words_of(guide, example, tmp_path))
    check_printed(OPERATION[example.page], printed)
    promised = {MISPRINTED.get(entry, entry) for entry in example.output_names}
    assert promised - names_in(printed) == set()
    if not MODEL.operation_model(OPERATION[example.page]).output_shape.members:
        assert printed == {}
    check_effect(guide, example, printed, tmp_path)


def check_effect(guide: Guide, example: CliExample, printed: dict[str, Any], folder: Path) -> None:
    """Check that the command did what the guide says of it."""
    match example.page:
        case "update-image-set-metadata":
            place = guide.place(example.name)
            assert printed["imageSetWorkflowStatus"] == "UPDATING"
            assert guide.shown(place.image_set_id)["imageSetWorkflowStatus"] == "UPDATED"
            UPDATES[example.number](guide, example.name)
        case "copy-image-set":
            destination = printed["destinationImageSetProperties"]
            assert printed["sourceImageSetProperties"]["imageSetWorkflowStatus"] == "COPYING_WITH_READ_ONLY_ACCESS"
            assert destination["imageSetWorkflowStatus"] == "COPYING"
            # The second example goes into a set of another series here, as the guide's own list of versions shows it.
            ended = "COPY_FAILED" if example.number == 2 else "COPIED"
            assert guide.shown(destination["imageSetId"])["imageSetWorkflowStatus"] == ended
        case "delete-image-set":
            assert guide.shown(printed["imageSetId"])["imageSetState"] == "DELETED"
        case "get-image-set-metadata":
            content = json.loads(gzip.decompress((folder / "studymetadata.json.gz").read_bytes()))
            assert content == guide.document(example.name)
        case "get-image-frame":
            decoded = imagecodecs.htj2k_decode((folder / "imageframe.jph").read_bytes())
            assert np.array_equal(decoded, noise(64, 64, seed=1))
        case "search-image-sets":
            entries = printed["imageSetsMetadataSummaries"]
            assert guide.primary["searched"].image_set_id in {entry["imageSetId"] for entry in entries}
            assert len(entries) == 1 or example.number == 3
        case "list-image-set-versions":
            listed = [entry["ImageSetWorkflowStatus"] for entry in printed["imageSetPropertiesList"]]
            assert listed == ["COPY_FAILED", "CREATED"]
        case "tag-resource" | "untag-resource":
            left = guide.client.list_tags_for_resource(resourceArn=guide.arn(example.name))["tags"]
            assert left == ({"Deployment": "Development"} if example.page == "tag-resource" else {})
        case "get-datastore" | "delete-datastore" | "create-datastore":
            check_datastore(guide, example, printed)


def check_datastore(guide: Guide, example: CliExample, printed: dict[str, Any]) -> None:
    """Check a data store example, and take away what it left."""
    formats = {1: "HTJ2K", 2: "JPEG_2000_LOSSLESS"}
    if example.page == "delete-datastore":
        assert printed["datastoreStatus"] == "DELETING"
        return
    if example.page == "create-datastore":
        one = {"datastoreId": printed["datastoreId"]}
        wait_for(
            lambda: guide.client.get_datastore(**one)["datastoreProperties"]["datastoreStatus"] == "ACTIVE", "ACTIVE"
        )
        properties = guide.client.get_datastore(**one)["datastoreProperties"]
        assert properties["datastoreName"] == "my-datastore"
    else:
        properties = printed["datastoreProperties"]
    assert properties["losslessStorageFormat"] == formats[example.number]
    if properties["datastoreId"] != guide.datastore_id:
        guide.client.delete_datastore(datastoreId=properties["datastoreId"])


def _removed_instance(guide: Guide, name: str) -> None:
    assert guide.place(name).sop_uid not in dict(instances(guide.document(name)))
    assert len(dict(instances(guide.document(name)))) == 1


def _check(condition: Callable[[Guide, str], bool]) -> Callable[[Guide, str], None]:
    def check(guide: Guide, name: str) -> None:
        assert condition(guide, name)

    return check


UPDATES: dict[int, Callable[[Guide, str], None]] = {
    1: _check(lambda guide, name: guide.document(name)["Patient"]["DICOM"]["PatientName"] == "MX^MX"),
    2: _check(lambda guide, name: "StudyDescription" not in guide.document(name)["Study"]["DICOM"]),
    3: _removed_instance,
    4: _check(lambda guide, name: len(dict(instances(guide.document(name)))) == 2),
    5: _check(
        lambda guide, name: (
            guide.instance(name)["DICOM"]["001910F9"] == "97" and guide.instance(name)["DICOMVRs"]["001910F9"] == "DS"
        )
    ),
    6: _check(lambda guide, name: guide.instance(name)["DICOM"]["00091001"] == "GE_GENESIS_DD"),
    7: _check(
        lambda guide, name: (
            "1.3.6.1.4.1.5962.99.1.3633258862.2104868982.1369432891697.3659.9" in dict(instances(guide.document(name)))
        )
    ),
}
"""What each update of the guide does to the metadata."""


def test_the_guide_has_an_example_of_each_operation(guide: Guide, aws: Cli) -> None:
    assert {OPERATION[example.page] for example in EXAMPLES.values()} == set(OPERATIONS)
    assert len(EXAMPLES) >= 35
    assert all(example.command for example in EXAMPLES.values())


def test_listings_take_filters_and_pages(guide: Guide, aws: Cli) -> None:
    store = ("--datastore-id", guide.datastore_id)
    listed = aws("medical-imaging", "list-datastores", "--datastore-status", "ACTIVE", "--page-size", "2")
    assert guide.datastore_id in {entry["datastoreId"] for entry in listed["datastoreSummaries"]}
    assert {entry["datastoreStatus"] for entry in listed["datastoreSummaries"]} == {"ACTIVE"}
    completed = aws("medical-imaging", "list-dicom-import-jobs", *store, "--job-status", "COMPLETED")["jobSummaries"]
    assert guide.job_id in {entry["jobId"] for entry in completed}
    assert aws("medical-imaging", "list-dicom-import-jobs", *store, "--job-status", "FAILED")["jobSummaries"] == []
    first = aws("medical-imaging", "search-image-sets", *store, "--max-items", "3")
    check_printed("SearchImageSets", {name: value for name, value in first.items() if name != "NextToken"})
    assert len(first["imageSetsMetadataSummaries"]) == 3
    more = aws("medical-imaging", "search-image-sets", *store, "--starting-token", first["NextToken"])
    ids = [entry["imageSetId"] for page in (first, more) for entry in page["imageSetsMetadataSummaries"]]
    assert len(ids) == len(set(ids)) > 10


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("get-datastore", "--datastore-id", "0" * 32), "ResourceNotFoundException"),
        (("get-datastore", "--datastore-id", "short"), "ValidationException"),
        (("get-datastore", "--datastore-id", ""), "ValidationException"),
        (("get-image-set", "--datastore-id", "", "--image-set-id", "0" * 32), "ValidationException"),
        (("list-tags-for-resource", "--resource-arn", "arn:aws:s3:::bucket"), "ValidationException"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value[:3]),
)
def test_the_cli_tells_our_errors(guide: Guide, aws: Cli, words: tuple[str, ...], code: str) -> None:
    status, out, err = aws.run("medical-imaging", *words)
    assert status in {254, 255}
    assert out == ""
    assert f"({code})" in err
