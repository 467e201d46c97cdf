"""Runs of the state machine on a server: how much is drawn, and whether what it made stays."""

from __future__ import annotations

from collections import Counter

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from support.servers import ServerProcess
from support.state_machine.machine import ArchiveMachine


def the_same(examples: int, steps: int) -> settings:
    """Draw the same sequences of operations every time."""
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def others(examples: int, steps: int) -> settings:
    """Draw other sequences each time, and print how to draw one again that fails."""
    return settings(the_same(examples, steps), derandomize=False, print_blob=True)


def run_machine(server: ServerProcess, how: settings, *, stays: bool = False) -> Counter[str]:
    """Run the machine; return how often each operation came to each end."""
    counted: Counter[str] = Counter()

    class OnServer(ArchiveMachine):
        def teardown(self) -> None:
            """Remove what was made, unless it is to stay."""
            if not stays:
                super().teardown()

    OnServer.server, OnServer.client, OnServer.seen = server, server.client(), counted
    run_state_machine_as_test(OnServer, settings=how)
    return counted
