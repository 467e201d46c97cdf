"""docs/how-to/users-and-keys.md: its examples run and let in whom they say; its tables are those of the code."""

from __future__ import annotations

import configparser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from hounsfield.cli.main import cli
from hounsfield.gateway.root_key_warning import DataUse
from hounsfield.iam.identities.access_keys import MOST_KEYS
from hounsfield.iam.identities.attachments import MOST_ATTACHED
from hounsfield.iam.identities.names import MOST_TAGS
from hounsfield.iam.identities.policy_documents import MOST_OF_INLINE, MOST_OF_MANAGED, MOST_OF_TRUST
from support.clients.signed_http import Answer, send_signed
from support.doc_pages import Page, codes, run_shell
from support.files.synthetic import save, slice_of
from support.servers import ServerProcess, active_datastore, wait_for

ACCESS = Page.of("docs/how-to/users-and-keys.md")
COMMANDS = Page.of("docs/reference/cli.md").section("## Users, roles, policies and keys")
BUILT_IN = "AWSHealthImagingFullAccess"


class Reader:
    """Somebody who types one section after the other into a shell, in a folder of their own beside the data folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = ServerProcess(folder / "data").start()
        self.datastore = active_datastore(self.server.client())

    def types(self, heading: str) -> str:
        script = "export HOUNSFIELD_DATA=data\n" + "".join(ACCESS.section(heading).blocks("sh"))
        return run_shell(self.server, script, self.folder, DATASTORE=self.datastore)

    def key(self, name: str) -> tuple[str, str]:
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(self.folder / f"{name}.credentials")
        return parser[name]["aws_access_key_id"], parser[name]["aws_secret_access_key"]

    def asks(self, name: str, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> Answer:
        return send_signed(self.server, method, path, body, headers, key=self.key(name))


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    found = Reader(tmp_path_factory.mktemp("access"))
    yield found
    found.server.stop()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_page_is_followed_from_the_first_user_to_the_last_key(reader: Reader) -> None:
    store = f"/datastore/{reader.datastore}"
    assert '"datastoreSummaries"' in reader.types("## Make an administrator")
    reader.types("## Make a viewer")
    wait_for(lambda: reader.asks("bob", f"{store}/studies").status == 200, "bob to be let in")
    assert reader.asks("bob", store).status == 200
    assert reader.asks("bob", store, "DELETE").code == "AccessDeniedException"

    reader.types("## Make a modality")
    file = save(slice_of(study=71), reader.folder / "one.dcm").read_bytes()
    kind = {"Content-Type": "application/dicom", "Accept": "application/dicom+json"}
    stored = wait_for(
        lambda: ok(reader.asks("ct-1", f"{store}/studies", "POST", file, **kind)), "the modality to be let in"
    )
    assert stored.status == 200
    assert reader.asks("ct-1", f"{store}/studies").code == "AccessDeniedException"
    assert reader.asks("bob", f"{store}/studies", "POST", file, **kind).code == "AccessDeniedException"

    first = reader.key("bob")
    printed = reader.types("## Rotate a key")
    assert f"{first[0]} is disabled" in printed
    assert reader.key("bob") != first
    wait_for(lambda: reader.asks("bob", f"{store}/studies").status == 200, "bob's new key to be let in")
    wait_for(
        lambda: send_signed(reader.server, "GET", f"{store}/studies", key=first).code == "UnrecognizedClientException",
        "the old key to be refused",
    )

    modality = reader.key("ct-1")[0]
    assert f"{modality} of ct-1: inactive" in reader.types("## Lock somebody out")
    wait_for(
        lambda: reader.asks("ct-1", f"{store}/studies").code == "UnrecognizedClientException", "ct-1 to be shut out"
    )
    assert "Boundary" in reader.types("## Set a boundary")
    assert "arn:aws:iam::000000000000:role/reader" in reader.types("## Make a role")


def ok(answer: Answer) -> Answer | None:
    return answer if answer.status == 200 else None


def commands() -> dict[str, click.Command]:
    context = click.Context(cli)
    found = {}
    for group in ("user", "role", "policy", "access-key"):
        made = cli.get_command(context, group)
        assert isinstance(made, click.Group)
        found |= {f"{group} {name}": made.commands[name] for name in made.commands}
    return found


def test_all_commands_are_told_and_take_what_the_page_says() -> None:
    assert sorted(codes(row["command"])[0] for row in COMMANDS.rows("command")) == sorted(commands())
    for name, made in commands().items():
        options: set[Any] = {option for parameter in made.params for option in parameter.opts}
        assert {"--data", "--json"} <= options, name


def test_the_limits_and_the_kinds_of_use_are_those_of_the_code() -> None:
    text = " ".join(COMMANDS.text.split())
    assert (
        f"Limits, as IAM has them: {MOST_KEYS} keys a user, {MOST_ATTACHED} managed policies and {MOST_TAGS} tags a user or "
        f"role, {MOST_OF_MANAGED:,} characters a managed policy, {MOST_OF_INLINE['user']:,} for all inline policies of a user, "
        f"{MOST_OF_INLINE['role']:,} of a role, {MOST_OF_TRUST:,} for a trust policy" in text
    )
    assert f"each kind of use: {', '.join(DataUse)}." in ACCESS.text
