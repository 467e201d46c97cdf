"""Programs without what lets root read, write and look into everything, so that modes of files count for them too."""

from __future__ import annotations

import ctypes

_CAPBSET_DROP = 24
_CAPABILITIES = 64


def as_any_user() -> None:
    """Take all capabilities from a program that is about to be started (``preexec_fn``)."""
    for capability in range(_CAPABILITIES):
        ctypes.CDLL(None).prctl(_CAPBSET_DROP, capability, 0, 0, 0)
