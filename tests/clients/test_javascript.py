"""The AWS SDK for JavaScript on Node: its script walks from an empty data store to a deleted one."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from support.clients.environment import environment_of
from support.files.synthetic import noise, save, slice_of
from support.required_tools import required_tool
from support.servers import ServerProcess

SCRIPT = Path(__file__).parent / "javascript"
SOURCES = ("package.json", "package-lock.json", "tutorial.mjs")


@pytest.fixture(scope="module")
def javascript(request: pytest.FixtureRequest) -> Path:
    """The folder of the script with its packages installed; kept between runs for as long as the lock file is the same."""
    required_tool(
        shutil.which("node") is not None and shutil.which("npm") is not None,
        "Node.js and npm (Debian packages nodejs and npm) are not installed",
    )
    lock = hashlib.sha256((SCRIPT / "package-lock.json").read_bytes()).hexdigest()[:16]
    folder = Path(request.config.cache.mkdir(f"javascript-{lock}"))
    for name in SOURCES:
        shutil.copyfile(SCRIPT / name, folder / name)
    if not (folder / "node_modules/.package-lock.json").exists():
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=280, check=False)
        required_tool(run.returncode == 0, f"npm cannot install the packages: {run.stderr[-500:]}")
    return folder


def node(folder: Path, server: ServerProcess, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["node", *arguments],
        cwd=folder,
        env=environment_of(server, **environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_javascript_sdk_walks_the_tutorial(javascript: Path, server: ServerProcess) -> None:
    slices = [slice_of(series, n, pixels=noise(96, 160, n)) for series, n in ((1, 1), (1, 2), (2, 1))]
    for number, dataset in enumerate(slices):
        save(dataset, server.bucket("incoming") / "javascript" / f"{number}.dcm")
    server.bucket("results")
    run = node(javascript, server, "tutorial.mjs", "s3://incoming/javascript/", "s3://results/")
    assert run.returncode == 0, run.stderr
    seen = json.loads(run.stdout)
    assert seen["imageSets"] == 2
    assert seen["patient"]["PatientName"] == "Roe^Jane"
    of_series = {s.SOPInstanceUID: s.pixel_array for s in slices if s.SeriesInstanceUID == seen["seriesUid"]}
    assert seen["frames"].keys() == of_series.keys()
    for sop_uid, (samples,) in seen["frames"].items():
        np.testing.assert_array_equal(
            np.frombuffer(base64.b64decode(samples), "<i2").reshape(96, 160), of_series[sop_uid]
        )


ASKS_A_RUNTIME_OPERATION = """
import { MedicalImagingClient, SearchImageSetsCommand } from "@aws-sdk/client-medical-imaging";
const client = new MedicalImagingClient({ maxAttempts: 1, ...JSON.parse(process.argv[1]) });
await client
  .send(new SearchImageSetsCommand({ datastoreId: "0".repeat(32), searchCriteria: {} }))
  .catch((error) => console.log(error.name, error.hostname ?? ""));
"""


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ('{"disableHostPrefix": true}', "ResourceNotFoundException"),
        # The environment variable that boto3 and the AWS CLI know means nothing to this SDK.
        ("{}", "Error runtime-localhost.invalid"),
    ],
)
def test_the_prefix_of_the_host_is_switched_off_in_the_client(
    javascript: Path, server: ServerProcess, options: str, answer: str
) -> None:
    asked = ["--input-type=module", "--eval", ASKS_A_RUNTIME_OPERATION, options]
    elsewhere = {} if options != "{}" else {"AWS_ENDPOINT_URL_MEDICAL_IMAGING": "http://localhost.invalid:1"}
    run = node(javascript, server, *asked, **elsewhere)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == answer
