"""Buckets by the administration API: what is in them, and who may see it."""

from __future__ import annotations

import pytest

from support.audit_trail import audit_bytes, record_of
from support.clients.administration import administer, call, refused
from support.identities.users_and_roles import UsersAndRoles, allow, deny
from support.servers import ServerProcess

WARD = "arn:aws:s3:::walked"


@pytest.fixture(scope="module")
def bucket(server: ServerProcess) -> str:
    root = server.bucket("walked")
    for key in ("ct/1.dcm", "ct/2.dcm", "mr/deep/1.dcm", "top.dcm", "Müller, Jörg/1.dcm", "<b>bold.dcm"):
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).write_bytes(b"12345")
    (root / "empty").mkdir()
    return "walked"


def keys(answer: dict[str, list[dict[str, str]]]) -> list[str]:
    return [entry["Key"] for entry in answer["Contents"]] + [entry["Prefix"] for entry in answer["CommonPrefixes"]]


def test_buckets_are_listed(server: ServerProcess, bucket: str) -> None:
    assert {"Name": bucket} in administer(server, "ListBuckets")["Buckets"]


def test_a_bucket_is_walked_folder_by_folder(server: ServerProcess, bucket: str) -> None:
    top = administer(server, "ListObjects", Bucket=bucket, Delimiter="/")
    assert keys(top) == ["<b>bold.dcm", "top.dcm", "Müller, Jörg/", "ct/", "empty/", "mr/"]
    assert top["IsTruncated"] is False
    inside = administer(server, "ListObjects", Bucket=bucket, Delimiter="/", Prefix="ct/")["Contents"]
    assert [(entry["Key"], entry["Size"]) for entry in inside] == [("ct/1.dcm", 5), ("ct/2.dcm", 5)]
    assert inside[0]["LastModified"].endswith("Z")
    assert keys(administer(server, "ListObjects", Bucket=bucket, Prefix="mr")) == ["mr/deep/1.dcm"]
    assert keys(administer(server, "ListObjects", Bucket=bucket, Prefix="none/", Delimiter="/")) == []


def test_pages_follow_each_other(server: ServerProcess, bucket: str) -> None:
    found, token = [], None
    while True:
        more = {"ContinuationToken": token} if token else {}
        page = administer(server, "ListObjects", Bucket=bucket, MaxKeys=2, **more)
        found += keys(page)
        token = page.get("NextContinuationToken")
        assert page["IsTruncated"] is (token is not None)
        if token is None:
            break
        other = refused(server, "ListObjects", Bucket=bucket, Prefix="ct/", ContinuationToken=token)
        assert other[1] == "ValidationException"
        assert "what the same operation with the same members answered" in other[2]
    assert found == sorted(found)
    assert len(found) == 6


@pytest.mark.parametrize(
    ("members", "status", "said"),
    [
        ({"Bucket": "nowhere"}, 404, "bucket nowhere does not exist"),
        ({"Bucket": "../data"}, 400, "bucket names have letters"),
        ({"Bucket": ".."}, 400, "bucket names have letters"),
        ({"Bucket": "walked", "Prefix": "../", "Delimiter": "/"}, 400, "shortest form"),
        ({"Bucket": "walked", "Prefix": "/etc/"}, 400, "shortest form"),
        ({"Bucket": "walked", "Prefix": "a\0/"}, 400, "no control characters"),
        ({"Bucket": "walked", "Delimiter": "-"}, 400, "Delimiter must be one of /"),
        ({"Bucket": "walked", "ContinuationToken": "made-up"}, 400, "ContinuationToken must be what"),
        ({"Bucket": "walked", "MaxKeys": 1001}, 400, "MaxKeys must be 1 to 1000"),
    ],
)
def test_what_cannot_be_listed_is_said(
    server: ServerProcess, bucket: str, members: dict[str, str], status: int, said: str
) -> None:
    del bucket
    told = refused(server, "ListObjects", **members)
    assert told[0] == status
    assert said in told[2]


def test_policies_decide_about_the_bucket_and_the_prefix(
    server: ServerProcess, world: UsersAndRoles, bucket: str
) -> None:
    nobody = world.some_user(allow("s3:GetObject"))
    assert "s3:ListAllMyBuckets on resource: *" in refused(server, "ListBuckets", nobody)[2]
    told = refused(server, "ListObjects", nobody, Bucket=bucket)
    assert told[0] == 403
    assert f"s3:ListBucket on resource: {WARD}" in told[2]
    assert refused(server, "ListObjects", nobody, Bucket="nowhere")[0] == 403
    lister = world.some_user(allow("s3:ListAllMyBuckets"))
    administer(server, "ListBuckets", lister)
    own = allow("s3:ListBucket", WARD, Condition={"StringLike": {"s3:prefix": ["ct/*"]}})
    reader = world.some_user(own, deny("s3:ListBucket", "arn:aws:s3:::other"))
    assert keys(administer(server, "ListObjects", reader, Bucket=bucket, Prefix="ct/")) == ["ct/1.dcm", "ct/2.dcm"]
    assert refused(server, "ListObjects", reader, Bucket=bucket)[0] == 403
    assert refused(server, "ListObjects", reader, Bucket="other", Prefix="ct/")[0] == 403


def test_the_record_names_the_bucket_and_no_key(server: ServerProcess, bucket: str) -> None:
    listed = call(server, "ListObjects", Bucket=bucket, Prefix="Müller, Jörg/", Delimiter="/")
    record = record_of(server, listed.headers["x-amzn-requestid"])
    assert (record["eventSource"], record["eventName"]) == ("s3.amazonaws.com", "ListObjects")
    hidden = "HIDDEN_DUE_TO_SECURITY_REASONS"
    assert record["requestParameters"] == {"bucket": bucket, "prefix": hidden, "delimiter": "/"}
    assert record["resources"] == [{"accountId": "000000000000", "type": "AWS::S3::Bucket", "ARN": WARD}]
    assert record["readOnly"] is True
    assert "Müller".encode() not in audit_bytes(server)
