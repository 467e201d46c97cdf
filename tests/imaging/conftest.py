"""A data store of each test's own."""

from __future__ import annotations

from typing import Any

import pytest

from support.imaging.updates import Store
from support.servers import ServerProcess


@pytest.fixture
def store(server: ServerProcess, client: Any) -> Store:
    return Store(server, client)
