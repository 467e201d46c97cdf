"""A machine without memory for another process, while a file is there: imported by each process of a server of the tests."""

from __future__ import annotations

import errno
import os
from pathlib import Path

_VARIABLE = "FORKS_FAIL_WHILE"
_fork = os.fork


def failing_while(file: Path) -> dict[str, str]:
    """Return the environment of a server whose forks fail while a file is there."""
    tests = Path(__file__).parents[2]
    path = os.pathsep.join((str(tests / "support" / "as_installed"), str(tests)))
    return {"PYTHONPATH": path, "FAULTS": "support.faults.failing_forks", _VARIABLE: str(file)}


def _fork_or_fail() -> int:
    if Path(os.environ[_VARIABLE]).exists():
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
    return _fork()


if _VARIABLE in os.environ:
    os.fork = _fork_or_fail
