"""The warning when the root key does what a user should do.

authentication ─▶ RootKeyWarning.note(principal, action) ─▶ kind of action ─▶ one log line an hour for each kind

The root key can neither be limited nor told from the person who holds it; it is for making users
(docs/how-to/users-and-keys.md).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

import structlog

from hounsfield.iam.principals import Principal

_log = structlog.get_logger(__name__)
_AGAIN_SECONDS: Final = 3600.0


class DataUse(StrEnum):
    """Kinds of actions that touch the data of patients."""

    FRAMES = "image frames"
    METADATA = "metadata"
    SEARCH = "search"
    CHANGE = "changes of image sets"
    STORE = "store"
    IMPORT = "import"


def _actions(use: DataUse, *actions: str) -> dict[str, DataUse]:
    return dict.fromkeys(actions, use)


DATA_USES: Final[Mapping[str, DataUse]] = {
    **_actions(DataUse.FRAMES, "GetImageFrame", "GetDICOMInstance", "GetDICOMInstanceFrames", "GetDICOMBulkdata"),
    **_actions(
        DataUse.METADATA,
        "GetImageSet",
        "GetImageSetMetadata",
        "ListImageSetVersions",
        "GetDICOMInstanceMetadata",
        "GetDICOMSeriesMetadata",
    ),
    **_actions(
        DataUse.SEARCH,
        "SearchImageSets",
        "SearchDICOMStudies",
        "SearchDICOMSeries",
        "SearchDICOMInstances",
        "SearchDICOMStudyInstances",
        "SearchDICOMAllSeries",
        "SearchDICOMAllInstances",
    ),
    **_actions(DataUse.CHANGE, "UpdateImageSetMetadata", "CopyImageSet", "DeleteImageSet"),
    **_actions(DataUse.STORE, "StoreDICOM", "StoreDICOMStudy"),
    **_actions(DataUse.IMPORT, "StartDICOMImportJob"),
}
"""Actions that touch the data of patients. All others set an installation up, or show how it is set up."""


class RootKeyWarning:
    """Logs, in one process, what the root key is used for.

    Parameters
    ----------
    clock : callable
        The time in seconds, never going back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._quiet_until: dict[DataUse, float] = {}
        self._lock = threading.Lock()

    def note(self, principal: Principal, action: str) -> None:
        """Warn when it is the root key that touches data, once an hour for each kind of action.

        Parameters
        ----------
        principal : Principal
            Who calls.
        action : str
            IAM action without its prefix.
        """
        if not principal.is_root or not principal.access_key_id:
            return
        use = DATA_USES.get(action)
        if use is None:
            return
        now = self._clock()
        with self._lock:
            if now < self._quiet_until.get(use, now):
                return
            self._quiet_until[use] = now + _AGAIN_SECONDS
        _log.warning(
            "root key used for data",
            use=use,
            action=action,
            instead="hounsfield user create, see docs/how-to/users-and-keys.md",
        )
