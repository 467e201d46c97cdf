"""docs/reference/policies.md: its example runs, its policies decide as it says, its tables are those of the code."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from hounsfield.api.dicomweb.operations import OPERATIONS
from hounsfield.api.dicomweb.permissions import WHOLE_STUDY
from hounsfield.api.dicomweb.resources import ROUTES
from hounsfield.api.healthimaging.permissions import TAGGING
from hounsfield.aws.protocol.model import load_service
from hounsfield.gateway.condition_keys import REQUEST_KEYS
from hounsfield.iam.identities.policy_documents import MOST_OF_INLINE, MOST_OF_MANAGED, MOST_OF_TRUST
from hounsfield.iam.policies.aws_managed import managed_arns
from hounsfield.iam.policies.condition import Effect, read_condition
from hounsfield.iam.policies.document import PolicyKind
from hounsfield.iam.policies.evaluation import decide
from hounsfield.iam.policies.operators import OPERATORS
from hounsfield.iam.policies.parser import LARGEST, parse_policy
from hounsfield.iam.policies.policy_set import PolicySet
from hounsfield.iam.policies.principal_element import Party, PartyKind, Trust
from hounsfield.iam.policies.trust_policy import decide_trust
from hounsfield.iam.request_context import PRINCIPAL_KEYS
from support.clients.dicomweb import part10, store
from support.doc_pages import Page, codes, run_shell
from support.files.synthetic import slice_of
from support.servers import ServerProcess

PAGE = Page.of("docs/reference/policies.md")
STORE = "arn:aws:medical-imaging:us-east-1:000000000000:datastore/" + "1" * 32


@pytest.mark.timeout(240)
def test_from_a_policy_to_a_permission(server: ServerProcess, datastore: str, tmp_path: Path) -> None:
    section = PAGE.section("## From a policy to a permission")
    (tmp_path / "data").symlink_to(server.data)
    printed = run_shell(server, section.block("sh"), tmp_path, DATASTORE=datastore)
    read = json.loads(printed[printed.index('{\n    "datastoreProperties"') : printed.rindex("}") + 1])
    assert read["datastoreProperties"]["datastoreId"] == datastore
    assert printed.rstrip().endswith("refused")
    (told,) = re.findall(r"^> User: .*\n> .*$", section.text, re.MULTILINE)
    assert "because no identity-based policy allows the medical-imaging:DeleteDatastore action" in told


@pytest.mark.timeout(240)
def test_users_who_see_only_their_studies(server: ServerProcess, datastore: str, tmp_path: Path) -> None:
    for study in (1, 2):
        assert store(server, datastore, [part10(slice_of(study=study))]).status_code == 200
    found = server.client().search_image_sets(datastoreId=datastore)["imageSetsMetadataSummaries"]
    image_set = str(found[0]["imageSetId"])
    (tmp_path / "data").symlink_to(server.data)
    script = "export HOUNSFIELD_DATA=data\n" + Page.of("docs/how-to/restrict-studies.md").block("sh")
    printed = run_shell(server, script, tmp_path, DATASTORE=datastore, IMAGE_SET=image_set)
    assert json.loads(printed[printed.rindex("[") :]) == [image_set]


def test_the_actions_are_those_of_the_native_api() -> None:
    rows = PAGE.rows("action", "resources")
    assert {codes(row["action"])[0] for row in rows} == load_service().operations.keys()
    for row in rows:
        name = codes(row["action"])[0]
        keys = codes(row["condition keys besides those of every request"])
        told = {key.lower().rstrip("…") for key in keys if not key.startswith("iam:")}
        assert told == set(TAGGING.get(name, ())), name
        uri = load_service().operations[name].uri
        image_set = "mageSetId}" in uri
        resources = codes(row["resources"])
        if "resourceArn" in uri:
            assert row["resources"] == "`datastore` or `imageset`"
        else:
            assert resources[0] == ("datastore" if "{datastoreId}" in uri else "*"), name
            assert ("imageset" in resources) is image_set, name


def test_the_operations_are_those_of_dicomweb() -> None:
    rows = {codes(row["operation"])[0]: row for row in PAGE.rows("operation", "action")}
    paths = {name: path for _, path, name in ROUTES}
    assert rows.keys() == paths.keys()
    for name, row in rows.items():
        assert codes(row["action"])[0] == (OPERATIONS[name].action or name)
        keys = [key for key in ("study", "series") if f"{{{key}}}" in paths[name]]
        if name in WHOLE_STUDY:
            keys.append("every series")
        assert row["condition keys"] == ", ".join(keys), name


def test_the_keys_are_those_of_the_code() -> None:
    told = {codes(row["key"])[0].lower() for row in PAGE.rows("key", "value")}
    assert told == {*PRINCIPAL_KEYS, *REQUEST_KEYS, "aws:principaltag/…", "aws:resourcetag/…"}


def test_the_operators_are_those_of_the_code() -> None:
    told: list[str] = []
    for row in PAGE.rows("operator", "compares"):
        names = codes(row["operator"])
        told += names
        for name in names:
            operator = OPERATORS[name]
            assert row["compares"].startswith(operator.kind)
            kind = {"Bool": "true", "Null": "true", "Binary": "YQ==", "IP address": "::1"}.get(operator.kind, "2026")
            assert operator.operand(kind, False).predicate({}) is not None  # noqa: FBT003 - one of a table of callables
            takes_variables = operator.kind in ("String", "ARN")
            assert row["variables"] == ("yes" if takes_variables else "no")
    assert set(told) == OPERATORS.keys()
    assert len(told) == len(OPERATORS)


@pytest.mark.parametrize("row", PAGE.rows("the request does not have the key", "met"), ids=lambda row: str(row["met"]))
def test_what_is_met_without_the_key(row: dict[str, str]) -> None:
    code = codes(row["the request does not have the key"])[0]
    operator = {"IfExists": "StringEqualsIfExists"}.get(code, f"{code}StringEquals" if code.endswith(":") else code)
    met = read_condition(operator, "aws:x", ["1"], variables=True).is_met({}, Effect.ALLOW)
    assert row["met"].startswith("yes") is met


def policies(heading: str) -> list[dict[str, Any]]:
    return [json.loads(block) for block in PAGE.section(heading).blocks("json")]


def test_the_policies_for_common_cases_decide_as_they_say() -> None:
    study, job, project = (
        PolicySet((parse_policy(json.dumps(text)),)) for text in policies("## Policies for common cases")
    )
    own = {"medical-imaging:studyinstanceuid": "1.2.840.113619.2.176"}
    assert decide(study, "medical-imaging:GetDICOMInstance", STORE, own).allowed
    assert not decide(study, "medical-imaging:GetDICOMInstance", STORE, {}).allowed
    assert not decide(study, "medical-imaging:SearchDICOMStudies", STORE, own).allowed
    start = "medical-imaging:StartDICOMImportJob"
    assert decide(job, start, STORE, {"aws:sourceip": "10.20.3.4"}).allowed
    assert not decide(job, start, STORE, {"aws:sourceip": "203.0.113.7"}).allowed
    passed = {"iam:passedtoservice": "medical-imaging.amazonaws.com"}
    assert decide(job, "iam:PassRole", "arn:aws:iam::000000000000:role/import", passed).allowed
    assert not decide(job, "iam:PassRole", "arn:aws:iam::000000000000:role/other", passed).allowed
    create = "medical-imaging:CreateDatastore"
    assert decide(project, create, "*", {"aws:requesttag/project": "x", "aws:tagkeys": ("project",)}).allowed
    assert not decide(project, create, "*", {"aws:tagkeys": ()}).allowed
    assert not decide(project, create, "*", {"aws:requesttag/project": "x", "aws:tagkeys": ("project", "x")}).allowed
    for action in CHANGING:
        locked = decide(project, f"medical-imaging:{action}", STORE, {"aws:resourcetag/state": "locked"})
        assert locked.reason("x") == "with an explicit deny in an identity-based policy", action


READING: Final = re.compile("(Get|List|Search)[A-Z]")
CHANGING: Final = [
    action
    for action in [*load_service().operations, *{route.action or route.name for route in OPERATIONS.values()}]
    if not READING.match(action) and action != "CreateDatastore"
]
"""Actions by which something that is there is changed: whatever is none of reading."""


def test_the_trust_policy_says_who_gets_the_role() -> None:
    (text,) = policies("## Trust policies")
    policy = parse_policy(json.dumps(text), kind=PolicyKind.TRUST)
    ann = Party(PartyKind.AWS, frozenset({"arn:aws:iam::000000000000:user/ann"}), "000000000000")
    assert decide_trust(policy, "sts:AssumeRole", ann, {}).trust is Trust.NAMED
    web = Party(PartyKind.FEDERATED, frozenset({"id.example.org"}))
    assert decide_trust(policy, "sts:AssumeRoleWithWebIdentity", web, {"id.example.org:aud": "viewer"}).allowed
    assert not decide_trust(policy, "sts:AssumeRoleWithWebIdentity", web, {}).allowed


def test_the_limits_and_the_managed_policies() -> None:
    told = {row["kind"]: int(row["most characters"]) for row in PAGE.rows("kind", "most characters")}
    assert told == {
        "managed policy, permissions boundary": MOST_OF_MANAGED,
        "inline policies of a user together": MOST_OF_INLINE["user"],
        "inline policies of a role together": MOST_OF_INLINE["role"],
        "session policy": LARGEST[PolicyKind.SESSION],
        "trust policy": MOST_OF_TRUST,
    }
    assert [codes(row["ARN"])[0] for row in PAGE.rows("ARN", "what it allows")] == list(managed_arns())
