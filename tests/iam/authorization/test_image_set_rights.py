"""A Deny on one image set holds on every path to it: what finds it after the request was let in refuses it or leaves it out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson
import pytest
import requests
from botocore.exceptions import ClientError
from pydicom.dataset import Dataset

from support.audit_trail import record_of
from support.clients.dicomweb import BOUNDARY, SignedRequests, multipart, part10, root, store, values
from support.files.synthetic import slice_of, uid
from support.identities.users_and_roles import Statement, UsersAndRoles, allow, role_arn
from support.imaging.import_folders import INPUT, fill
from support.imaging.imports import outcome_of
from support.servers import ServerProcess, active_datastore, finished_job, wait_for

MARKER: Final = "ZQ-MARKER"
"""A value that is in the denied image set alone."""
EVERYTHING: Final = allow("medical-imaging:*")
Key = tuple[str, str]


@dataclass(frozen=True)
class Study:
    """A study of two series in a data store of its own; the second was stored last, and is to be denied."""

    server: ServerProcess
    world: UsersAndRoles
    client: Any
    datastore: str
    allowed: str
    denied: str

    def arn(self, image_set: str) -> str:
        return f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{self.datastore}/imageset/{image_set}"

    def deny(self, **more: Any) -> Statement:
        """A statement that denies the second series."""
        return {"Effect": "Deny", "Action": "medical-imaging:*", "Resource": self.arn(self.denied), **more}

    def user(self, *statements: Statement) -> Key:
        return self.world.some_user(*statements)

    def native(self, key: Key) -> Any:
        return self.world.client("medical-imaging", key)

    def web(
        self, key: Key, path: str, method: str = "GET", data: bytes | None = None, **headers: str
    ) -> requests.Response:
        return requests.request(
            method,
            f"{root(self.server, self.datastore)}{path}",
            auth=SignedRequests(self.server, key=key),
            data=data,
            headers={"Accept": "*/*", **headers},
            timeout=60,
        )

    def versions(self) -> list[Any]:
        """Everything about both image sets that a change would change."""
        return [
            self.client.list_image_set_versions(datastoreId=self.datastore, imageSetId=image_set)[
                "imageSetPropertiesList"
            ]
            for image_set in (self.allowed, self.denied)
        ]

    def settled(self, image_set: str) -> dict[str, Any]:
        def active() -> dict[str, Any] | None:
            found = self.client.get_image_set(datastoreId=self.datastore, imageSetId=image_set)
            return dict(found) if found["imageSetState"] == "ACTIVE" else None

        return wait_for(active, "the operation to end")

    def update(self, client: Any, change: Mapping[str, Any], **more: Any) -> Any:
        latest = self.client.get_image_set(datastoreId=self.datastore, imageSetId=self.allowed)["versionId"]
        blob = json.dumps({"SchemaVersion": 1.1, **change}).encode()
        return client.update_image_set_metadata(
            datastoreId=self.datastore,
            imageSetId=self.allowed,
            latestVersionId=latest,
            updateImageSetMetadataUpdates={"DICOMUpdates": {"updatableAttributes": blob}},
            **more,
        )


def marked(number: int = 1, **elements: Any) -> Dataset:
    """A slice of the series that is to be denied."""
    texts = dict.fromkeys(["SeriesDescription", "StudyDescription", "ImageComments"], MARKER)
    return slice_of(2, number, **{"Modality": "MR", **texts, **elements})


@pytest.fixture
def study(server: ServerProcess, world: UsersAndRoles) -> Study:
    client = server.client()
    datastore = active_datastore(client)
    for slices in ([slice_of(1, 1), slice_of(1, 2)], [marked(1), marked(2)]):
        assert store(server, datastore, [part10(entry) for entry in slices]).status_code == 200
    found = client.search_image_sets(datastoreId=datastore)["imageSetsMetadataSummaries"]
    by_series = {entry["DICOMTags"]["DICOMSeriesInstanceUID"]: entry["imageSetId"] for entry in found}
    return Study(server, world, client, datastore, by_series[uid(1, 1)], by_series[uid(1, 2)])


def refusal(call: Any, *arguments: Any, **parameters: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(*arguments, **parameters)
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
    return str(caught.value.response["Error"]["Message"])


STUDY_CHANGE: Final = {"Study": {"DICOM": {"StudyDescription": "Knee"}}}
PATIENT_CHANGE: Final = {"Patient": {"DICOM": {"PatientID": "P-9"}}}


@pytest.mark.parametrize("limit", ["denied", "not-allowed", "denied-by-tag"])
def test_an_update_of_a_study_asks_for_each_of_its_image_sets(study: Study, limit: str) -> None:
    own = [study.arn(study.allowed), study.arn("").partition("/imageset/")[0]]
    statements = {
        "denied": [EVERYTHING, study.deny()],
        "not-allowed": [allow("medical-imaging:*", own)],
        "denied-by-tag": [EVERYTHING, study.deny(Resource="*", Condition=tagged("Ward", "3"))],
    }
    study.client.tag_resource(resourceArn=study.arn(study.denied), tags={"Ward": "3"})
    client = study.native(study.user(*statements[limit]))
    before = study.versions()
    message = refusal(study.update, client, PATIENT_CHANGE, includeStudyImageSets=True)
    assert f"UpdateImageSetMetadata on resource: {study.arn(study.denied)}" in message
    assert study.versions() == before
    study.update(client, {"Study": {"Series": {uid(1, 1): {"DICOM": {"SeriesDescription": "Own"}}}}})
    assert study.settled(study.allowed)["imageSetWorkflowStatus"] == "UPDATED"
    assert study.versions()[1] == before[1]


def tagged(key: str, value: str) -> Mapping[str, Any]:
    return {"StringEquals": {f"aws:ResourceTag/{key}": value}}


def copied(study: Study, source: str) -> str:
    """Copy an image set to a new one, which is not primary."""
    latest = study.client.get_image_set(datastoreId=study.datastore, imageSetId=source)["versionId"]
    begun = study.client.copy_image_set(
        datastoreId=study.datastore,
        sourceImageSetId=source,
        copyImageSetInformation={"sourceImageSet": {"latestVersionId": latest}},
    )
    made = str(begun["destinationImageSetProperties"]["imageSetId"])
    study.settled(made)
    study.settled(source)
    return made


def promote(study: Study, client: Any, source: str) -> Any:
    return client.copy_image_set(
        datastoreId=study.datastore,
        sourceImageSetId=source,
        copyImageSetInformation={"sourceImageSet": {"latestVersionId": "1"}},
        promoteToPrimary=True,
    )


def test_a_promotion_asks_for_the_primary_image_set_that_it_finds(study: Study) -> None:
    copy = copied(study, study.denied)
    before = study.versions()
    client = study.native(study.user(EVERYTHING, study.deny()))
    assert study.arn(study.denied) in refusal(promote, study, client, copy)
    assert study.versions() == before
    assert study.settled(copy)["versionId"] == "1"


def test_sets_that_a_change_finds_are_in_the_audit_record(study: Study) -> None:
    def recorded(request_id: str) -> set[str]:
        return {entry["ARN"] for entry in record_of(study.server, request_id)["resources"]}

    both = {study.arn(study.allowed), study.arn(study.denied)}
    answer = study.update(study.client, STUDY_CHANGE, includeStudyImageSets=True)
    assert recorded(answer["ResponseMetadata"]["RequestId"]) >= both
    study.settled(study.denied)
    copy = copied(study, study.denied)
    answer = promote(study, study.client, copy)
    assert recorded(answer["ResponseMetadata"]["RequestId"]) >= {study.arn(copy), study.arn(study.denied)}
    study.settled(study.denied)
    key = study.server.key()
    one = study.web(key, f"/studies/{uid(1)}/series/{uid(1, 1)}/instances/{uid(1, 1, 1)}", "DELETE")
    assert one.status_code == 202
    assert study.arn(study.allowed) in recorded(one.headers["x-amzn-RequestId"])
    study.settled(study.allowed)
    refused = study.web(study.user(EVERYTHING, study.deny()), f"/studies/{uid(1)}", "DELETE")
    assert refused.status_code == 403
    assert recorded(refused.headers["x-amzn-RequestId"]) >= both
    whole = study.web(key, f"/studies/{uid(1)}", "DELETE")
    assert whole.status_code == 204
    assert recorded(whole.headers["x-amzn-RequestId"]) >= both


SERIES_PATH: Final = f"/studies/{uid(1)}/series/{uid(1, 2)}"
INSTANCE_PATH: Final = f"{SERIES_PATH}/instances/{uid(1, 2, 1)}"


@pytest.mark.parametrize("by", ["arn", "tag"])
def test_what_is_denied_cannot_be_read_by_its_uids(study: Study, by: str) -> None:
    study.client.tag_resource(resourceArn=study.arn(study.denied), tags={"Ward": "3"})
    deny = study.deny() if by == "arn" else study.deny(Resource="*", Condition=tagged("ward", "3"))
    key = study.user(EVERYTHING, deny)
    of_series = ("", "/metadata", "/rendered", "/thumbnail")
    paths = [
        *(f"{SERIES_PATH}{path}" for path in of_series),
        *(f"{INSTANCE_PATH}{path}" for path in (*of_series, "/frames/1", "/frames/1/rendered", "/frames/1/thumbnail")),
    ]
    for path in paths:
        for query in ("", f"?imageSetId={study.denied}"):
            answer = study.web(key, path + query)
            assert answer.status_code == 403, path + query
            assert study.arn(study.denied) in answer.text
        assert study.web(study.server.key(), path).status_code == 200, path
    # The other series of the study is there as before.
    assert study.web(key, f"/studies/{uid(1)}/series/{uid(1, 1)}/instances/{uid(1, 1, 1)}/frames/1").status_code == 200


def test_a_study_is_read_without_what_is_denied(study: Study) -> None:
    key = study.user(EVERYTHING, study.deny())
    whole = study.web(study.server.key(), f"/studies/{uid(1)}/metadata").json()
    seen = study.web(key, f"/studies/{uid(1)}/metadata").json()
    assert len(whole) == 4
    assert {values(entry, "0020000E")[0] for entry in seen} == {uid(1, 1)}
    files = study.web(key, f"/studies/{uid(1)}")
    assert files.status_code == 200
    assert uid(1, 1, 2).encode() in files.content
    assert uid(1, 2).encode() not in files.content
    assert MARKER.encode() not in files.content
    assert study.web(key, f"/studies/{uid(1)}/rendered").status_code == 200
    assert study.web(key, f"/studies/{uid(1)}/thumbnail").status_code == 200
    nothing = study.user(EVERYTHING, study.deny(Resource=study.arn("*")))
    for path in ("", "/metadata", "/rendered", "/thumbnail"):
        assert study.web(nothing, f"/studies/{uid(1)}{path}").status_code == 403


def test_searches_leave_out_what_is_denied(study: Study) -> None:
    key = study.user(EVERYTHING, study.deny())

    def found(path: str) -> list[Any]:
        answer = study.web(key, path)
        assert answer.status_code in {200, 204}, (path, answer.text)
        assert MARKER not in answer.text
        return list(answer.json())

    (one,) = found("/studies?includefield=all")
    # The study is what is left of it: one series of two instances, whose description is the one that counts.
    assert values(one, "00201206") == [1]
    assert values(one, "00201208") == [2]
    assert values(one, "00080061") == ["CT"]
    assert values(one, "00081030") == ["Head"]
    for query in (f"StudyDescription={MARKER}", "ModalitiesInStudy=MR", f"StudyDescription={MARKER[:4]}*"):
        for path in ("/studies", "/series", "/instances"):
            assert found(f"{path}?{query}") == [], (path, query)
    for query in ("", "?StudyDescription=Head", "?ModalitiesInStudy=CT", "?StudyDescription=He*", "?PatientName=ROE*"):
        if "Head" not in query and "He*" not in query:
            assert len(found(f"/studies{query}")) == 1, query
        assert len(found(f"/series{query}")) <= 1, query
    (series,) = found("/series?includefield=all")
    assert values(series, "0020000E") == [uid(1, 1)]
    assert values(series, "00081030") == ["Head"]
    instances = found("/instances?includefield=all")
    assert [values(entry, "00080018")[0] for entry in instances] == [uid(1, 1, 1), uid(1, 1, 2)]
    assert [values(entry, "00080018")[0] for entry in found("/instances?offset=1&limit=1")] == [uid(1, 1, 2)]
    assert "Warning" in study.web(key, "/instances?limit=1").headers
    assert "Warning" not in study.web(key, "/instances?limit=2").headers
    assert found(f"/studies/{uid(1)}/series/{uid(1, 2)}/instances") == []
    assert found(f"/series?SeriesInstanceUID={uid(1, 2)}") == []
    client = study.native(key)
    assert [entry["imageSetId"] for entry in searched(client, study.datastore)] == [study.allowed]


def searched(client: Any, datastore: str, **more: Any) -> list[Any]:
    pages = client.get_paginator("search_image_sets").paginate(datastoreId=datastore, **more)
    return [entry for page in pages for entry in page["imageSetsMetadataSummaries"]]


def test_pages_go_on_behind_what_is_denied(server: ServerProcess, world: UsersAndRoles, study: Study) -> None:
    slices = [slice_of(series, 1, study=2) for series in range(1, 8)]
    assert store(server, study.datastore, [part10(entry) for entry in slices]).status_code == 200
    everything = searched(study.client, study.datastore)
    hidden = {entry["imageSetId"] for entry in everything[1::2]}
    client = study.native(study.user(EVERYTHING, study.deny(Resource=[study.arn(image_set) for image_set in hidden])))
    for direction in ("ASC", "DESC"):
        criteria = {"sort": {"sortField": "createdAt", "sortOrder": direction}}
        more = {"searchCriteria": criteria, "PaginationConfig": {"PageSize": 1}}
        wanted = [
            entry for entry in searched(study.client, study.datastore, **more) if entry["imageSetId"] not in hidden
        ]
        assert searched(client, study.datastore, **more) == wanted


def test_what_is_stored_does_not_reach_a_denied_image_set(study: Study) -> None:
    key = study.user(EVERYTHING, study.deny())
    before = study.versions()
    kind = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'

    def stored(*slices: Dataset) -> requests.Response:
        data = multipart(part10(entry) for entry in slices)
        headers = {"Content-Type": kind, "Accept": "application/dicom+json"}
        return study.web(key, "/studies", "POST", data, **headers)

    # One that would replace, one that would be added, and two that have nothing to do with it.
    answer = stored(marked(1, ImageComments="replaced"), marked(3), slice_of(1, 3), slice_of(3, 1))
    assert answer.status_code == 202, answer.text
    failed = orjson.loads(answer.content)["00081198"]["Value"]
    assert {values(entry, "00081155")[0] for entry in failed} == {uid(1, 2, 1), uid(1, 2, 3)}
    assert {values(entry, "00081197")[0] for entry in failed} == {0x0124}
    kept = orjson.loads(answer.content)["00081199"]["Value"]
    assert {values(entry, "00081155")[0] for entry in kept} == {uid(1, 1, 3), uid(1, 3, 1)}
    assert stored(marked(1, ImageComments="replaced")).status_code == 409
    assert study.versions()[1] == before[1]
    assert len(study.versions()[0]) == 2


def test_an_import_does_not_reach_what_is_denied_to_whoever_started_it(study: Study) -> None:
    folder = f"import-{study.datastore}"
    fill(
        study.server, folder, [marked(1, ImageComments="replaced"), slice_of(1, 1, ImageComments="replaced"), marked(3)]
    )
    passing = allow("iam:PassRole")
    # The tags are those at the commit, the policies those at the start.
    study.client.tag_resource(resourceArn=study.arn(study.denied), tags={"Ward": "3"})
    by_tag = study.deny(Resource="*", Condition=tagged("Ward", "${aws:PrincipalTag/Ward}"))
    by_name = study.deny(Condition={"StringLike": {"aws:username": "user-*"}, "Bool": {"aws:SecureTransport": "false"}})
    study.server.bucket("results")
    before = study.versions()
    for statement in (by_name, study.deny(Resource="*", Condition=tagged("ward", "3")), by_tag):
        client = study.native(study.user(EVERYTHING, passing, statement))
        job = client.start_dicom_import_job(
            datastoreId=study.datastore,
            dataAccessRoleArn=role_arn("importing"),
            inputS3Uri=f"s3://{INPUT}/{folder}/",
            outputS3Uri="s3://results/",
        )["jobId"]
        outcome = outcome_of(study.server, finished_job(study.client, study.datastore, job))
        failed = {line["inputFile"].rpartition("/")[2]: line["exception"] for line in outcome.failure}
        if statement is by_tag:
            # The user has no such tag, so that the statement denies nothing.
            assert failed == {}
            continue
        assert failed.keys() == {"00000.dcm", "00002.dcm"}
        assert all("denies the image set" in error["message"] for error in failed.values())
        assert study.versions()[1] == before[1]
    assert len(study.versions()[1]) == len(before[1]) + 1
    assert len(study.versions()[0]) == len(before[0]) + 3


def test_searches_are_those_of_a_data_store_without_what_is_denied(study: Study) -> None:
    """What is denied is neither found, nor shown or counted in what is above it, nor skipped by an offset."""
    modalities, days = ("CT", "MR", "PT"), ("20240102", "20240103")
    slices = [
        slice_of(
            series,
            number,
            study=number_of_study,
            Modality=modalities[(series + number_of_study) % 3],
            StudyDate=days[number_of_study % 2],
            SeriesDescription=f"{number_of_study}-{series}",
        )
        for number_of_study in range(2, 8)
        for series in range(1, 4)
        for number in (1, 2)
    ]
    denied = {(str(entry.StudyInstanceUID), str(entry.SeriesInstanceUID)) for entry in slices[::5]}
    denied |= {(uid(3), uid(3, series)) for series in (1, 2, 3)} | {(uid(1), uid(1, 2))}
    left = active_datastore(study.client)
    own = [slice_of(1, 1), slice_of(1, 2)]
    for datastore, some in (
        (study.datastore, slices),
        (left, [e for e in own + slices if (str(e.StudyInstanceUID), str(e.SeriesInstanceUID)) not in denied]),
    ):
        for number in range(1, 8):
            files = [part10(entry) for entry in some if entry.StudyInstanceUID == uid(number)]
            assert not files or store(study.server, datastore, files).status_code == 200
    everything = searched(study.client, study.datastore)
    uids = {
        entry["imageSetId"]: (entry["DICOMTags"]["DICOMStudyInstanceUID"], entry["DICOMTags"]["DICOMSeriesInstanceUID"])
        for entry in everything
    }
    resources = [study.arn(image_set) for image_set, pair in uids.items() if pair in denied]
    key = study.user(EVERYTHING, study.deny(Resource=resources))
    alone = replace(study, datastore=left)
    queries = ["", "ModalitiesInStudy=MR", "Modality=PT,CT", "StudyDate=20240103", "PatientName=Roe*", "SeriesNumber=2"]
    queries += ["includefield=all", "includefield=SeriesDescription&ModalitiesInStudy=CT", f"StudyInstanceUID={uid(4)}"]
    queries += [f"limit={limit}&offset={offset}" for limit, offset in ((1, 0), (3, 2), (5, 11), (100, 13))]
    for path in ("/studies", "/series", "/instances", f"/studies/{uid(4)}/series", f"/studies/{uid(3)}/instances"):
        for query in queries:
            if path == "/studies" and query.startswith(("Modality=", "SeriesNumber")):
                continue
            seen, expected = study.web(key, f"{path}?{query}"), alone.web(study.server.key(), f"{path}?{query}")
            told = [
                sorted(json.dumps(entry, sort_keys=True).replace(where, "X") for entry in answer.json())
                for answer, where in ((seen, study.datastore), (expected, left))
            ]
            assert (told[0], seen.headers.get("Warning")) == (told[1], expected.headers.get("Warning")), (path, query)
