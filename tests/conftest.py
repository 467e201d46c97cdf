"""Fixtures for the whole suite."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from shutil import disk_usage
from typing import Any

import psutil
import pytest
from hypothesis import settings

from hounsfield.runtime.gc_freeze import defer_collection
from longest_first import longest_first, taking_turns
from support.examples import examples
from support.imaging.image_stores import image_store  # noqa: F401 - fixtures
from support.servers import ServerProcess, active_datastore
from support.services.object_store import s3  # noqa: F401 - fixtures
from support.services.postgresql import postgresql_server, postgresql_url  # noqa: F401 - fixtures

# Servers start several times a minute; where they may not keep compiled code, each compiles all it imports anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# The same goes for tests, which pytest compiles in a way of its own: for each of its processes, half a minute.
sys.dont_write_bytecode = False

# The time that an example takes says more about the machine than about the property.
settings.register_profile("suite", max_examples=examples(100), deadline=None)
settings.load_profile("suite")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


MEMORY = Path("/dev/shm")
ROOM_BYTES = 4 << 30
"""Several times what the files of a whole run need."""


def pytest_configure(config: pytest.Config) -> None:
    config.args = taking_turns(config.args)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell lets what it starts in the background ignore it, and so would each program of the tests.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    _keep_files_in_memory()


def _keep_files_in_memory() -> None:
    """Let the folders of tests be in memory, where there is room: a server waits for the disk with all it acknowledges."""
    if os.access(MEMORY, os.W_OK) and min(disk_usage(MEMORY).free, psutil.virtual_memory().available) > ROOM_BYTES:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect without looking for garbage, and never look through what was collected: all of it stays to the end."""
    with defer_collection():
        return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    longest_first(items)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real DICOM files beside the project."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the folder ../shared/data with real DICOM files is not there")
    return SHARED_DATA


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server for all tests that do not break it; each uses a data store of its own."""
    # Each test makes data stores, more together than AWS lets an account have, and wants the records of its own strangers.
    settings = {"HOUNSFIELD_QUOTA_DATASTORES": "0", "HOUNSFIELD_AUDIT_UNPROVEN_PER_SECOND": "1000"}
    process = ServerProcess(tmp_path_factory.mktemp("server") / "data", settings, from_scratch=True).start()
    yield process
    process.stop()


@pytest.fixture(scope="session")
def client(server: ServerProcess) -> Any:
    return server.client()


@pytest.fixture
def datastore(client: Any) -> str:
    return active_datastore(client)
