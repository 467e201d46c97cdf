"""The table of all operations of administration, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hounsfield.api.administration import (
    access_keys,
    attachments,
    audit,
    buckets,
    datastore_access,
    import_progress,
    import_results,
    policies,
    roles,
    simulation,
    usage,
    users,
)
from hounsfield.api.administration.operation import Operation

_MODULES: Final = (
    users,
    access_keys,
    roles,
    policies,
    attachments,
    simulation,
    datastore_access,
    buckets,
    import_progress,
    import_results,
    audit,
    usage,
)
OPERATIONS: Final[Mapping[str, Operation]] = {
    operation.name: operation for module in _MODULES for operation in module.OPERATIONS
}
