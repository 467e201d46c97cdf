"""The rules of the data, checked after faults: `hounsfield verify` finds nothing."""

from __future__ import annotations

import json

from support.identities.users import command
from support.servers import ServerProcess


def check_data_rules(server: ServerProcess) -> None:
    """Verify everything of a server, running or not; what a process left undone at its death is only a note."""
    result = command(server, "verify", "--json", "--processes", "1")
    report = json.loads(result.stdout)
    wrong = [finding for finding in report["findings"] if finding["severity"] != "note"]
    assert wrong == []
    assert (result.exit_code, report["result"]) == (0, "intact")
