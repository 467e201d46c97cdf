"""docs/how-to/temporary-credentials.md: its examples are run, and its tables compared with the code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hounsfield.api.sts.operations import HANDLERS
from hounsfield.aws.protocol import errors
from hounsfield.aws.protocol.query_serializer import query_code
from hounsfield.iam.sessions.session_tokens import MOST_TOKEN_CHARACTERS
from hounsfield.settings.import_roles import ImportRoles
from support.doc_pages import Page, PythonReader, codes, run_shell
from support.files.synthetic import save, slice_of
from support.identities.users_and_roles import client_of, refusal
from support.servers import ServerProcess, finished_job, wait_for

PAGE = Page.of("docs/how-to/temporary-credentials.md")


@pytest.fixture
def folder(server: ServerProcess, tmp_path: Path) -> Path:
    (tmp_path / "data").symlink_to(server.data)
    return tmp_path


def test_a_role_and_somebody_who_may_assume_it(
    server: ServerProcess, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    making, using = PAGE.section("## A role, and somebody who may assume it").blocks("sh")
    run_shell(server, making, folder, ENDPOINT=server.url)
    key = (folder / "credentials").read_text().split()[3::3]
    wait_for(lambda: known(server, (key[0], key[1])), "the server to know the key")
    # The AWS CLI keeps sessions in the home folder.
    printed = run_shell(server, using, folder, ENDPOINT=server.url, HOME=str(folder))
    assert "arn:aws:sts::000000000000:assumed-role/radiologist/" in printed
    assert "datastoreSummaries" in printed

    reader = PythonReader(server, monkeypatch, folder, ENDPOINT=server.url)
    monkeypatch.setenv("AWS_CONFIG_FILE", "config")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "credentials")
    reader.types(PAGE.section("## A session with fewer permissions").block("python"))
    listed, refused = capsys.readouterr().out.splitlines()
    assert listed == "True"
    assert refused.endswith("because no session policy allows the medical-imaging:CreateDatastore action")
    code, _, _ = refusal(client_of(server, "medical-imaging", (key[0], key[1])).list_datastores)
    assert code == "AccessDeniedException"


def known(server: ServerProcess, key: tuple[str, str]) -> bool:
    sts = client_of(server, "sts", key)
    try:
        return bool(sts.get_caller_identity())
    except sts.exceptions.ClientError:
        return False


def test_the_role_of_an_import_job(server: ServerProcess, client: Any, datastore: str, folder: Path) -> None:
    save(slice_of(), server.bucket("ward-3") / "one.dcm")
    server.bucket("ward-3-results")
    server.bucket("ward-4")
    run_shell(server, PAGE.section("## Roles of import jobs").block("sh"), folder)

    def start(source: str) -> str:
        return client.start_dicom_import_job(
            datastoreId=datastore,
            dataAccessRoleArn="arn:aws:iam::000000000000:role/ward-3-import",
            inputS3Uri=f"s3://{source}/",
            outputS3Uri="s3://ward-3-results/",
        )["jobId"]

    # What the commands did counts at once.
    assert finished_job(client, datastore, start("ward-3"))["jobStatus"] == "COMPLETED"
    with pytest.raises(client.exceptions.AccessDeniedException, match="s3:ListBucket on bucket ward-4"):
        start("ward-4")


def test_the_tables() -> None:
    assert {name for row in PAGE.rows("operation") for name in codes(row["operation"])} == set(HANDLERS)
    values = {name for row in PAGE.rows("value", "role of this installation") for name in codes(row["value"])}
    assert values == set(ImportRoles)
    for row in PAGE.rows("code at STS", "code elsewhere"):
        (at_sts,), elsewhere = codes(row["code at STS"]), codes(row["code elsewhere"])
        names = elsewhere or [f"{at_sts.removesuffix('Exception')}Exception"]
        error = (
            errors.ExpiredIdentityTokenException
            if not elsewhere and at_sts.startswith("Exp")
            else getattr(errors, names[0])
        )
        assert query_code(error(""))[0] == at_sts
    assert f"{MOST_TOKEN_CHARACTERS:,}" in PAGE.text


def test_every_policy_of_the_page_is_json() -> None:
    for block in PAGE.blocks("sh"):
        for document in block.split("<<JSON\n")[1:]:
            assert json.loads(document.split("\nJSON\n")[0])["Version"] == "2012-10-17"
