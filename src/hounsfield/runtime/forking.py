"""Forked processes, also on a machine that has no room for one more now.

start ─┬─▶ it runs
       └─▶ OSError: no memory, too many processes ─▶ nothing is left open, and it can be started again later
"""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing import popen_fork, util
from multiprocessing.process import BaseProcess
from typing import Any, Final

_CONTEXT: Final = multiprocessing.get_context("fork")


class ForkedPopen(popen_fork.Popen):
    """What starts a forked process, without the four descriptors that the one of the standard library leaves when it cannot."""

    def _launch(self, process_obj: BaseProcess) -> None:
        code = 1
        parent_r, child_w = os.pipe()
        child_r, parent_w = os.pipe()
        try:
            self.pid = os.fork()
        except BaseException:
            _close(parent_r, child_w, child_r, parent_w)
            raise
        if self.pid == 0:
            try:
                _close(parent_r, parent_w)
                code = process_obj._bootstrap(parent_sentinel=child_r)  # type: ignore[attr-defined] # noqa: SLF001
            finally:
                os._exit(code)
        _close(child_w, child_r)
        self.finalizer = util.Finalize(self, _close, (parent_r, parent_w))
        self.sentinel = parent_r


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


class ForkedProcess(_CONTEXT.Process):  # type: ignore[name-defined,misc]
    """A process that is forked from this one; `start` may be called again after it raised OSError."""

    @staticmethod
    def _Popen(process_obj: BaseProcess) -> Any:  # noqa: N802 - as the standard library calls it
        return ForkedPopen(process_obj)
