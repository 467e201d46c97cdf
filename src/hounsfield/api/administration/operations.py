"""The table of all operations of administration, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hounsfield.api.administration import audit, buckets, import_progress, import_results, users
from hounsfield.api.administration.operation import Operation

_MODULES: Final = (users, buckets, import_results, import_progress, audit)
OPERATIONS: Final[Mapping[str, Operation]] = {
    operation.name: operation for module in _MODULES for operation in module.OPERATIONS
}
