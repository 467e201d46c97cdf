"""Several nodes of one installation: one that has another master key, place for packs or settings is refused at its start."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select

from hounsfield.bootstrap.image_store import open_image_store
from hounsfield.imaging.image_store import ImageStore
from hounsfield.settings import InstallationError, Settings, SettingsError
from hounsfield.storage.db.engines import has_tables
from hounsfield.storage.db.image_set_tables import secrets
from hounsfield.storage.keys.installation_secrets import secret_context
from hounsfield.storage.keys.master_keys import LocalKeyring
from support.files.synthetic import slice_of, uid
from support.imaging.stored_series import imported, verified
from support.programs import begin_hounsfield, hounsfield
from support.servers import ServerProcess, active_datastore, free_port, wait_for
from support.services.postgresql import PostgresqlServer

MARK = "installation.json"


@contextmanager
def opened(settings: Settings) -> Iterator[ImageStore]:
    image_store, _ = open_image_store(settings)
    yield image_store
    image_store.database.close()


def node(data: Path, like: Path | None = None, **settings: Any) -> Settings:
    """Return the settings of a node, with the keys of another one."""
    if like is not None:
        shutil.copytree(like / "keys", data / "keys")
    return Settings(data=data, **settings)


def variables(settings: Settings) -> dict[str, str]:
    return {"HOUNSFIELD_DATABASE_URL": settings.database_url, "HOUNSFIELD_BLOBS_URL": settings.blobs_url}


def said_at_its_end(name: str, settings: Settings, *arguments: str) -> tuple[int, str]:
    """Run a command of ours; return its exit status, and all that it printed."""
    done = hounsfield(name, "--data", str(settings.data), *arguments, environment=variables(settings))
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def database_url(postgresql_server: PostgresqlServer) -> str:
    return postgresql_server.new_database()


@pytest.mark.parametrize("name", ["runner", "api", "serve"])
def test_a_node_with_another_master_key_does_not_start(tmp_path: Path, database_url: str, name: str) -> None:
    with opened(node(tmp_path / "first", database_url=database_url)):
        pass
    arguments = () if name == "runner" else ("--port", str(free_port()))
    for second, words in (
        (tmp_path / "another", "is not the master key of this database"),
        (tmp_path / "no", "is missing"),
    ):
        settings = node(second, database_url=database_url)
        if second.name == "another":
            LocalKeyring(second / "keys" / "master.json")
        code, said = said_at_its_end(name, settings, *arguments)
        assert code == 1
        assert f"{second}/keys/master.json {words}" in said
        assert "every node needs the same one" in said
        assert "Traceback" not in said
    assert not (tmp_path / "no" / "keys").exists()


@pytest.mark.parametrize("name", ["runner", "api"])
def test_a_node_with_another_place_for_packs_does_not_start(tmp_path: Path, database_url: str, name: str) -> None:
    first = node(tmp_path / "first", database_url=database_url)
    with opened(first):
        pass
    # The setting for the common place was forgotten.
    second = node(tmp_path / "second", like=first.data, database_url=database_url)
    arguments = () if name == "runner" else ("--port", str(free_port()))
    code, said = said_at_its_end(name, second, *arguments)
    assert code == 1
    assert f"{second.data}/blobs cannot be the place of the packs: {MARK} is not there" in said
    assert not (second.data / "blobs" / MARK).exists()


def test_a_node_with_the_same_place_reads_what_another_stored(tmp_path: Path, database_url: str) -> None:
    first = ServerProcess(tmp_path / "first", {"HOUNSFIELD_DATABASE_URL": database_url}).start()
    try:
        client = first.client()
        datastore = active_datastore(client)
        (image_set,) = imported(first, client, datastore, slice_of())
    finally:
        first.stop()
    environment = {"HOUNSFIELD_DATABASE_URL": database_url, "HOUNSFIELD_BLOBS_URL": f"file://{first.data}/blobs"}
    (tmp_path / "second").mkdir()
    for name in ("keys", "credentials"):
        source, target = first.data / name, tmp_path / "second" / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    second = ServerProcess(tmp_path / "second", environment).start()
    try:
        assert verified(second.client(), datastore, image_set).keys() == {uid(1, 1, 1)}
    finally:
        second.stop()


def test_of_two_first_nodes_with_two_places_one_is_refused(tmp_path: Path, database_url: str) -> None:
    with opened(node(tmp_path / "keys-only")):
        pass
    nodes = [node(tmp_path / name, like=tmp_path / "keys-only", database_url=database_url) for name in ("a", "b")]
    running = {
        entry.data: begin_hounsfield(
            "runner", "--data", str(entry.data), environment=variables(entry), log=entry.data.with_suffix(".log")
        )
        for entry in nodes
    }
    try:
        ended = wait_for(
            lambda: [data for data in running if running[data].poll() is not None], "one of them to end", 120
        )
        (refused,) = ended
        assert running[refused].returncode == 1
        assert MARK in refused.with_suffix(".log").read_text()
        assert sum((entry.data / "blobs" / MARK).exists() for entry in nodes) == 1
    finally:
        for process in running.values():
            process.kill()
            process.wait()


def test_the_place_of_another_installation_is_refused(tmp_path: Path) -> None:
    first = node(tmp_path / "first")
    with opened(first):
        pass
    mark = first.data / "blobs" / MARK
    before = mark.read_bytes()
    with (
        pytest.raises(SettingsError, match="every installation a place of its own"),
        opened(node(tmp_path / "second", blobs_url=f"file://{first.data}/blobs")),
    ):
        pass
    assert mark.read_bytes() == before
    with opened(first):
        pass
    assert mark.read_bytes() == before


@pytest.mark.parametrize("content", [None, b"", b"{}", b"[]", b"x" * 10_000, b'{"installation": "0", "place": "0"}'])
def test_a_place_without_its_mark_is_refused(tmp_path: Path, content: bytes | None) -> None:
    settings = node(tmp_path / "data")
    with opened(settings):
        pass
    mark = settings.data / "blobs" / MARK
    mark.unlink()
    if content is not None:
        mark.write_bytes(content)
    with pytest.raises(SettingsError, match="cannot be the place of the packs"), opened(settings):
        pass


def test_an_empty_database_beside_packs_is_refused_and_stays_empty(
    tmp_path: Path, database_url: str, postgresql_server: PostgresqlServer
) -> None:
    """The database of an installation was lost: ``rebuild`` and ``restore`` need the new one empty."""
    settings = node(tmp_path / "data", database_url=database_url)
    with opened(settings):
        pass
    empty = dataclasses.replace(settings, database_url=postgresql_server.new_database())
    with pytest.raises(InstallationError, match=r"is empty, but the packs in .*hounsfield rebuild"), opened(empty):
        pass
    assert not has_tables(empty.database_url)


def test_a_start_that_died_after_marking_is_gone_on_with(tmp_path: Path) -> None:
    settings = node(tmp_path / "data")
    with opened(settings) as image_store, image_store.database.write() as connection:
        connection.execute(delete(secrets).where(secrets.c.name == "blob-place"))
    mark = settings.data / "blobs" / MARK
    before = json.loads(mark.read_bytes())
    for _ in range(2):
        with opened(settings):
            pass
    assert json.loads(mark.read_bytes()) == before


def test_a_node_with_other_settings_is_refused_until_they_are_accepted(tmp_path: Path, database_url: str) -> None:
    place = f"file://{tmp_path}/first/blobs"
    first = node(tmp_path / "first", database_url=database_url, oidc_issuer="https://id.example.org", oidc_audience="a")
    with opened(first):
        pass
    drifted = {"region": "eu-west-1", "release_after_seconds": 5.0, "oidc_audience": "hidden", "api_workers": 3}
    second = node(tmp_path / "second", like=first.data, database_url=database_url, blobs_url=place)
    second = dataclasses.replace(second, oidc_issuer=first.oidc_issuer, **drifted)
    with pytest.raises(SettingsError) as caught, opened(second):
        pass
    assert "HOUNSFIELD_REGION is eu-west-1, there it is us-east-1" in str(caught.value)
    assert "HOUNSFIELD_RELEASE_AFTER_SECONDS" in str(caught.value)
    assert "HOUNSFIELD_OIDC_AUDIENCE" in str(caught.value)
    assert "hidden" not in str(caught.value)
    assert "API_WORKERS" not in str(caught.value)
    assert "hounsfield settings accept" in str(caught.value)
    environment = {
        **variables(second),
        "HOUNSFIELD_REGION": "eu-west-1",
        "HOUNSFIELD_RELEASE_AFTER_SECONDS": "5",
        "HOUNSFIELD_OIDC_ISSUER": first.oidc_issuer,
        "HOUNSFIELD_OIDC_AUDIENCE": "hidden",
    }
    done = hounsfield("settings", "accept", "--data", str(second.data), environment=environment)
    assert done.returncode == 0, done.stderr
    changed = ("OIDC_AUDIENCE", "REGION", "RELEASE_AFTER_SECONDS")
    assert done.stdout.splitlines() == [f"HOUNSFIELD_{name} is changed" for name in changed]
    with opened(second):
        pass
    with pytest.raises(SettingsError, match="HOUNSFIELD_REGION is us-east-1, there it is eu-west-1"), opened(first):
        pass


@pytest.mark.parametrize("name", ["runner", "api"])
def test_a_process_with_other_settings_does_not_start(tmp_path: Path, database_url: str, name: str) -> None:
    first = node(tmp_path / "first", database_url=database_url)
    with opened(first):
        pass
    environment = {**variables(first), "HOUNSFIELD_ACCOUNT_ID": "111111111111"}
    arguments = () if name == "runner" else ("--port", str(free_port()))
    done = hounsfield(name, "--data", str(first.data), *arguments, environment=environment)
    assert done.returncode in {1, 2}
    assert "HOUNSFIELD_ACCOUNT_ID is 111111111111, there it is 000000000000" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_accepting_settings_needs_a_common_database(tmp_path: Path) -> None:
    with opened(node(tmp_path / "alone")):
        pass
    done = hounsfield("settings", "accept", "--data", str(tmp_path / "alone"))
    assert done.returncode == 2
    assert "HOUNSFIELD_DATABASE_URL" in done.stderr


def test_of_settings_that_an_earlier_version_did_not_compare_the_first_count(tmp_path: Path, database_url: str) -> None:
    settings = node(tmp_path / "data", database_url=database_url)
    with opened(settings) as image_store:
        keyring = LocalKeyring(settings.data / "keys" / "master.json")
        context = secret_context("common-settings")
        with image_store.database.write() as connection:
            sealed = connection.execute(
                select(secrets.c.wrapped).where(secrets.c.name == "common-settings")
            ).scalar_one()
            known = json.loads(keyring.unwrap(sealed, context))
            del known["region"]
            kept = keyring.wrap(json.dumps({**known, "gone": "x"}).encode(), context)
            connection.execute(secrets.update().where(secrets.c.name == "common-settings").values(wrapped=kept))
    with opened(dataclasses.replace(settings, region="eu-west-1")):
        pass
    with pytest.raises(SettingsError, match="HOUNSFIELD_REGION"), opened(settings):
        pass
