"""The settings and commands of docs/how-to/storage-tiers.md work as they stand there."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from hounsfield.bootstrap.installation import open_database, open_keyring
from hounsfield.settings import Settings
from hounsfield.storage.clock import now_ms
from hounsfield.storage.db.image_set_tables import image_sets
from support.files.synthetic import save, slice_of
from support.imaging.imports import document, run_import
from support.programs import path_of_programs
from support.servers import ServerProcess, active_datastore, wait_for

PAGE = (Path(__file__).resolve().parents[2] / "docs/how-to/storage-tiers.md").read_text()
THIRTY_ONE_DAYS_MS = 31 * 24 * 3600 * 1000


def only_block(language: str) -> str:
    (block,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return block


def test_the_page_archives_and_brings_back(tmp_path: Path) -> None:
    config = tmp_path / "hounsfield.toml"
    config.write_text(only_block("toml").replace("/srv", str(tmp_path)))
    quick = {"HOUNSFIELD_TIER_SWEEP_SECONDS": "0.1", "HOUNSFIELD_ACCESS_FLUSH_SECONDS": "0.1"}
    server = ServerProcess(tmp_path / "data", {**quick, "HOUNSFIELD_CONFIG": str(config)}).start()
    try:
        client = server.client()
        datastore = active_datastore(client)
        save(slice_of(), server.bucket("input") / "tiers" / "one.dcm")
        outcome = run_import(server, client, datastore, "tiers/")
        image_set = outcome.summary["imageSetsSummary"][0]["imageSetId"]
        environment = {
            **os.environ,
            "PATH": path_of_programs(),
            "AWS_SHARED_CREDENTIALS_FILE": str(server.data / "credentials"),
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_MEDICAL_IMAGING": server.url,
            "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
            "DATASTORE": datastore,
            "IMAGE_SET": image_set,
        }

        def shown() -> tuple[str, str]:
            run = subprocess.run(
                ["bash", "-ec", only_block("sh")],
                env=environment,
                capture_output=True,
                text=True,
                timeout=120,
                check=True,
            )
            tier, accessed = json.loads(run.stdout)
            return tier, accessed

        tier, first = shown()
        assert tier == "FREQUENT_ACCESS"
        database = open_database(Settings(data=server.data), open_keyring(Settings(data=server.data)))
        with database.write() as connection:
            connection.execute(image_sets.update().values(last_accessed_at=now_ms() - THIRTY_ONE_DAYS_MS))
        database.close()
        # What is on its way has a name with a dot before it until it is there.
        wait_for(lambda: list((tmp_path / "archive" / "packs").glob("*/*/[!.]*")), "the pack to be archived")
        assert shown()[0] == "ARCHIVE_INSTANT_ACCESS"
        assert [path.is_file() for path in (tmp_path / "archive" / "places").iterdir()] == [True]
        document(client, datastore, image_set)
        wait_for(lambda: not list((tmp_path / "archive" / "packs").glob("*/*/*")), "the pack to come back")
        tier, last = shown()
        assert tier == "FREQUENT_ACCESS"
        assert last >= first
    finally:
        server.stop()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"HOUNSFIELD_\w+", PAGE)) - {"HOUNSFIELD_CONFIG"}))
def test_every_setting_of_the_page_is_one(name: str) -> None:
    assert name.removeprefix("HOUNSFIELD_").lower() in Settings.__dataclass_fields__
