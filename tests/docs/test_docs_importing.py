"""The command of docs/importing.md is run, and its table of limits compared with the settings."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from hounsfield.settings import PREFIX, Settings
from imports import document, instances, outcome_of
from servers import ServerProcess, finished_job
from synthetic import save, slice_of, uid

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "importing.md").read_text()


def test_the_metadata_file_of_the_page(server: ServerProcess, client: Any, datastore: str, tmp_path: Path) -> None:
    for number in (1, 2):
        save(slice_of(number=number, study=311), server.bucket("incoming") / "study-7" / f"{number}.dcm")
    server.bucket("results")
    (tmp_path / "data").symlink_to(server.data)
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "AWS_SHARED_CREDENTIALS_FILE": str(server.data / "credentials"),
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_MEDICAL_IMAGING": server.url,
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        "DATASTORE": datastore,
        "STUDY": uid(311),
        "INSTANCE": uid(311, 1, 1),
    }
    (block,) = [text for text in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) if "corrections.json" in text]
    run = subprocess.run(
        ["bash", "-ec", block], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode == 0, run.stderr
    job = finished_job(client, datastore, json.loads(run.stdout)["jobId"])
    (entry,) = outcome_of(server, job).summary["imageSetsSummary"]
    found = document(client, datastore, entry["imageSetId"])
    assert found["Patient"]["DICOM"]["PatientName"] == "Müller^Anna"
    assert {s["DICOM"]["InstitutionName"] for s in found["Study"]["Series"].values()} == {"General Hospital"}
    comments = {sop_uid: instance["DICOM"].get("ImageComments") for sop_uid, instance in instances(found)}
    assert comments == {uid(311, 1, 1): "The first slice", uid(311, 1, 2): None}


def test_the_limits_of_the_page_are_the_defaults() -> None:
    rows = re.findall(rf"^\| ([\d,]+)( GB| MB)? [^|]*\| `{PREFIX}(QUOTA_\w+)` \|", PAGE, re.MULTILINE)
    units = {"": 1, " GB": 1024**3, " MB": 1024**2}
    told = {name.lower(): int(number.replace(",", "")) * units[unit] for number, unit, name in rows}
    names = [name for name in Settings.__dataclass_fields__ if name.startswith("quota_import_")]
    assert told == {name: getattr(Settings(), name) for name in [*names, "quota_metadata_bytes"]}
