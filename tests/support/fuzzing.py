"""How a fuzz test runs.

    make test             the same inputs every time, for a few seconds
    FUZZ_MINUTES=60 make fuzz   new inputs, for as long as said, shared between the tests

A test gets inputs and must end with a result or with the errors that are documented. Each input may take only so much of the
processor and of memory.
"""

from __future__ import annotations

import functools
import os
import resource
import time
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from support.examples import examples as sized

MINUTES = float(os.environ.get("FUZZ_MINUTES", "0"))
TESTS: list[str] = []
MOST_CPU_SECONDS = 20.0
MOST_MEMORY_BYTES = 1 << 30


def fuzz(*inputs: st.SearchStrategy[Any], examples: int = 80) -> Callable[[Callable[..., None]], Callable[[], None]]:
    """Call a test with many inputs.

    Parameters
    ----------
    *inputs : SearchStrategy
        One for each parameter of the test.
    examples : int
        How many, where it runs for seconds only.
    """

    def decorated(test: Callable[..., None]) -> Callable[[], None]:
        TESTS.append(test.__qualname__)

        def bounded(*given_inputs: Any) -> None:
            begun = time.process_time()
            test(*given_inputs)
            assert time.process_time() - begun < MOST_CPU_SECONDS, "the input takes too long"

        configured = settings(
            max_examples=sized(examples),
            derandomize=not MINUTES,
            database=None,
            deadline=None,
            phases=(Phase.explicit, Phase.generate, Phase.shrink) if MINUTES else (Phase.explicit, Phase.generate),
            suppress_health_check=list(HealthCheck),
        )
        once = configured(given(st.tuples(*inputs))(lambda values: bounded(*values)))

        # Not functools.wraps: pytest would ask for fixtures of the names of the parameters.
        def run() -> None:
            until = time.monotonic() + MINUTES * 60 / len(TESTS)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            once()
            while time.monotonic() < until:
                once()
            grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
            assert grown < MOST_MEMORY_BYTES, f"the process grew by {grown} bytes"

        functools.update_wrapper(run, test, assigned=("__module__", "__name__", "__qualname__", "__doc__"), updated=())
        del run.__wrapped__
        return run

    return decorated


@st.composite
def damaged(draw: st.DrawFn, originals: st.SearchStrategy[bytes], *, within: int = 1 << 30) -> bytes:
    """Bytes that were right, with a few changes among the first ``within``."""
    data = bytearray(draw(originals))
    for _ in range(draw(st.integers(1, 6))):
        end = min(len(data), within)
        if not end:
            break
        at = draw(st.integers(0, end - 1))
        match draw(st.integers(0, 6)):
            case 0:
                data[at] = draw(st.integers(0, 255))
            case 1:
                data[at] ^= 1 << draw(st.integers(0, 7))
            case 2:
                data[at : at + 4] = draw(
                    st.sampled_from([b"\xff" * 4, bytes(4), b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80"])
                )
            case 3:
                del data[at : at + draw(st.integers(1, 200))]
            case 4:
                data[at:at] = draw(st.binary(min_size=1, max_size=12))
            case 5:
                data[at:at] = data[at : at + draw(st.integers(1, 400))]
            case _:
                del data[at:]
    return bytes(data)


@st.composite
def pieces(draw: st.DrawFn, whole: bytes) -> list[bytes]:
    """Bytes cut anywhere, as they may arrive."""
    cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=20)))
    return [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
