"""What is logged of an error that nobody foresaw: where it came from, and nothing that it says."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PATIENT = "DOE^JANE"
FORESEEN_BY_NOBODY = """
import sys, threading
import structlog
from hounsfield.runtime.logs import configure_logs

configure_logs("info")
log = structlog.get_logger("test")

def number(text):
    return float(text)

def wrapped(text):
    try:
        return number(text)
    except ValueError as error:
        raise KeyError(text) from error

if sys.argv[1] == "logged":
    try:
        wrapped(sys.argv[2])
    except KeyError as error:
        log.error("request failed", exc_info=error)
elif sys.argv[1] == "current":
    try:
        wrapped(sys.argv[2])
    except KeyError:
        log.exception("request failed")
elif sys.argv[1] == "thread":
    thread = threading.Thread(target=wrapped, args=(sys.argv[2],))
    thread.start()
    thread.join()
else:
    wrapped(sys.argv[2])
"""


@pytest.mark.parametrize("how", ["logged", "current", "thread", "uncaught"])
def test_the_trace_of_an_error_has_places_and_no_values(how: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", FORESEEN_BY_NOBODY, how, PATIENT],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert PATIENT not in run.stderr + run.stdout
    entry = json.loads(run.stderr.strip().splitlines()[-1])
    first, then = entry["exception"].split("\nthen\n")
    assert first.endswith("builtins.ValueError")
    assert "in number" in first
    assert then.endswith("builtins.KeyError")
    assert "in wrapped" in then
