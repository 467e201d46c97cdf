"""Core dumps: forbidden, as is reading the memory of a process from another of the same user.

A core dump of a server holds names of patients, keys of the installation and secrets of its users.
"""

from __future__ import annotations

import ctypes
import os
import resource
from typing import Final

VARIABLE: Final = "HOUNSFIELD_CORE_DUMPS"
"""Environment variable that lets processes be dumped; what a file of settings says is put there, for those that are started."""
_SET_DUMPABLE: Final = 4
"""PR_SET_DUMPABLE of linux/prctl.h."""


def forbid_core_dumps() -> None:
    """Let this process and those forked from it write no core dump and be looked into by nobody but root (Linux: prctl).

    A program that is started anew must call it again. It does nothing where the environment allows core dumps.
    """
    if os.environ.get(VARIABLE, "").lower() in {"true", "1", "yes"}:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "prctl"):
        libc.prctl(_SET_DUMPABLE, 0, 0, 0, 0)
