"""What a fork server imports first: it keeps all it imports and makes nothing else, so it has no garbage to look for.

Frozen objects are left alone by collections in the workers, so their pages stay those of the fork server.
"""

import gc

from hounsfield.garbage import end_without_collecting

gc.disable()
end_without_collecting()


def collect_from_now_on() -> None:
    """Look for garbage in a worker, but not among what the fork server imported."""
    gc.freeze()
    gc.enable()
