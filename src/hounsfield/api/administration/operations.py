"""The table of all operations of administration, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hounsfield.api.administration import buckets, import_results, users
from hounsfield.api.administration.operation import Operation

OPERATIONS: Final[Mapping[str, Operation]] = {
    operation.name: operation for operation in (*users.OPERATIONS, *buckets.OPERATIONS, *import_results.OPERATIONS)
}
