"""First import of a fork server: no garbage collection, no core dumps.

Frozen objects are left alone by collections in the workers, so their pages stay those of the fork server.
"""

import gc

from hounsfield.runtime.core_dumps import forbid_core_dumps
from hounsfield.runtime.gc_freeze import skip_collection_at_exit
from hounsfield.runtime.standard_error import guard_standard_error

gc.disable()
skip_collection_at_exit()
# It is a program of its own, which has nothing of the one that started it.
forbid_core_dumps()
guard_standard_error()


def enable_collection() -> None:
    """Look for garbage in a worker, but not among what the fork server imported."""
    gc.freeze()
    gc.enable()
