"""Read by Python when a server of the tests starts: it sees no package that only development needs, as those of users."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module

_HIDDEN = frozenset(os.environ.get("HIDDEN_PACKAGES", "").split(","))


class _Hiding:
    """A finder that finds nothing, before all others."""

    @staticmethod
    def find_spec(name: str, _path: Sequence[str] | None = None, _target: object = None) -> None:
        if name in _HIDDEN:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, _Hiding)

for fault in filter(None, os.environ.get("FAULTS", "").split(",")):
    # A module that changes what the operating system does for this process.
    import_module(fault)
