"""The commands of docs/image-sets.md are run in the order in which they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from imports import document, run_import
from servers import ServerProcess, wait_for
from synthetic import save, slice_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "image-sets.md"


def settled(client: Any, datastore: str, image_set: str) -> str:
    """Wait until an image set is not LOCKED and give its workflow status."""

    def status() -> str | None:
        found = client.get_image_set(datastoreId=datastore, imageSetId=image_set)
        return found["imageSetWorkflowStatus"] if found["imageSetState"] != "LOCKED" else None

    return wait_for(status, "the image set to settle")


def test_the_commands_of_the_page_run(server: ServerProcess, client: Any, datastore: str, tmp_path: Path) -> None:
    save(slice_of(study=301), server.bucket("input") / "image-sets-page" / "one.dcm")
    outcome = run_import(server, client, datastore, "image-sets-page/")
    image_set = outcome.summary["imageSetsSummary"][0]["imageSetId"]
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "AWS_SHARED_CREDENTIALS_FILE": str(server.data / "credentials"),
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_MEDICAL_IMAGING": server.url,
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        "DATASTORE": datastore,
        "IMAGE_SET": image_set,
    }
    statuses = []
    for block in re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL):
        run = subprocess.run(
            ["bash", "-ec", block],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert run.returncode == 0, block + run.stderr
        statuses.append(settled(client, datastore, image_set))
        if "update-image-set-metadata" in block:
            patient = document(client, datastore, image_set)["Patient"]["DICOM"]
            assert patient["PatientName"] == "ROE^JANE"
        if "list-tags" in block:
            assert '"project": "head-ct"' in run.stdout
    assert statuses == ["CREATED", "UPDATED", "UPDATED", "UPDATED", "DELETED"]
