"""The rules of the data, checked after faults: `hounsfield verify` finds nothing."""

from __future__ import annotations

import json
import os
import time

from hounsfield.settings import load_settings
from support.identities.users import command
from support.imaging.orphan_sweeps import swept
from support.servers import ServerProcess


def check_data_rules(server: ServerProcess) -> None:
    """Verify everything of a server, running or not; what a process left undone at its death is only a note."""
    result = command(server, "verify", "--json", "--processes", "1")
    report = json.loads(result.stdout)
    wrong = [finding for finding in report["findings"] if finding["severity"] != "note"]
    assert wrong == []
    assert (result.exit_code, report["result"]) == (0, "intact")


def check_nothing_is_left(server: ServerProcess) -> None:
    """Sweep a server that does not run, as if grace times were over: no pack that no row names is left, nothing half written.

    This is for packs in the data folder: those in a bucket cannot be made older.
    """
    own = {name: value for name, value in server.environment.items() if name.startswith("HOUNSFIELD_")}
    settings = load_settings({**own, "HOUNSFIELD_DATA": str(server.data)})
    packs = server.data / "blobs" / "packs"
    days_ago = time.time() - 3 * 24 * 3600
    for path in packs.rglob("*"):
        os.utime(path, (days_ago, days_ago))
    for _ in range(3):
        left = swept(settings, hours_later=25)
    assert left == 0
    assert not [path for path in packs.rglob(".*") if path.is_file()], "what was half written is still there"
    assert not list((server.data / "spool").glob("*"))
    check_data_rules(server)
