"""``hounsfield user``, ``role``, ``policy`` and ``key`` beside a running server, as an operator types them."""

from __future__ import annotations

import configparser
import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.identities.users import answer, command, refusal
from support.programs import hounsfield
from support.servers import ServerProcess, wait_for

READ_ONLY = "arn:aws:iam::aws:policy/AWSHealthImagingReadOnlyAccess"
INVALID = ("UnrecognizedClientException", "The security token included in the request is invalid.")
NOBODY = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
LISTING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "medical-imaging:ListDatastores", "Resource": "*"}],
}
IMPORTER = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "medical-imaging.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}


def user_with_key(server: ServerProcess, name: str) -> Any:
    """Make a user who may list data stores, and return a client with its key that is let in."""
    answer(server, "user", "create", name)
    answer(server, "policy", "put", "listing", "-", "--user", name, given=json.dumps(LISTING))
    key = answer(server, "access-key", "create", name)
    client = server.client(key=(key["access_key_id"], key["secret_access_key"]))
    wait_for(lambda: refusal(client) is None, "the key to be let in")
    return client


def shell(server: ServerProcess, *arguments: str) -> str:
    """Run a command as a process of its own."""
    run = hounsfield(*arguments, "--data", str(server.data))
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    return run.stdout


def test_a_viewer_is_made_and_shut_out_by_commands_of_their_own_processes(server: ServerProcess) -> None:
    assert "user/typed-viewer" in shell(server, "user", "create", "typed-viewer")
    made = shell(server, "access-key", "create", "typed-viewer")
    identifier, secret = (line.split()[-1] for line in made.splitlines()[:2])
    client = server.client(key=(identifier, secret))
    shell(server, "policy", "attach", READ_ONLY, "--user", "typed-viewer")
    wait_for(lambda: refusal(client) is None, "the policy to count")
    with pytest.raises(ClientError, match="no identity-based policy allows the medical-imaging:CreateDatastore"):
        client.create_datastore(datastoreName="not-allowed")
    assert secret not in shell(server, "user", "show", "typed-viewer", "--json")
    shell(server, "access-key", "disable", identifier)
    wait_for(lambda: refusal(client) == INVALID, "the key to be refused")


def test_policies_count_and_cease_to_count_while_the_server_runs(server: ServerProcess) -> None:
    client = user_with_key(server, "changing")
    answer(server, "policy", "remove", "listing", "--user", "changing")
    wait_for(lambda: refusal(client) is not None, "the inline policy to be gone")
    answer(server, "policy", "create", "listers", "-", given=json.dumps(LISTING))
    answer(server, "policy", "attach", "LISTERS", "--user", "changing")
    wait_for(lambda: refusal(client) is None, "the managed policy to count")
    bounded = answer(server, "policy", "boundary", "AWSHealthImagingReadOnlyAccess", "--user", "changing")
    assert bounded["boundary"] == READ_ONLY
    answer(server, "policy", "create", "nothing", "-", given=json.dumps(NOBODY))
    answer(server, "policy", "boundary", "nothing", "--user", "changing")
    wait_for(lambda: refusal(client) is not None, "the boundary to count")
    answer(server, "policy", "boundary", "--none", "--user", "changing")
    wait_for(lambda: refusal(client) is None, "the boundary to be gone")
    answer(server, "policy", "update", "listers", "-", given=json.dumps(NOBODY))
    wait_for(lambda: refusal(client) is not None, "the new document to count")
    assert "explicit deny" in refusal(client)[1]
    answer(server, "policy", "detach", "listers", "--user", "changing")
    wait_for(lambda: "explicit deny" not in refusal(client)[1], "the policy to be off")
    deleted = answer(server, "policy", "delete", "listers")
    assert (deleted["users_and_roles"], deleted["document"]) == ([], NOBODY)


def test_rotation(server: ServerProcess) -> None:
    old = user_with_key(server, "rotated")
    (before,) = answer(server, "access-key", "list", "--user", "rotated")
    wait_for(
        lambda: answer(server, "access-key", "list", "--user", "rotated")[0]["last_used_at"],
        "the use of the old key to be told",
    )
    made = answer(server, "access-key", "rotate", "rotated", "--expires", "90d")
    assert made["replaces"]["access_key_id"] == before["access_key_id"]
    assert made["replaces"]["last_used_at"] is not None
    assert made["expires_at"] is not None
    new = server.client(key=(made["access_key_id"], made["secret_access_key"]))
    wait_for(lambda: refusal(new) is None, "the new key to be let in")
    assert refusal(old) is None
    again = command(server, "access-key", "rotate", "rotated")
    assert (again.exit_code, before["access_key_id"] in again.stderr) == (1, True)
    finished = answer(server, "access-key", "rotate", "rotated", "--finish")
    assert (finished["old"]["status"], finished["new"]["status"]) == ("inactive", "active")
    wait_for(lambda: refusal(old) == INVALID, "the old key to be refused")
    assert refusal(new) is None
    answer(server, "access-key", "disable", made["access_key_id"])
    unusable = command(server, "access-key", "rotate", "rotated", "--finish")
    assert (unusable.exit_code, "disabled or expired" in unusable.stderr) == (2, True)


def test_roles_are_made_shown_changed_and_deleted(server: ServerProcess) -> None:
    role = answer(
        server, "role", "create", "importer", "--trust", "-", "--tag", "use=import", given=json.dumps(IMPORTER)
    )
    assert role["arn"] == "arn:aws:iam::000000000000:role/importer"
    assert role["id"].startswith("AROA")
    assert (role["trust_policy"], role["max_session_seconds"], role["tags"]) == (IMPORTER, 3600, {"use": "import"})
    answer(server, "policy", "attach", "AWSHealthImagingFullAccess", "--role", "importer")
    answer(server, "role", "tag", "importer", "ward=4b", "--remove", "USE")
    answer(server, "role", "update", "importer", "--max-session", "7200", "--description", "for import jobs")
    other = {"Statement": [{**IMPORTER["Statement"][0], "Principal": {"AWS": "000000000000"}}], "Version": "2012-10-17"}
    answer(server, "role", "trust", "Importer", "-", given=json.dumps(other))
    shown = answer(server, "role", "show", "importer")
    assert (shown["trust_policy"], shown["max_session_seconds"]) == (other, 7200)
    assert (shown["description"], shown["tags"]) == ("for import jobs", {"ward": "4b"})
    assert shown["policies"] == ["arn:aws:iam::aws:policy/AWSHealthImagingFullAccess"]
    assert "importer" in {entry["name"] for entry in answer(server, "role", "list")}
    assert "Longest session" in command(server, "role", "show", "importer").stdout
    kept = command(server, "role", "delete", "importer")
    assert (kept.exit_code, "still has policy arn:aws:iam::aws:policy/" in kept.stderr) == (1, True)
    answer(server, "role", "delete", "importer", "--force")
    assert "importer" not in {entry["name"] for entry in answer(server, "role", "list")}


def test_a_profile_takes_the_secret_instead_of_the_screen(server: ServerProcess, tmp_path: Path) -> None:
    file = tmp_path / "aws" / "credentials"
    file.parent.mkdir()
    file.write_text("# mine\n[default]\naws_access_key_id = AKIAOTHER\naws_secret_access_key = other\nregion = eu\n")
    file.chmod(0o644)
    answer(server, "user", "create", "profiled")
    where = ("--profile", "viewer", "--credentials-file", str(file))
    made = command(server, "access-key", "create", "profiled", *where)
    assert made.exit_code == 0, made.output
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(file)
    pair = parser["viewer"]["aws_access_key_id"], parser["viewer"]["aws_secret_access_key"]
    assert pair[1] not in made.output
    assert dict(parser["default"]) == {
        "aws_access_key_id": "AKIAOTHER",
        "aws_secret_access_key": "other",
        "region": "eu",
    }
    assert file.read_text().startswith("# mine\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    client = server.client(key=pair)
    wait_for(lambda: (refusal(client) or ("",))[0] == "AccessDeniedException", "the key of the profile to be known")
    twice = command(server, "access-key", "create", "profiled", *where)
    assert (twice.exit_code, "has a profile viewer already" in twice.stderr) == (2, True)
    rotated = answer(server, "access-key", "rotate", "profiled", *where)
    parser.read(file)
    assert parser["viewer"]["aws_access_key_id"] == rotated["access_key_id"] != pair[0]
    assert "secret_access_key" not in rotated
    assert file.read_text().count("[viewer]") == 1


def test_a_secret_that_cannot_be_handed_over_makes_no_key(server: ServerProcess, tmp_path: Path) -> None:
    answer(server, "user", "create", "undelivered")
    (tmp_path / "file").write_text("")
    run = command(
        server,
        "access-key",
        "create",
        "undelivered",
        "--profile",
        "p",
        "--credentials-file",
        str(tmp_path / "file" / "below"),
    )
    assert run.exit_code == 2
    assert answer(server, "access-key", "list", "--user", "undelivered") == []
    root = ("--profile", "default", "--credentials-file", str(server.data / "credentials"))
    before = (server.data / "credentials").read_bytes()
    run = command(server, "access-key", "create", "undelivered", *root)
    assert (run.exit_code, "is the root key" in run.stderr) == (2, True)
    assert (server.data / "credentials").read_bytes() == before
    with Path("/dev/full").open("wb") as full:
        run = hounsfield("access-key", "create", "undelivered", "--data", str(server.data), stdout=full.fileno())
    assert run.returncode != 0
    assert answer(server, "access-key", "list", "--user", "undelivered") == []


def test_a_user_with_keys_is_deleted_only_with_force(server: ServerProcess) -> None:
    client = user_with_key(server, "leaving")
    kept = command(server, "user", "delete", "leaving")
    assert kept.exit_code == 1
    assert "still has access key AKIA" in kept.stderr
    assert "inline policy listing" in kept.stderr
    assert refusal(client) is None
    answer(server, "user", "delete", "leaving", "--force")
    wait_for(lambda: refusal(client) == INVALID, "the key to be refused")


@pytest.fixture(scope="module")
def world(server: ServerProcess) -> Iterator[ServerProcess]:
    """A user with two keys, and a policy that it has, to be asked for what cannot be; at the end all is as it was."""
    answer(server, "user", "create", "world", "--tag", "ward=4b")
    answer(server, "policy", "create", "world-policy", "-", given=json.dumps(LISTING))
    answer(server, "policy", "attach", "world-policy", "--user", "world")
    for _ in range(2):
        answer(server, "access-key", "create", "world")
    before = _identities(server)
    yield server
    assert _identities(server) == before


def _identities(server: ServerProcess) -> list[Any]:
    """All users, roles and policies, but when keys were last used: a thread of the server writes that down in its own time."""
    lists = [answer(server, group, "list") for group in ("user", "role", "policy")]
    for user in lists[0]:
        for key in user["keys"]:
            del key["last_used_at"]
    return lists


MISSING = "AKIAAAAAAAAAAAAAAAAA"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("user create World", 1, "there is a user world already"),
        ("user create bad/name", 2, "the user name must be 1 to 64 letters"),
        (f"user create {'x' * 65}", 2, "the user name must be 1 to 64 letters"),
        ("user create tagged --tag ward", 2, "key=value"),
        ("user create tagged --tag a=1 --tag a=2", 2, "given twice"),
        ("user create tagged --tag a=1 --tag A=2", 2, "upper and lower case"),
        ("user create tagged --tag aws:x=1", 2, "not beginning with aws:"),
        (f"user create tagged --tag a={'x' * 257}", 2, "the value of tag a must be up to 256"),
        ("user show nobody", 1, "there is no user nobody"),
        ("user delete nobody", 1, "there is no user nobody"),
        ("user tag nobody a=1", 1, "there is no user nobody"),
        ("user tag world --remove floor", 1, "has no tag floor"),
        ("user create", 2, "Missing argument"),
        ("role create r", 2, "Missing option '--trust'"),
        ("role create r --trust -", 2, "JSON"),
        ("role create r --trust /nowhere/trust.json", 2, "No such file"),
        ("role show nobody", 1, "there is no role nobody"),
        ("role trust nobody -", 2, "JSON"),
        ("role update nobody", 2, "say what to change"),
        ("role update nobody --max-session 60", 2, "3600 to 43200 seconds, not 60"),
        ("role update nobody --max-session 7200", 1, "there is no role nobody"),
        ("role delete nobody", 1, "there is no role nobody"),
        ("role tag nobody a=1", 1, "there is no role nobody"),
        ("policy create p -", 2, "JSON"),
        ("policy create p /nowhere/policy.json", 2, "No such file"),
        ("policy show nothing-there", 1, "there is no policy nothing-there"),
        ("policy show p --user world", 1, "has no inline policy"),
        ("policy update nothing-there -", 2, "JSON"),
        ("policy delete world-policy", 1, "is that of arn:aws:iam::000000000000:user/world"),
        ("policy delete AWSHealthImagingFullAccess", 2, "is built in and cannot be changed"),
        ("policy attach world-policy --user world", 1, "has the policy"),
        ("policy attach nothing-there --user world", 1, "there is no policy nothing-there"),
        ("policy attach world-policy --user nobody", 1, "there is no user nobody"),
        ("policy attach world-policy", 2, "--user, or one role with --role"),
        ("policy attach world-policy --user a --role b", 2, "--user, or one role with --role"),
        ("policy detach AWSHealthImagingFullAccess --user world", 1, "has no policy arn:aws:iam::aws:policy/"),
        ("policy put own - --user world", 2, "JSON"),
        ("policy put own -", 2, "--user, or one role with --role"),
        ("policy remove own --user world", 1, "has no inline policy own"),
        ("policy boundary --user world", 2, "or give --none"),
        ("policy boundary world-policy --none --user world", 2, "or give --none"),
        ("policy boundary nothing-there --user world", 1, "there is no policy nothing-there"),
        ("key create world", 1, "has 2 access keys"),
        ("key create nobody", 1, "there is no user nobody"),
        ("key create nobody --expires yesterday", 2, "a span such as 90d"),
        ("key create nobody --expires 0d", 2, "a span such as 90d"),
        ("key create nobody --expires 2020-01-31", 2, "must be in the future"),
        ("key create nobody --credentials-file /tmp/x", 2, "needs --profile"),
        ("key create nobody --profile [x]", 2, "a profile name must be"),
        ("key list --user nobody", 1, "there is no user nobody"),
        (f"key disable {MISSING}", 1, f"there is no access key {MISSING}"),
        (f"key enable {MISSING}", 1, f"there is no access key {MISSING}"),
        (f"key delete {MISSING}", 1, f"there is no access key {MISSING}"),
        (f"key expire {MISSING} 90d", 1, f"there is no access key {MISSING}"),
        (f"key expire {MISSING}", 2, "or give --never"),
        (f"key expire {MISSING} 90d --never", 2, "or give --never"),
        ("key rotate nobody", 1, "there is no user nobody"),
        ("key rotate world", 1, "has 2 access keys"),
        ("key rotate world --finish --expires 90d", 2, "--finish makes no key"),
        ("key rotate nobody --finish", 1, "there is no user nobody"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(world: ServerProcess, words: str, code: int, said: str) -> None:
    run = command(world, *words.split(), given="not a policy")
    assert said in run.stderr, run.output
    assert run.exit_code == code
    assert run.stdout == ""


def test_a_folder_that_is_no_data_folder_is_not_made_one(tmp_path: Path) -> None:
    run = command(ServerProcess(tmp_path / "elsewhere"), "user", "list")
    assert run.exit_code == 1
    assert "is not a data folder" in run.stderr
    assert list(tmp_path.iterdir()) == []
