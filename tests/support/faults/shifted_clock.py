"""The wall clock of a server and all its processes, moved while they run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from support.required_tools import required_tool

_SOURCE = Path(__file__).with_name("shifted_clock.c")
_BYTES = 8


class ShiftedClock:
    """A clock that processes started with its `environment` take for the time; monotonic clocks go on as they do.

    Parameters
    ----------
    folder : Path
        Where it is kept.
    """

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc")
        required_tool(compiler is not None, "a C compiler is needed to move the clock of a process")
        folder.mkdir(parents=True, exist_ok=True)
        library, self._file = folder / "shifted_clock.so", folder / "seconds"
        subprocess.run([str(compiler), "-shared", "-fPIC", "-O1", "-o", library, _SOURCE], check=True)
        self._file.write_bytes(bytes(_BYTES))
        self.environment = {"LD_PRELOAD": str(library), "SHIFTED_CLOCK": str(self._file)}

    def move(self, seconds: int) -> None:
        """Let the time be so much later than it is, earlier where that is negative, from this moment on."""
        with self._file.open("r+b") as file:
            file.write(seconds.to_bytes(_BYTES, "little", signed=True))
