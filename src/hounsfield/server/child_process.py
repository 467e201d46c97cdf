"""Child processes of the supervisor: forked from a process with all imports done, and restarted when they end.

    serve ─imports once─┬─fork─▶ api
                        └─fork─▶ runner

So what both need is read once and, as long as it stays as it was, is in memory once; and one that died is there again at once.
Nothing but imports may have happened before a fork: no thread, no connection, no open file of the data folder.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Final

import structlog
from setproctitle import setproctitle

from hounsfield.bootstrap.start_reports import StartReports, report_refusal
from hounsfield.runtime.forking import ForkedProcess
from hounsfield.runtime.service_manager import stop_notifying
from hounsfield.settings import SettingsError

_log = structlog.get_logger(__name__)
_ENDING: Final = (signal.SIGTERM, signal.SIGINT)
_RESTART_SECONDS = 1.0
_SOON_SECONDS = 4.0
_LONGEST_PAUSE_SECONDS = 30.0
_END_SECONDS = 20.0
REFUSED = 2
"""Exit code of a process that cannot work as it is set up."""
_FAILED = 1
"""Exit code of a process that was ended by an error."""


class RefusedError(Exception):
    """A process cannot run as it is set up; the message says why."""


class ChildProcess:
    """A process that is started again when it ends; it runs from when this object is made.

    Parameters
    ----------
    name : str
        What it is called, also in the list of processes.
    run : callable
        What it does until SIGTERM.
    variables : mapping
        Environment variables of it, beside those of this process.
    reports : StartReports
        Where it tells whether it works.
    """

    def __init__(self, name: str, run: Callable[[], None], variables: Mapping[str, str], reports: StartReports) -> None:
        self._reports = reports
        self._name = name
        self._run = run
        self._variables = variables
        self._pause = _RESTART_SECONDS
        self._process: ForkedProcess | None = None
        self._start()

    def _start(self) -> None:
        """Start the process; where the machine has no room for it now, it is tried again by `restart_if_ended`."""
        self._started = time.monotonic()
        process = ForkedProcess(target=_live, args=(self._name, self._run, self._variables), name=self._name)
        # What asks the child to end before it is itself would only be noted, by the copy of what notes it for this process.
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
        try:
            process.start()
        except OSError as error:
            _log.error("process cannot be started now", process=self._name, reason=error.strerror)
        else:
            self._process = process
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)

    def restart_if_ended(self) -> None:
        """Start the process when it has ended; one that ends soon again and again is started ever more slowly.

        Raises
        ------
        RefusedError
            It never worked, as it cannot as it is set up, or as an error ended it.
        """
        self._reports.look()
        now = time.monotonic()
        if self._process is not None and not self._process.is_alive():
            exit_code = self._process.exitcode
            self._process = None
            # What it told before it ended.
            self._reports.look()
            if self._name not in self._reports.ready and exit_code in {REFUSED, _FAILED}:
                why = self._reports.refusals or [f"the {self._name} was ended by an error, which is in the log above"]
                raise RefusedError(why[0])
            _log.error("process ended, starting another", process=self._name, exit_code=exit_code)
            while self._reports.refusals:
                _log.error("process cannot work as it is set up", reason=self._reports.refusals.pop(0))
            lasted = now - self._started
            self._pause = min(2 * self._pause, _LONGEST_PAUSE_SECONDS) if lasted < _SOON_SECONDS else _RESTART_SECONDS
        if self._process is None and now >= self._started + self._pause:
            self._start()

    def ask_to_end(self) -> None:
        """Ask the process to end."""
        if self._process is not None:
            self._process.terminate()

    def end(self) -> None:
        """Wait until the process that was asked to has ended, and kill it when it does not."""
        if self._process is None:
            return
        self._process.join(_END_SECONDS)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()


def _live(name: str, run: Callable[[], None], variables: Mapping[str, str]) -> None:
    """Be the new process, which has nothing of the old one but its imports."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
    setproctitle(f"hounsfield {name}")
    # Processes that are made of this one would otherwise run the script of the first one to find out what it defines.
    sys.modules["__main__"] = ModuleType("__main__")
    os.environ.update(variables)
    stop_notifying()
    try:
        run()
    except SettingsError as error:
        report_refusal(str(error))
        sys.exit(REFUSED)
    except Exception:  # noqa: BLE001 - multiprocessing would write out what the error says
        sys.excepthook(*sys.exc_info())
        sys.exit(1)
