"""Profiles of AWS credentials files: what is written is what AWS clients read, and nothing else changes."""

from __future__ import annotations

import configparser
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hounsfield.iam.credentials_file import CredentialsProfile, ProfileError
from hounsfield.iam.root_credentials import AccessKey
from support.examples import examples

KEY = AccessKey("AKIAAAAAAAAAAAAAAAAA", "a-secret_of-40")
PROFILES = st.from_regex(r"[A-Za-z0-9_.@+/-]{1,12}", fullmatch=True).filter(lambda name: name.lower() != "default")
SETTINGS = st.sampled_from(
    ["aws_access_key_id=AKIAOLD", "AWS_SECRET_ACCESS_KEY : old", "aws_session_token = t", "region = eu", "# note", ""]
)
FILES = st.lists(st.tuples(PROFILES, st.lists(SETTINGS, max_size=4, unique=True)), max_size=4, unique_by=lambda e: e[0])


def read(path: Path) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(interpolation=None, default_section="\0")
    parser.read(path)
    return {name: dict(parser[name]) for name in parser.sections()}


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sections=FILES, name=PROFILES)
def test_a_key_is_put_into_its_profile_and_nothing_else_changes(
    tmp_path: Path, sections: list[tuple[str, list[str]]], name: str
) -> None:
    path = tmp_path / "credentials"
    text = "".join(f"[{section}]\n" + "".join(f"{line}\n" for line in lines) for section, lines in sections)
    path.write_text(text)
    before = read(path)
    profile = CredentialsProfile.of(path, name)
    assert profile.is_there is (name in before)
    profile.write(KEY)
    after = read(path)
    pair = {"aws_access_key_id": KEY.id, "aws_secret_access_key": KEY.secret}
    region = {"region": "eu"} if "region" in before.get(name, {}) else {}
    assert after == {**before, name: {**pair, **region}}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    profile.put_back()
    assert path.read_text() == text


def test_a_file_that_was_not_there_is_made_and_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "credentials"
    profile = CredentialsProfile.of(path, "viewer")
    profile.write(KEY)
    assert read(path)["viewer"]["aws_access_key_id"] == KEY.id
    profile.put_back()
    assert not path.exists()


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    CredentialsProfile.of(tmp_path / "link", "viewer").write(KEY)
    assert (tmp_path / "link").is_symlink()
    assert "viewer" in read(tmp_path / "real")


@pytest.mark.parametrize("name", ["", "a b", "a]", "x" * 65, "a\nb"])
def test_what_is_no_profile_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ProfileError, match="a profile name must be"):
        CredentialsProfile.of(tmp_path / "credentials", name)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * (1024 * 1024 + 1)])
def test_what_is_no_credentials_file_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "credentials"
    path.write_bytes(content)
    with pytest.raises(ProfileError):
        CredentialsProfile.of(path, "viewer")
    with pytest.raises(ProfileError):
        CredentialsProfile.of(tmp_path, "viewer")
    assert path.read_bytes() == content
