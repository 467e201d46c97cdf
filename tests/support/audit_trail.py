"""The audit trail of a test server, as it is on the disk, and the command that checks it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import structlog
from click.testing import CliRunner, Result

from hounsfield.cli.main import cli
from support.server_files import kept_files
from support.servers import ServerProcess, wait_for

Record = dict[str, Any]


def audit_bytes(server: ServerProcess) -> bytes:
    """Return every byte of the audit folder."""
    return b"".join(kept_files(server.data / "audit").values())


def records(server: ServerProcess) -> list[Record]:
    """Return all records that are written, in the order of the files."""
    found = []
    for path in sorted((server.data / "audit").glob("*.jsonl")):
        for line in path.read_bytes().splitlines(keepends=True):
            entry = json.loads(line) if line.endswith(b"\n") else {"kind": ""}
            if entry["kind"] == "record":
                found.append(entry["body"])
    return found


def api_chains(server: ServerProcess) -> set[str]:
    """Return the names of the chains that API processes began."""
    return {path.name.split(".")[0] for path in (server.data / "audit").glob("*-api-*.jsonl")}


def record_of(server: ServerProcess, request_id: str) -> Record:
    """Wait until the call of a request is recorded, and return its record, of which there is one."""
    found = wait_for(
        lambda: [record for record in records(server) if record.get("requestID") == request_id],
        "the record of the call",
    )
    assert len(found) == 1
    return found[0]


def run_audit(data: Path, *arguments: str, **environment: str) -> Result:
    """Run ``hounsfield audit``, within this process: it starts sooner than one of its own."""
    words = ["audit", arguments[0], "--data", str(data), *arguments[1:]]
    try:
        return CliRunner(env=environment).invoke(cli, words)
    finally:
        # What the command set up logs to a stream that is closed now.
        structlog.reset_defaults()


def verified(server: ServerProcess) -> str:
    """Check the audit trail by the command; gives what it says."""
    done = run_audit(server.data, "verify")
    assert done.exit_code == 0, done.output
    return done.stdout
