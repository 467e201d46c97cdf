"""Random sequences of operations on a data store, compared with a model after each step.

What must hold: versions once readable never change, one primary image set per series, frames are what went in, the lists, the
search and the metadata tell what the model tells, and what was deleted is gone while what shares its packs stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from support.faults.data_rules import check_data_rules
from support.servers import ServerProcess
from support.state_machine.runs import others, run_machine, the_same

ENVIRONMENT = {
    # Documents are made anew for every reader, so that a kept one never hides that a version changed.
    "HOUNSFIELD_METADATA_CACHE_BYTES": "0",
    "HOUNSFIELD_RELEASE_AFTER_SECONDS": "0",
}
SHORT = the_same(examples=6, steps=10)
LONG = others(examples=60, steps=30)


@pytest.fixture(scope="module")
def prompt_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that keeps no documents and releases storage at once."""
    process = ServerProcess(tmp_path_factory.mktemp("machine") / "data", ENVIRONMENT).start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def prompt_server_on_postgresql(
    tmp_path_factory: pytest.TempPathFactory, postgresql_url: str
) -> Iterator[ServerProcess]:
    environment = {**ENVIRONMENT, "HOUNSFIELD_DATABASE_URL": postgresql_url}
    process = ServerProcess(tmp_path_factory.mktemp("machine-postgresql") / "data", environment).start()
    yield process
    process.stop()


def check_variety(seen: Counter[str]) -> None:
    """Make sure that the drawing leaves out no kind of operation."""
    kinds = {key.rpartition(" ")[0] or key for key in seen}
    assert kinds >= {"import", "update", "study update", "revert", "copy", "promotion", "delete", "outdated"}, seen


def test_any_sequence_of_operations_keeps_to_the_model(prompt_server: ServerProcess) -> None:
    check_variety(run_machine(prompt_server, SHORT))
    check_data_rules(prompt_server)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("fixture", ["prompt_server", "prompt_server_on_postgresql"])
def test_longer_sequences_keep_to_the_model(request: pytest.FixtureRequest, fixture: str) -> None:
    server = request.getfixturevalue(fixture)
    seen = run_machine(server, LONG)
    check_data_rules(server)
    check_variety(seen)
    for kind in ("update", "study update", "revert", "copy", "promotion"):
        assert seen[f"{kind} DONE"], seen
    for kind in ("update", "copy", "promotion"):
        assert seen[f"{kind} FAILED"], seen
