"""``hounsfield compact``: small packs become large ones, and released bytes go, at once.

options ─▶ the work item of compaction, when no runner has it ─▶ one pass ─▶ report, exit code
"""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from hounsfield.bootstrap.compaction import open_rewriting_process, read_times
from hounsfield.cli.long_work import NotCarriedOutError, opened_installation, stopped_by_signals
from hounsfield.cli.output import Output, moment
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.tiering.compaction import COMPACT, Compactor, schedule_compaction
from hounsfield.imaging.tiering.compaction_status import CompactionStatus, read_compaction_status
from hounsfield.jobs.queue import LeaseLostError, WorkItem
from hounsfield.jobs.runner import StoppedError
from hounsfield.storage.clock import to_datetime
from hounsfield.storage.db.errors import DatabaseTroubleError
from hounsfield.storage.identifiers import new_id

EXIT_LEFT: Final = 1
"""Some packs could not be read, or there is no room."""
_TRIES: Final = 8
_TRY_SECONDS: Final = 0.25


def compact(data: Path, output: Output) -> int:
    """Make one pass in which no pack waits, print what was done, and return the exit code.

    Raises
    ------
    NotCarriedOutError
        There is no installation, it cannot be opened, or a runner is compacting it; or this was interrupted.
    """
    with opened_installation(data) as (settings, image_store, _), stopped_by_signals() as stop:
        schedule_compaction(image_store)
        item = _take(image_store)
        if item is None:
            raise NotCarriedOutError("a runner is compacting packs just now; try again when it has ended its pass")
        writer = open_rewriting_process(settings, image_store, stop)
        compactor = Compactor(image_store, read_times(settings), writer.write, stop)
        try:
            with image_store.queue.renewed(item):
                counts = compactor.run_pass(item, at_once=True)
        except StoppedError as error:
            raise NotCarriedOutError("interrupted; the same command goes on from what is there") from error
        except LeaseLostError as error:
            raise NotCarriedOutError(f"{error}; a runner goes on with it") from error
        except (DatabaseTroubleError, OSError) as error:
            raise NotCarriedOutError(str(error)) from error
        finally:
            writer.close()
            image_store.queue.release_lease(item, read_times(settings).pause, failed=False)
        output.say(_report_json(counts), _report_lines(counts))
        return EXIT_LEFT if counts["packs_left"] else 0


def _take(image_store: ImageStore) -> WorkItem | None:
    """Take the work item of compaction; a pass of a runner that has nothing to do is waited for."""
    owner = f"command-{new_id()[:8]}"
    for _ in range(_TRIES):
        item = image_store.queue.take(COMPACT, owner)
        if item is not None:
            return item
        time.sleep(_TRY_SECONDS)
    return None


def show_status(data: Path, output: Output) -> None:
    """Print how compaction stands in each data store; raises `NotCarriedOutError`."""
    with opened_installation(data) as (_, image_store, _):
        found = read_compaction_status(image_store)
        output.say(
            [dataclasses.asdict(status) for status in found],
            [line for status in found for line in _status_lines(status)] or ["nothing was compacted yet"],
        )


def _report_json(counts: Counter[str]) -> dict[str, int]:
    names = ("packs_rewritten", "packs_written", "packs_deleted", "bytes_written", "bytes_deleted", "packs_left")
    return {name: counts[name] for name in names}


def _report_lines(counts: Counter[str]) -> Sequence[str]:
    lines = [
        f"{counts['packs_rewritten']} packs brought into {counts['packs_written']}, {counts['bytes_written']} bytes written",
        f"{counts['packs_deleted']} old packs deleted, {counts['bytes_deleted']} bytes",
    ]
    if counts["packs_left"]:
        lines.append(f"{counts['packs_left']} left as they are, see the log")
    return lines


def _status_lines(status: CompactionStatus) -> Iterator[str]:
    ran = "never" if status.ran_at is None else moment(to_datetime(status.ran_at))
    yield f"data store {status.datastore_id}, last pass {ran}"
    yield f"  {status.small_packs} packs below 64 MiB, {status.small_bytes} bytes"
    yield f"  {status.packs_to_erase} packs with records to erase, {status.dead_bytes} bytes"
    yield f"  {status.waiting_packs} old packs wait to be deleted, {status.waiting_bytes} bytes"
    if status.left_packs:
        yield f"  {status.left_packs} packs are left alone for now"
    yield f"  {status.bytes_written} bytes written for {status.bytes_taken_in} bytes of small packs, since the beginning"
