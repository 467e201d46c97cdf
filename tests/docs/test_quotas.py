"""docs/reference/quotas.md: its tables are those of the code, its examples run as they stand there."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

from hounsfield.settings import PREFIX, Settings
from hounsfield.settings.throttling import AWS_RATES, UNLIMITED_BY_AWS
from support.servers import ServerProcess

TEXT = (Path(__file__).resolve().parents[2] / "docs/reference/quotas.md").read_text()


def test_the_quotas_are_those_of_the_settings() -> None:
    told = {name: int(value) for value, name in re.findall(r"\| `(\d+)` \| `(\w+)` \|", TEXT)}
    quotas = [field for field in fields(Settings) if field.name.startswith("quota_")]
    assert told == {PREFIX + field.name.upper(): field.default for field in quotas}


def test_the_rates_are_those_of_the_code() -> None:
    told = re.findall(r"^\| (\w+) \| ([\d.]+) \| (\d+) \|$", TEXT, re.MULTILINE)
    assert told == [(action, f"{rate.per_second:g}", str(rate.burst)) for action, rate in AWS_RATES.items()]
    (unlimited,) = re.findall(r"AWS names no rates for (.*?);", TEXT, re.DOTALL)
    assert set(re.findall(r"`(\w+)`", unlimited)) == UNLIMITED_BY_AWS


def test_the_examples_run(tmp_path: Path) -> None:
    (block,) = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    *exports, command = block.splitlines()
    settings = dict(line.removeprefix("export ").split("=", 1) for line in exports)
    assert command == "hounsfield serve --data data"
    server = ServerProcess(tmp_path / "data", settings).start()
    try:
        (example,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
        run = subprocess.run(
            [sys.executable, "-c", example],
            env={
                "AWS_SHARED_CREDENTIALS_FILE": str(server.data / "credentials"),
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_ENDPOINT_URL_MEDICAL_IMAGING": server.url,
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (run.returncode, run.stdout) == (0, "200\n" * 4), run.stderr
    finally:
        server.stop()
