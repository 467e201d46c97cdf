"""Users with limited policies at both APIs: what they may do, and in which words they are refused."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError

from support.clients.dicomweb import SignedRequests, root, store
from support.clients.dicomweb import part10 as file_of
from support.clients.signed_http import send_signed
from support.files.synthetic import slice_of, uid
from support.identities.users_and_roles import UsersAndRoles, allow, deny, role_arn, user_arn
from support.servers import ServerProcess, active_datastore, wait_for

PREFIX = "arn:aws:medical-imaging:us-east-1:000000000000:datastore/"
STUDY, SERIES = "medical-imaging:StudyInstanceUID", "medical-imaging:SeriesInstanceUID"
Key = tuple[str, str]


@pytest.fixture(scope="module")
def world(embedded_world: UsersAndRoles) -> UsersAndRoles:
    return embedded_world


@pytest.fixture(scope="module")
def root_client(server: ServerProcess) -> Any:
    return server.client()


@pytest.fixture(scope="module")
def datastore(server: ServerProcess, root_client: Any) -> str:
    """A data store with study 1 (series 1 and 2) and study 2."""
    made = active_datastore(root_client)
    slices = [slice_of(1, 1), slice_of(2, 1), slice_of(1, 1, study=2, PatientID="P-2")]
    assert store(server, made, [file_of(entry) for entry in slices]).status_code == 200
    return made


@pytest.fixture(scope="module")
def image_set(root_client: Any, datastore: str) -> str:
    found = root_client.search_image_sets(
        datastoreId=datastore,
        searchCriteria={
            "filters": [{"values": [{"DICOMSeriesInstanceUID": uid(1, 1)}], "operator": "EQUAL"}],
        },
    )
    (summary,) = found["imageSetsMetadataSummaries"]
    return str(summary["imageSetId"])


def client_of(world: UsersAndRoles, key: Key) -> Any:
    return world.client("medical-imaging", key)


def refused(call: Any, **parameters: Any) -> str:
    """The message of an AccessDeniedException."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    response = caught.value.response
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == ("AccessDeniedException", 403)
    return str(response["Error"]["Message"])


def denial(call: Any, **parameters: Any) -> str:
    """The message of an AccessDeniedException; empty where it is carried out."""
    try:
        call(**parameters)
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDeniedException":
            raise
        return str(error.response["Error"]["Message"])
    return ""


def get(server: ServerProcess, key: Key, datastore: str, path: str, method: str = "GET") -> requests.Response:
    return requests.request(
        method,
        root(server, datastore) + path,
        auth=SignedRequests(server, key=key),
        headers={"Accept": "*/*"},
        timeout=60,
    )


def test_a_refusal_is_in_the_words_of_aws(world: UsersAndRoles, datastore: str) -> None:
    key = world.user("reader", allow("medical-imaging:Get*"), deny("medical-imaging:GetDICOMImportJob"))
    client = client_of(world, key)
    assert client.get_datastore(datastoreId=datastore)["datastoreProperties"]["datastoreId"] == datastore
    who = f"User: {user_arn('reader')} is not authorized to perform: medical-imaging:"
    assert refused(client.delete_datastore, datastoreId=datastore) == (
        f"{who}DeleteDatastore on resource: {PREFIX}{datastore} "
        "because no identity-based policy allows the medical-imaging:DeleteDatastore action"
    )
    assert refused(client.list_datastores) == (
        f"{who}ListDatastores on resource: * "
        "because no identity-based policy allows the medical-imaging:ListDatastores action"
    )
    assert refused(client.get_dicom_import_job, datastoreId=datastore, jobId="1") == (
        f"{who}GetDICOMImportJob on resource: {PREFIX}{datastore} with an explicit deny in an identity-based policy"
    )


def test_a_permissions_boundary_narrows_and_is_named(world: UsersAndRoles, datastore: str) -> None:
    client = client_of(world, world.user("bounded", allow("medical-imaging:*")))
    client.list_datastores()
    read_only = "arn:aws:iam::aws:policy/AWSHealthImagingReadOnlyAccess"
    world.bound("bounded", read_only)
    tag = {"resourceArn": f"{PREFIX}{datastore}", "tags": {"note": "x"}}
    message = wait_for(lambda: denial(client.tag_resource, **tag), "the boundary to be known")
    assert message.endswith("because no permissions boundary allows the medical-imaging:TagResource action")
    client.get_datastore(datastoreId=datastore)


def test_only_the_resources_of_the_policy(world: UsersAndRoles, datastore: str, image_set: str) -> None:
    own = f"{PREFIX}{datastore}"
    client = client_of(world, world.user("of-store", allow("medical-imaging:*", own)))
    client.get_datastore(datastoreId=datastore)
    # What is there is refused as what is not.
    for other in ("0" * 32, "f" * 32):
        assert f"on resource: {PREFIX}{other} because" in refused(client.get_datastore, datastoreId=other)
    # An image set is a resource beside its data store: both must be allowed.
    target = {"datastoreId": datastore, "imageSetId": image_set}
    assert f"{own}/imageset/{image_set} because" in refused(client.get_image_set, **target)
    both = client_of(world, world.user("of-both", allow("medical-imaging:Get*", [own, f"{own}/imageset/*"])))
    assert both.get_image_set(**target)["imageSetId"] == image_set
    only = client_of(world, world.user("of-set", allow("medical-imaging:*", f"{own}/imageset/{image_set}")))
    assert f"{own} because" in refused(only.get_image_set, **target)
    assert only.list_tags_for_resource(resourceArn=f"{own}/imageset/{image_set}")["tags"] == {}


def test_tags_decide_and_a_changed_tag_counts_at_once(
    world: UsersAndRoles, root_client: Any, datastore: str, image_set: str
) -> None:
    condition = {"StringEquals": {"aws:ResourceTag/Ward": "${aws:PrincipalTag/ward}"}}
    key = world.user("of-ward", allow("medical-imaging:*", Condition=condition), tags={"ward": "3"})
    client = client_of(world, key)
    arns = f"{PREFIX}{datastore}", f"{PREFIX}{datastore}/imageset/{image_set}"
    target = {"datastoreId": datastore, "imageSetId": image_set}

    assert arns[0] in refused(client.get_image_set, **target)
    root_client.tag_resource(resourceArn=arns[0], tags={"ward": "3"})
    client.get_datastore(datastoreId=datastore)
    # The image set needs the same tag as its data store.
    assert arns[1] in refused(client.get_image_set, **target)
    root_client.tag_resource(resourceArn=arns[1], tags={"ward": "3"})
    client.get_image_set(**target)
    root_client.tag_resource(resourceArn=arns[1], tags={"ward": "4"})
    assert arns[1] in refused(client.get_image_set, **target)
    root_client.untag_resource(resourceArn=arns[0], tagKeys=["ward"])
    root_client.untag_resource(resourceArn=arns[1], tagKeys=["ward"])
    assert arns[0] in refused(client.get_image_set, **target)


@pytest.mark.slow
def test_tags_are_looked_up_in_a_database_elsewhere_too(postgresql_world: UsersAndRoles) -> None:
    server = postgresql_world.server
    datastore = active_datastore(server.client())
    tagged = {"StringEquals": {"aws:ResourceTag/ward": "3"}}
    client = client_of(postgresql_world, postgresql_world.some_user(allow("medical-imaging:*", Condition=tagged)))
    assert f"{PREFIX}{datastore}" in refused(client.get_datastore, datastoreId=datastore)
    server.client().tag_resource(resourceArn=f"{PREFIX}{datastore}", tags={"ward": "3"})
    client.get_datastore(datastoreId=datastore)
    # What no ARN can be is no reason to fail.
    key = postgresql_world.some_user(allow("*", Condition=tagged))
    assert send_signed(server, "GET", "/datastore/%00%C3%A4", key=key).status == 403


def test_tags_in_the_request_decide(world: UsersAndRoles, datastore: str) -> None:
    create = allow(
        "medical-imaging:CreateDatastore",
        Condition={
            "StringEquals": {"aws:RequestTag/ward": ["3", "4"]},
            "ForAllValues:StringEquals": {"aws:TagKeys": ["ward"]},
        },
    )
    tag = allow(
        ["medical-imaging:TagResource", "medical-imaging:UntagResource"],
        Condition={"ForAllValues:StringLike": {"aws:TagKeys": ["my-*"]}, "Null": {"aws:TagKeys": "false"}},
    )
    new = allow("medical-imaging:TagResource", f"{PREFIX}*", Condition={"StringEquals": {"aws:RequestTag/ward": "3"}})
    client = client_of(world, world.user("tagger", create, tag, new))
    for tags in ({}, {"ward": "5"}, {"ward": "3", "cost": "1"}, {"Cost": "1"}):
        assert "CreateDatastore on resource: *" in refused(client.create_datastore, tags=tags)
    assert client.create_datastore(tags={"ward": "3"})["datastoreStatus"] == "CREATING"
    assert f"TagResource on resource: {PREFIX}* because" in refused(client.create_datastore, tags={"ward": "4"})
    arn = f"{PREFIX}{datastore}"
    client.tag_resource(resourceArn=arn, tags={"my-note": "x"})
    assert arn in refused(client.tag_resource, resourceArn=arn, tags={"my-note": "x", "ward": "4"})
    assert arn in refused(client.untag_resource, resourceArn=arn, tagKeys=["ward"])
    client.untag_resource(resourceArn=arn, tagKeys=["my-note"])


def test_a_data_store_with_tags_needs_both_actions(world: UsersAndRoles, root_client: Any) -> None:
    create = allow("medical-imaging:CreateDatastore")
    plain = client_of(world, world.user("plain-maker", create))
    denied = client_of(world, world.user("maker-not-tagger", create, allow("*"), deny("medical-imaging:TagResource")))
    before = len(root_client.list_datastores()["datastoreSummaries"])
    for client, reason in ((plain, "because no identity-based policy"), (denied, "with an explicit deny")):
        assert f"TagResource on resource: {PREFIX}* {reason}" in refused(client.create_datastore, tags={"a": "b"})
    assert len(root_client.list_datastores()["datastoreSummaries"]) == before
    for client in (plain, denied):
        assert client.create_datastore()["datastoreStatus"] == "CREATING"


def test_who_has_no_permission_learns_nothing_of_the_body(server: ServerProcess, world: UsersAndRoles) -> None:
    nobody = world.user("lister-only", allow("medical-imaging:ListDatastores"))
    mapper = world.user(
        "denied-tags",
        allow("medical-imaging:*"),
        {**deny("medical-imaging:CreateDatastore"), "Condition": {"StringEquals": {"aws:RequestTag/ward": "3"}}},
    )
    bodies = [b"{", b"", b"[]", b'{"clientToken": 5}', b'{"clientToken": "t", "tags": {"ward": "3"}}']
    answers = [send_signed(server, "POST", "/datastore", body, key=nobody) for body in bodies]
    ((status, message),) = {(answer.status, answer.message) for answer in answers}
    assert status == 403
    assert "CreateDatastore on resource: * because no identity-based policy" in message
    # Who may with other tags is told what is wrong with the request, and refused for the tag.
    codes = [send_signed(server, "POST", "/datastore", body, key=mapper).status for body in bodies]
    assert codes == [400, 400, 400, 400, 403]


def test_import_jobs_need_permission_to_pass_their_role(world: UsersAndRoles, datastore: str) -> None:
    service = {"StringEquals": {"iam:PassedToService": "medical-imaging.amazonaws.com"}}
    start = allow("medical-imaging:StartDICOMImportJob", f"{PREFIX}{datastore}")
    job = {
        "jobName": "j",
        "datastoreId": datastore,
        "inputS3Uri": "s3://nothing-there/in/",
        "outputS3Uri": "s3://nothing-there/out/",
    }
    without = client_of(world, world.user("starter", start))
    assert refused(without.start_dicom_import_job, dataAccessRoleArn=role_arn("import"), **job) == (
        f"User: {user_arn('starter')} is not authorized to perform: iam:PassRole on resource: {role_arn('import')} "
        "because no identity-based policy allows the iam:PassRole action"
    )
    passing = allow("iam:PassRole", role_arn("import"), Condition=service)
    client = client_of(world, world.user("passer", start, passing))
    assert role_arn("other") in refused(client.start_dicom_import_job, dataAccessRoleArn=role_arn("other"), **job)
    elsewhere = {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
    other = client_of(world, world.user("other-passer", start, allow("iam:PassRole", Condition=elsewhere)))
    assert "iam:PassRole" in refused(other.start_dicom_import_job, dataAccessRoleArn=role_arn("import"), **job)


@pytest.mark.parametrize(
    ("name", "condition", "allowed"),
    [
        ("at-home", {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, True),
        ("abroad", {"NotIpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, False),
        ("in-clear", {"Bool": {"aws:SecureTransport": False}}, True),
        ("with-tls", {"Bool": {"aws:SecureTransport": True}}, False),
        ("sdk", {"StringLike": {"aws:UserAgent": "Boto3/*"}}, True),
        ("browser", {"StringLike": {"aws:UserAgent": "Mozilla/*"}}, False),
        ("now", {"DateGreaterThan": {"aws:CurrentTime": "2024-01-01T00:00:00Z"}}, True),
        ("then", {"NumericLessThan": {"aws:EpochTime": 1704067200}}, False),
        ("here", {"StringEquals": {"aws:RequestedRegion": "us-east-1"}}, True),
        ("there", {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}, False),
        ("me", {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/me"}}, True),
        ("no-me", {"StringEquals": {"aws:username": "me"}}, False),
        ("user", {"StringEquals": {"aws:PrincipalType": "User", "aws:PrincipalAccount": "000000000000"}}, True),
        ("lasting", {"Null": {"aws:TokenIssueTime": "true"}}, True),
    ],
)
def test_facts_of_the_request(world: UsersAndRoles, name: str, condition: Any, allowed: bool) -> None:
    client = client_of(world, world.user(name, allow("medical-imaging:ListDatastores", Condition=condition)))
    if allowed:
        client.list_datastores()
    else:
        assert "no identity-based policy" in refused(client.list_datastores)


def test_studies_and_series_decide_at_the_dicomweb_door(
    server: ServerProcess, world: UsersAndRoles, datastore: str
) -> None:
    of_study = world.user(
        "of-study",
        allow(["medical-imaging:*DICOM*"], f"{PREFIX}{datastore}", Condition={"StringEquals": {STUDY: uid(1)}}),
    )
    series, instance = f"/studies/{uid(1)}/series/{uid(1, 1)}", f"/instances/{uid(1, 1, 1)}"
    for path in (
        f"/studies/{uid(1)}/series",
        f"{series}/instances",
        f"{series}/metadata",
        f"{series}{instance}",
        series,
    ):
        assert get(server, of_study, datastore, path).status_code == 200, path
    other = f"/studies/{uid(2)}/series/{uid(2, 1)}"
    for path in (f"/studies/{uid(2)}/series", f"{other}/metadata", "/studies", "/series", f"/studies/{uid(9)}/series"):
        assert get(server, of_study, datastore, path).status_code == 403, path
    answer = get(server, of_study, datastore, f"{other}/metadata")
    assert answer.json()["message"] == (
        f"User: {user_arn('of-study')} is not authorized to perform: medical-imaging:GetDICOMSeriesMetadata on resource: "
        f"{PREFIX}{datastore} because no identity-based policy allows the medical-imaging:GetDICOMSeriesMetadata action"
    )
    # A whole study is allowed where the study is, whichever series it has.
    assert get(server, of_study, datastore, f"/studies/{uid(1)}/metadata").status_code == 200


def test_who_may_not_see_a_series_may_not_have_its_study_as_a_whole(
    server: ServerProcess, world: UsersAndRoles, datastore: str
) -> None:
    hidden = world.user(
        "not-series-2",
        allow("medical-imaging:*"),
        {**deny("medical-imaging:*"), "Condition": {"StringEquals": {SERIES: uid(1, 2)}}},
    )
    study = f"/studies/{uid(1)}"
    assert get(server, hidden, datastore, f"{study}/series/{uid(1, 1)}/metadata").status_code == 200
    assert get(server, hidden, datastore, f"{study}/series/{uid(1, 2)}/metadata").status_code == 403
    for path in (study, f"{study}/metadata", f"{study}/rendered", f"{study}/thumbnail"):
        answer = get(server, hidden, datastore, path)
        assert answer.status_code == 403, path
        assert "with an explicit deny in an identity-based policy" in answer.json()["message"]
    of_series = world.user("of-series", allow("medical-imaging:*", Condition={"StringEquals": {SERIES: uid(1, 1)}}))
    assert get(server, of_series, datastore, f"{study}/series/{uid(1, 1)}").status_code == 200
    assert get(server, of_series, datastore, study).status_code == 403


def test_a_store_of_another_study_is_refused_before_its_body(
    server: ServerProcess, world: UsersAndRoles, datastore: str
) -> None:
    condition = {"StringEquals": {STUDY: uid(1)}}
    key = world.user("storer", allow("medical-imaging:StoreDICOM*", Condition=condition))
    body = {"Content-Type": "application/dicom", "Accept": "application/dicom+json"}

    def stored(path: str) -> int:
        return requests.post(
            root(server, datastore) + path,
            data=file_of(slice_of(1, 2)),
            auth=SignedRequests(server, key=key),
            headers=body,
            timeout=60,
        ).status_code

    assert stored(f"/studies/{uid(1)}") == 200
    assert stored(f"/studies/{uid(2)}") == 403
    assert stored("/studies") == 403


def test_an_image_set_that_is_denied_is_not_read_through_dicomweb(
    server: ServerProcess, world: UsersAndRoles, datastore: str, image_set: str
) -> None:
    arn = f"{PREFIX}{datastore}/imageset/{image_set}"
    denied = world.user("denied-set", allow("medical-imaging:*"), deny("medical-imaging:*", arn))
    path = f"/studies/{uid(1)}/series/{uid(1, 1)}/metadata"
    for query in ("", f"?imageSetId={image_set}"):
        answer = get(server, denied, datastore, path + query)
        assert answer.status_code == 403
        assert arn in answer.json()["message"]
    # As at AWS, the data store is all that must be allowed.
    of_store = world.user("dicomweb-of-store", allow("medical-imaging:*", f"{PREFIX}{datastore}"))
    assert get(server, of_store, datastore, f"{path}?imageSetId={image_set}").status_code == 200


def test_searches_across_series_by_their_own_and_by_the_classic_action(
    server: ServerProcess, world: UsersAndRoles, datastore: str, image_set: str
) -> None:
    classic = world.user("classic", allow("medical-imaging:SearchDICOMSeries"))
    assert get(server, classic, datastore, "/series").status_code == 200
    assert get(server, classic, datastore, "/instances").status_code == 403
    own = world.user("own-name", allow("medical-imaging:SearchDICOMAllInstances"))
    assert get(server, own, datastore, "/instances").status_code == 200
    assert get(server, own, datastore, "/series").status_code == 403
    denied = world.user(
        "denied-own", allow("medical-imaging:SearchDICOMSeries"), deny("medical-imaging:SearchDICOMAllSeries")
    )
    assert get(server, denied, datastore, "/series").status_code == 403
    # What the classic action lets in is still what its own name denies.
    in_part = world.user(
        "denied-own-set",
        allow("medical-imaging:SearchDICOMSeries"),
        deny("medical-imaging:SearchDICOMAllSeries", f"{PREFIX}{datastore}/imageset/{image_set}"),
    )
    found = {entry["0020000E"]["Value"][0] for entry in get(server, in_part, datastore, "/series").json()}
    assert uid(1, 2) in found
    assert uid(1, 1) not in found
    narrow = world.user(
        "narrow-classic",
        allow("medical-imaging:SearchDICOM*"),
        {**deny("medical-imaging:SearchDICOMInstances"), "Condition": {"StringEquals": {STUDY: uid(2)}}},
    )
    assert get(server, narrow, datastore, f"/studies/{uid(1)}/series/{uid(1, 1)}/instances").status_code == 200


def test_what_dicomweb_deletes_must_be_allowed_for_each_image_set(
    server: ServerProcess, world: UsersAndRoles, datastore: str
) -> None:
    study = f"/studies/{uid(2)}"
    of_store = world.user("deleter", allow("medical-imaging:DeleteImageSet", f"{PREFIX}{datastore}"))
    answer = get(server, of_store, datastore, study, "DELETE")
    assert answer.status_code == 403
    assert f"{PREFIX}{datastore}/imageset/" in answer.json()["message"]
    assert get(server, server.key(), datastore, f"{study}/metadata").status_code == 200
    both = [f"{PREFIX}{datastore}", f"{PREFIX}{datastore}/imageset/*"]
    deleter = world.user("full-deleter", allow("medical-imaging:DeleteImageSet", both))
    assert get(server, deleter, datastore, study, "DELETE").status_code == 204
    assert get(server, server.key(), datastore, f"{study}/metadata").status_code == 404
