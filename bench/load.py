"""Load by wrk, one thread, over kept connections."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.server import BenchmarkError
from bench.signing import SignedRequest

_SCRIPT = Path(__file__).with_name("frames.lua")


@dataclass(frozen=True)
class Load:
    """What a server did under load; times in milliseconds."""

    requests_per_second: float
    p50: float
    p99: float


def wrk() -> str | None:
    """Return the path of wrk, None where it is not installed."""
    return shutil.which("wrk")


def write_requests(path: Path, requests: Sequence[SignedRequest]) -> None:
    """Write the file that the script of wrk reads."""
    lines = []
    for request in requests:
        headers = [text for pair in request.headers.items() for text in pair]
        lines.append("\t".join([request.method, request.path, request.body.decode() or "-", *headers]))
    path.write_text("\n".join(lines) + "\n")


def measure(url: str, requests: Path, connections: int, seconds: float) -> Load:
    """Send requests for some seconds; raises `BenchmarkError` when one of them failed."""
    command = [str(wrk()), "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", str(_SCRIPT), url]
    environment = {**os.environ, "BENCH_REQUESTS": str(requests)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    line = next((line for line in done.stdout.splitlines() if line.startswith("{")), None)
    if line is None:
        raise BenchmarkError(f"wrk did not report: {done.stdout[-500:]} {done.stderr[-500:]}")
    found = json.loads(line)
    if found["failed"] or not found["requests"]:
        raise BenchmarkError(f"requests failed under load: {line}")
    return Load(found["requests"] / (found["microseconds"] / 1e6), found["p50"] / 1000, found["p99"] / 1000)
