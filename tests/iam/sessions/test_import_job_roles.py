"""Import jobs run with their role: its trust and its policies decide, when the job starts and when it works."""

from __future__ import annotations

import pytest

from hounsfield.iam.identities.directory import Directory
from hounsfield.iam.principals import root_of
from hounsfield.iam.sessions.import_job_roles import JobRoleDeniedError, JobRoleError, JobRoles
from hounsfield.settings import SettingsError, load_settings
from hounsfield.settings.import_roles import ImportRoles
from hounsfield.storage.buckets.bucket_access import BucketAction, BucketUse
from hounsfield.storage.buckets.buckets import Buckets
from support.files.synthetic import save, slice_of
from support.identities.users_and_roles import ACCOUNT, UsersAndRoles, allow, deny, refusal, role_arn, trust
from support.servers import active_datastore, finished_job, wait_for

SERVICE = "medical-imaging.amazonaws.com"
INPUT, OUTPUT = "role-input", "role-output"
LIST = allow("s3:ListBucket", f"arn:aws:s3:::{INPUT}")
READ = allow("s3:GetObject", f"arn:aws:s3:::{INPUT}/*")
WRITE = allow("s3:PutObject", f"arn:aws:s3:::{OUTPUT}/results/*")


@pytest.fixture(scope="module")
def world(server):
    world = UsersAndRoles(server)
    for number in range(3):
        save(slice_of(number=number), server.bucket(INPUT) / f"study/{number}.dcm")
    save(slice_of(5, 5), server.bucket(INPUT) / "study/secret/5.dcm")
    server.bucket(OUTPUT)
    world.role("import-all", trust({"Service": SERVICE}), LIST, READ, WRITE)
    world.role("import-untrusted", trust({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}), LIST, READ, WRITE)
    world.role("import-nolist", trust({"Service": SERVICE}), READ, WRITE)
    world.role("import-nowrite", trust({"Service": SERVICE}), LIST, READ)
    world.role(
        "import-some", trust({"Service": SERVICE}), LIST, WRITE, READ,
        {"Effect": "Deny", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{INPUT}/study/secret/*"},
    )  # fmt: skip
    world.role(
        "import-denied", trust({"Service": SERVICE}), LIST, READ, WRITE,
        {"Effect": "Deny", "Action": "s3:*", "Resource": f"arn:aws:s3:::{OUTPUT}/results/private/*"},
        {**deny("s3:ListBucket"), "Condition": {"StringLike": {"s3:prefix": "study/secret/*"}}},
    )  # fmt: skip
    yield world
    world.close()


@pytest.fixture(scope="module")
def starter(world):
    """A client of a user who may do everything with images, and pass every role."""
    passing = allow("iam:PassRole", Condition={"StringEquals": {"iam:PassedToService": SERVICE}})
    return world.client("medical-imaging", world.user("import-starter", allow("medical-imaging:*"), passing))


@pytest.fixture(scope="module")
def datastore(starter):
    return active_datastore(starter)


def start(client, datastore, role, output=f"s3://{OUTPUT}/results/", source=f"s3://{INPUT}/study/"):
    return client.start_dicom_import_job(
        datastoreId=datastore, dataAccessRoleArn=role_arn(role), inputS3Uri=source, outputS3Uri=output
    )["jobId"]


def ended(client, datastore, role):
    job = finished_job(client, datastore, start(client, datastore, role))
    return job["jobStatus"], job.get("message", "")


def test_a_role_that_may_all_that_is_needed(starter, datastore):
    assert ended(starter, datastore, "import-all") == ("COMPLETED", "")


@pytest.mark.parametrize(
    ("role", "code", "message"),
    [
        ("import-missing", "ValidationException", "which is no role of this installation"),
        ("import-untrusted", "ValidationException", f"does not trust {SERVICE} to assume it"),
        (
            "import-nolist",
            "AccessDeniedException",
            f"perform: s3:ListBucket on bucket {INPUT} because no identity-based",
        ),
        (
            "import-nowrite",
            "AccessDeniedException",
            f"perform: s3:PutObject on bucket {OUTPUT} because no identity-based",
        ),
    ],
)
def test_what_is_refused_when_the_job_starts(starter, datastore, role, code, message):
    found = refusal(start, client=starter, datastore=datastore, role=role)
    assert found[0] == code
    assert message in found[2]


def test_another_output_location_than_the_role_may_write(starter, datastore):
    found = refusal(start, client=starter, datastore=datastore, role="import-all", output=f"s3://{OUTPUT}/other/")
    assert found[0] == "AccessDeniedException"


@pytest.mark.parametrize("spelt", ["./private", "/private", "a/../private"])
def test_another_spelling_of_a_denied_location_is_no_way_round(world, starter, datastore, spelt):
    found = refusal(
        start, client=starter, datastore=datastore, role="import-denied", output=f"s3://{OUTPUT}/results/{spelt}/"
    )
    assert found[0] == "ValidationException"
    assert "outputS3Uri cannot be used: keys in a bucket folder must be in their shortest form" in found[2]
    assert not (world.server.bucket(OUTPUT) / "results/private").exists()


@pytest.mark.parametrize("folder", ["study/secret", "study/secret/"])
def test_a_folder_that_may_not_be_listed_is_denied_with_a_slash_and_without(starter, datastore, folder):
    found = refusal(start, client=starter, datastore=datastore, role="import-denied", source=f"s3://{INPUT}/{folder}")
    assert (found[0], f"s3:ListBucket on bucket {INPUT} with an explicit deny" in found[2]) == (
        "AccessDeniedException",
        True,
    )


@pytest.mark.parametrize(
    "source", ["//study/", "/./study/", "/study/./", "/study//", "/x/../study/", "/../role-input/"]
)
def test_an_input_location_has_one_spelling(starter, datastore, source):
    found = refusal(start, client=starter, datastore=datastore, role="import-all", source=f"s3://{INPUT}{source}")
    assert found[0] == "ValidationException"
    assert "inputS3Uri cannot be used" in found[2]


def test_an_object_that_the_role_may_not_read_fails_the_job(world, starter, datastore):
    status, message = ended(starter, datastore, "import-some")
    assert status == "FAILED"
    assert message == (
        f"The role {role_arn('import-some')} is not authorized to perform: s3:GetObject on bucket {INPUT} "
        "with an explicit deny in an identity-based policy"
    )


def test_root_may_name_a_role_that_is_not_there_and_nobody_else(world, datastore):
    assert ended(world.client("medical-imaging"), datastore, "import-missing") == ("COMPLETED", "")


def test_root_is_bound_by_a_role_that_is_there(world, datastore):
    found = refusal(start, client=world.client("medical-imaging"), datastore=datastore, role="import-nolist")
    assert found[0] == "AccessDeniedException"


def test_conditions_of_the_trust_policy_name_the_data_store(world, starter, datastore):
    arn = starter.get_datastore(datastoreId=datastore)["datastoreProperties"]["datastoreArn"]
    here = {"ArnLike": {"aws:SourceArn": arn}, "StringEquals": {"aws:SourceAccount": ACCOUNT}}
    elsewhere = {"ArnLike": {"aws:SourceArn": arn[:-1] + ("a" if arn[-1] != "a" else "b")}}
    world.role("import-here", trust({"Service": SERVICE}, Condition=here), LIST, READ, WRITE)
    world.role("import-elsewhere", trust({"Service": SERVICE}, Condition=elsewhere), LIST, READ, WRITE)
    wait_for(lambda: code_of(starter, datastore, "import-here") == "", "the role to be known")
    assert code_of(starter, datastore, "import-elsewhere") == "ValidationException"


def code_of(client, datastore, role):
    try:
        start(client, datastore, role)
    except client.exceptions.ClientError as error:
        return error.response["Error"]["Code"]
    return ""


def test_a_role_that_is_changed_or_deleted_while_the_job_works(world):
    role = world.role("import-going", trust({"Service": SERVICE}), LIST)
    directory = Directory(world.repository)
    roles = JobRoles(directory, Buckets("unused"), ImportRoles.OPEN, "us-east-1")
    datastore = f"arn:aws:medical-imaging:us-east-1:{ACCOUNT}:datastore/{'0' * 32}"
    uses = [BucketUse(BucketAction.LIST, INPUT, "study/")]
    job_role = roles.admit(root_of("aws", ACCOUNT), role, datastore, uses)
    access = roles.access(job_role, "job")
    assert access.refusal(uses) is None
    world.let_role("import-going", READ)
    directory.refresh()
    assert "no identity-based policy allows the s3:ListBucket action" in access.refusal(uses)
    world.remove_role("import-going")
    world.role("import-going", trust({"Service": SERVICE}), LIST)
    directory.refresh()
    assert access.refusal(uses) == f"The role {role} was deleted"
    assert roles.access(job_role, "job").refusal(uses) == f"The role {role} was deleted"


def test_the_prefix_of_a_listing_is_known_to_policies(world):
    condition = {"StringLike": {"s3:prefix": "study/*"}}
    role = world.role("import-prefix", trust({"Service": SERVICE}), {**LIST, "Condition": condition})
    roles = JobRoles(Directory(world.repository), Buckets("unused"), ImportRoles.STRICT, "us-east-1")
    datastore = f"arn:aws:medical-imaging:us-east-1:{ACCOUNT}:datastore/{'0' * 32}"
    root = root_of("aws", ACCOUNT)
    roles.admit(root, role, datastore, [BucketUse(BucketAction.LIST, INPUT, "study/deep/")])
    with pytest.raises(JobRoleDeniedError):
        roles.admit(root, role, datastore, [BucketUse(BucketAction.LIST, INPUT, "others/")])
    with pytest.raises(JobRoleError, match="no role of this installation"):
        roles.admit(root, role_arn("import-missing"), datastore, [])


def test_the_setting():
    assert load_settings({}).job_roles is ImportRoles.OPEN
    assert load_settings({"HOUNSFIELD_S3": "aws"}).job_roles is ImportRoles.STS
    assert load_settings({"HOUNSFIELD_S3": "aws", "HOUNSFIELD_IMPORT_ROLES": "open"}).job_roles is ImportRoles.OPEN
    assert load_settings({"HOUNSFIELD_IMPORT_ROLES": "strict"}).job_roles is ImportRoles.STRICT
    with pytest.raises(SettingsError, match="must be one of open, strict, sts"):
        load_settings({"HOUNSFIELD_IMPORT_ROLES": "none"})
    with pytest.raises(SettingsError, match="buckets are folders"):
        load_settings({"HOUNSFIELD_IMPORT_ROLES": "sts"})
