"""Data stores in which each image set must be allowed: lists show what a decision on each image set allows."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError
from sqlalchemy import select

from hounsfield.iam.identities.restricted_datastores import restrict_datastore, unrestrict_datastore
from hounsfield.storage.db.image_set_tables import image_sets, tags
from hounsfield.storage.db.study_tables import studies
from hounsfield.storage.db.tag_table import image_set_tags
from support.clients.dicomweb import BOUNDARY, SignedRequests, multipart, part10, root, store, values
from support.files.synthetic import slice_of, uid
from support.identities.users_and_roles import Statement, UsersAndRoles, allow
from support.servers import ServerProcess, active_datastore, wait_for

STUDIES, SERIES = 4, 3
STUDY, SERIES_UID, INSTANCE = "0020000D", "0020000E", "00080018"
Key = tuple[str, str]


@dataclass(frozen=True)
class Hospital:
    """A restricted data store with four studies of three series, and tags of their image sets."""

    server: ServerProcess
    world: UsersAndRoles
    client: Any
    datastore: str
    by_series: dict[str, str]

    @property
    def arn(self) -> str:
        return f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{self.datastore}"

    def image_set(self, study: int, series: int) -> str:
        return self.by_series[uid(study, series)]

    def of(self, image_set: str) -> str:
        return f"{self.arn}/imageset/{image_set}"

    def tag(self, study: int, series: int, **given: str) -> None:
        self.client.tag_resource(resourceArn=self.of(self.image_set(study, series)), tags=given)

    def untag(self, study: int, series: int, *keys: str) -> None:
        self.client.untag_resource(resourceArn=self.of(self.image_set(study, series)), tagKeys=list(keys))

    def user(self, *statements: Statement) -> Key:
        """A user with everything on the data store itself, and statements about image sets."""
        return self.world.some_user(allow("medical-imaging:*", self.arn), *statements)

    def native(self, key: Key) -> Any:
        return self.world.client("medical-imaging", key)

    def web(self, key: Key, path: str) -> requests.Response:
        return requests.get(
            f"{root(self.server, self.datastore)}{path}",
            auth=SignedRequests(self.server, key=key),
            headers={"Accept": "*/*"},
            timeout=60,
        )

    def listed(self, key: Key, **criteria: Any) -> list[str]:
        """All image sets that SearchImageSets gives, page by page, two at a time."""
        client, found, token = self.native(key), [], {}
        while True:
            page = client.search_image_sets(datastoreId=self.datastore, searchCriteria=criteria, maxResults=2, **token)
            found += [str(entry["imageSetId"]) for entry in page["imageSetsMetadataSummaries"]]
            if not page.get("nextToken"):
                return found
            token = {"nextToken": page["nextToken"]}

    def stow(self, key: Key, series: int, number: int, study: int) -> int:
        """Store an instance, and return the status of the answer."""
        return requests.post(
            f"{root(self.server, self.datastore)}/studies",
            auth=SignedRequests(self.server, key=key),
            data=multipart([file_of(study, series, number)]),
            headers={"Content-Type": f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'},
            timeout=60,
        ).status_code

    def found(self, key: Key, path: str, tag: str) -> list[str]:
        """Values of an attribute in the results of a DICOMweb search, page by page."""
        found: list[str] = []
        while True:
            answer = self.web(key, f"{path}{'&' if '?' in path else '?'}limit=2&offset={len(found)}")
            assert answer.status_code in (200, 204), answer.text
            page = [value for item in answer.json() for value in values(item, tag)] if answer.content else []
            found += page
            if len(page) < 2:
                return found


def series_of(client: Any, datastore: str) -> dict[str, str]:
    """All image sets by the UIDs of their series."""
    found = client.search_image_sets(datastoreId=datastore, maxResults=50)["imageSetsMetadataSummaries"]
    return {entry["DICOMTags"]["DICOMSeriesInstanceUID"]: str(entry["imageSetId"]) for entry in found}


def file_of(study: int, series: int, number: int) -> bytes:
    elements = {"StudyDate": f"2024010{study}", "PatientID": f"P-{study % 2}", "PatientName": f"Name^{study}"}
    return part10(slice_of(series, number, study=study, **elements))


@pytest.fixture(scope="module")
def hospital(server: ServerProcess, world: UsersAndRoles) -> Hospital:
    client = server.client()
    datastore = active_datastore(client)
    for study in range(1, STUDIES + 1):
        for series in range(1, SERIES + 1):
            assert store(server, datastore, [file_of(study, series, 1)]).status_code == 200
    made = Hospital(server, world, client, datastore, series_of(client, datastore))
    assert len(made.by_series) == STUDIES * SERIES
    restrict_datastore(world.repository, datastore)
    nobody = made.user()
    wait_for(lambda: made.listed(nobody) == [], "the server to know that the data store is restricted")
    return made


def ward(number: str) -> Statement:
    return allow("medical-imaging:*", Condition={"StringEquals": {"aws:ResourceTag/ward": number}})


def refused(call: Any, **parameters: Any) -> bool:
    try:
        call(**parameters)
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDeniedException":
            raise
        return True
    return False


@pytest.fixture
def own(hospital: Hospital) -> Iterator[Key]:
    """A user of ward 3: all of study 1, one series of study 2."""
    for series in range(1, SERIES + 1):
        hospital.tag(1, series, Ward="3")
    hospital.tag(2, 2, ward="3")
    hospital.tag(3, 1, ward="4")
    yield hospital.user(ward("3"))
    for study, series in ((1, 1), (1, 2), (1, 3), (2, 2), (3, 1)):
        hospital.untag(study, series, "Ward", "ward")


def test_lists_show_what_a_tag_allows(hospital: Hospital, own: Key) -> None:
    mine = [hospital.image_set(2, 2), *(hospital.image_set(1, series) for series in (3, 2, 1))]
    assert hospital.listed(own) == mine
    for field in ("createdAt", "DICOMStudyDateAndTime"):
        for order in ("ASC", "DESC"):
            found = hospital.listed(own, sort={"sortField": field, "sortOrder": order})
            assert sorted(found) == sorted(mine)
    equal = {"values": [{"DICOMPatientId": "P-1"}], "operator": "EQUAL"}
    assert sorted(hospital.listed(own, filters=[equal])) == sorted(mine[1:])
    primary = {"values": [{"isPrimary": True}], "operator": "EQUAL"}
    assert hospital.listed(own, filters=[primary]) == mine
    assert hospital.found(own, "/studies", STUDY) == [uid(2), uid(1)]
    assert hospital.found(own, "/studies?PatientName=name*", STUDY) == [uid(2), uid(1)]
    assert hospital.found(own, "/studies?StudyDate=20240102", STUDY) == [uid(2)]
    assert hospital.found(own, "/studies?StudyInstanceUID=" + uid(3), STUDY) == []
    assert sorted(hospital.found(own, "/series", SERIES_UID)) == sorted([uid(1, 1), uid(1, 2), uid(1, 3), uid(2, 2)])
    assert len(hospital.found(own, "/instances", INSTANCE)) == 4
    assert hospital.found(own, f"/studies/{uid(2)}/series", SERIES_UID) == [uid(2, 2)]
    assert len(hospital.found(own, f"/studies/{uid(2)}/instances", INSTANCE)) == 1
    (study,) = hospital.web(own, f"/studies?StudyInstanceUID={uid(2)}").json()
    assert study["00201206"]["Value"] == [1]
    nobody = hospital.user()
    assert hospital.listed(nobody, filters=[equal]) == []
    assert hospital.listed(nobody) == hospital.found(nobody, "/studies", STUDY) == []


def test_no_order_tells_about_what_is_hidden(hospital: Hospital, own: Key) -> None:
    plain = hospital.web(own, "/studies")
    ordered = hospital.web(own, "/studies?orderby=-PatientName")
    assert len(plain.json()) > 1
    assert ordered.json() == plain.json()
    assert "orderby" in ordered.headers["warning"]
    assert "warning" not in hospital.web(hospital.server.key(), "/studies?orderby=-PatientName").headers


def test_what_is_not_allowed_is_refused_on_every_path(hospital: Hospital, own: Key) -> None:
    hidden, shown = hospital.image_set(2, 1), hospital.image_set(2, 2)
    series = f"/studies/{uid(2)}/series/"
    for path in ("", "/metadata", f"/instances/{uid(2, 1, 1)}", f"/instances/{uid(2, 1, 1)}/frames/1"):
        assert hospital.web(own, f"{series}{uid(2, 1)}{path}").status_code == 403, path
        assert hospital.web(own, f"{series}{uid(2, 2)}{path.replace(uid(2, 1, 1), uid(2, 2, 1))}").status_code == 200
    (item,) = hospital.web(own, f"/studies/{uid(2)}/metadata").json()
    assert values(item, SERIES_UID) == [uid(2, 2)]
    assert hospital.web(own, f"/studies/{uid(4)}/metadata").status_code == 403
    client = hospital.native(own)
    for call, more in (
        (client.get_image_set, {"datastoreId": hospital.datastore}),
        (client.get_image_set_metadata, {"datastoreId": hospital.datastore}),
    ):
        assert refused(call, imageSetId=hidden, **more)
        assert not refused(call, imageSetId=shown, **more)
    # Nobody gives themselves what they do not have: what is tagged must be allowed as it is.
    assert refused(client.tag_resource, resourceArn=hospital.of(hidden), tags={"ward": "3"})


def test_an_instance_goes_into_what_is_allowed_and_into_what_is_new(hospital: Hospital, own: Key) -> None:
    assert hospital.stow(own, 1, 2, study=4) == 409
    assert hospital.stow(own, 2, 2, study=2) == 200
    assert hospital.stow(own, 1, 1, study=9) == 200
    assert uid(9) not in hospital.found(own, "/studies", STUDY)


def test_tags_count_at_once_and_the_setting_within_a_second(hospital: Hospital, own: Key) -> None:
    hospital.tag(4, 1, ward="3")
    assert hospital.image_set(4, 1) in hospital.listed(own)
    assert uid(4) in hospital.found(own, "/studies", STUDY)
    hospital.tag(4, 1, ward="5")
    assert hospital.image_set(4, 1) not in hospital.listed(own)
    hospital.untag(4, 1, "ward")
    assert uid(4) not in hospital.found(own, "/studies", STUDY)
    unrestrict_datastore(hospital.world.repository, hospital.datastore)
    wait_for(lambda: len(hospital.listed(own)) >= STUDIES * SERIES, "all to be shown")
    restrict_datastore(hospital.world.repository, hospital.datastore)
    wait_for(lambda: len(hospital.listed(own)) <= 5, "only some to be shown")


def random_statement(source: random.Random, hospital: Hospital) -> Statement:
    one = hospital.of(source.choice(list(hospital.by_series.values())))
    operator = source.choice(["StringEquals", "StringNotEquals", "StringLike", "StringEqualsIfExists", "Null"])
    wanted = source.sample(["1", "2", "3"], 2) if operator != "Null" else [source.choice(["true", "false"])]
    condition = {operator: {f"aws:ResourceTag/{source.choice(['ward', 'team'])}": wanted}}
    return {
        "Effect": source.choice(["Allow", "Allow", "Allow", "Deny"]),
        "Action": "medical-imaging:*",
        "Resource": source.choice([f"{hospital.arn}/imageset/*", f"{hospital.arn}/imageset/*", one, f"{one[:-31]}*"]),
        **({"Condition": condition} if source.random() < 0.8 else {}),
    }


@pytest.mark.parametrize("seed", range(5))
def test_lists_show_what_is_decided_for_each_image_set(hospital: Hospital, seed: int) -> None:
    source = random.Random(seed)
    for study in range(1, STUDIES + 1):
        for series in range(1, SERIES + 1):
            hospital.untag(study, series, "ward", "team", "Ward")
            given = {key: source.choice("123") for key in ("ward", "team") if source.random() < 0.7}
            if given:
                hospital.tag(study, series, **given)
    key = hospital.user(*(random_statement(source, hospital) for _ in range(source.randint(1, 4))))
    client = hospital.native(key)
    allowed = {
        series: image_set
        for series, image_set in series_of(hospital.client, hospital.datastore).items()
        if not refused(client.get_image_set, datastoreId=hospital.datastore, imageSetId=image_set)
    }
    assert sorted(hospital.listed(key)) == sorted(allowed.values())
    assert sorted(hospital.found(key, "/series", SERIES_UID)) == sorted(allowed)
    own_studies = sorted({name[: len(uid(1))] for name in allowed})
    assert sorted(hospital.found(key, "/studies", STUDY)) == own_studies
    assert sorted(hospital.found(key, "/studies?PatientName=name*", STUDY)) == own_studies


def index_rows(hospital: Hospital) -> tuple[set[Any], set[Any]]:
    """The rows of the index of tags of the data store, and what they would be if they were made now."""
    own = image_set_tags.c.datastore_id == hospital.datastore
    columns = [column for column in image_set_tags.c if column.name not in ("tag_key", "tag_value", "study_updated_at")]
    repeated = [image_sets.c["id" if column.name == "image_set_id" else column.name] for column in columns]
    with hospital.world.database.read() as connection:
        kept = {
            tuple(row)
            for row in connection.execute(
                select(*columns, *[image_set_tags.c[name] for name in ("tag_key", "tag_value")]).where(own)
            )
        }
        times = {
            (row.study_uid, row.study_updated_at)
            for row in connection.execute(select(image_set_tags).where(own, image_set_tags.c.is_primary))
        }
        of_arn = {
            (row.resource_arn[-32:], row.tag_key.lower(), row.tag_value)
            for row in connection.execute(select(tags).where(tags.c.resource_arn.like(f"{hospital.arn}/imageset/%")))
        }
        rows = {row[0]: tuple(row) for row in connection.execute(select(*repeated))}
        made = {(*rows[name], key, value) for name, key, value in of_arn}
        changed = {
            (row.study_uid, row.updated_at)
            for row in connection.execute(select(studies).where(studies.c.datastore_id == hospital.datastore))
        }
    return kept | times, made | {entry for entry in changed if entry[0] in {uid for uid, _ in times}}


def test_the_index_of_tags_follows_what_it_is_made_of(hospital: Hospital) -> None:
    for study in range(1, STUDIES + 1):
        hospital.tag(study, 1, ward="9")
    change = b'{"SchemaVersion":1.1,"Study":{"DICOM":{"StudyDate":"20230505"}}}'
    version = hospital.client.get_image_set(datastoreId=hospital.datastore, imageSetId=hospital.image_set(1, 1))
    hospital.client.update_image_set_metadata(
        datastoreId=hospital.datastore,
        imageSetId=hospital.image_set(1, 1),
        latestVersionId=version["versionId"],
        updateImageSetMetadataUpdates={"DICOMUpdates": {"updatableAttributes": change}},
    )
    slices = [file_of(2, 1, 7), file_of(3, 2, 7)]
    assert store(hospital.server, hospital.datastore, slices).status_code == 200
    source = hospital.client.get_image_set(datastoreId=hospital.datastore, imageSetId=hospital.image_set(4, 1))
    copied = hospital.client.copy_image_set(
        datastoreId=hospital.datastore,
        sourceImageSetId=source["imageSetId"],
        copyImageSetInformation={"sourceImageSet": {"latestVersionId": source["versionId"]}},
    )["destinationImageSetProperties"]["imageSetId"]
    hospital.client.tag_resource(resourceArn=hospital.of(copied), tags={"Ward": "9"})

    def settled() -> bool:
        found = hospital.client.search_image_sets(datastoreId=hospital.datastore, maxResults=50)
        ids = [entry["imageSetId"] for entry in found["imageSetsMetadataSummaries"]]
        states = [
            hospital.client.get_image_set(datastoreId=hospital.datastore, imageSetId=name)["imageSetState"]
            for name in ids
        ]
        return set(states) == {"ACTIVE"}

    wait_for(settled, "all operations to end")
    kept, made = index_rows(hospital)
    assert kept == made
    hospital.client.delete_image_set(datastoreId=hospital.datastore, imageSetId=copied)
    wait_for(lambda: hospital.of(copied)[-32:] not in str(index_rows(hospital)[0]), "its tags to be gone")
