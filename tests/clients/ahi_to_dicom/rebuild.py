"""Rebuilds DICOM files from image sets with AHItoDICOMInterface; run by the Python that has it, not by the tests' own.

    python rebuild.py FOLDER SECONDS < tasks.json

A task is {"datastoreId", "imageSetId"} or {"datastoreId", "studyInstanceUID"}, with "headerOnly" if there are to be no pixels.
The files of task n are written to FOLDER/n/<SOP Instance UID>.dcm. Prints a list: for each task what went wrong, or null.
Where the server is, and with which credentials it is asked, the client knows from environment variables alone.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
from pathlib import Path
from typing import Any

from AHItoDICOMInterface.AHItoDICOM import AHItoDICOM


def out_of_time(signum: int, frame: object) -> None:
    raise TimeoutError("the client does not come to an end")


def rebuild(task: dict[str, Any], folder: Path) -> str | None:
    """Rebuild the files of one task; return what went wrong."""
    # A client of its own: what an error leaves running would take the work of the next one.
    client = AHItoDICOM(fetcher_process_count=2, dicomizer_process_count=1)
    datastore_id, header_only = task["datastoreId"], task.get("headerOnly", False)
    try:
        if "imageSetId" in task:
            datasets = client.DICOMizeImageSet(
                datastore_id=datastore_id, image_set_id=task["imageSetId"], header_only=header_only
            )
        else:
            datasets = client.DICOMizeByStudyInstanceUID(
                datastore_id=datastore_id, study_instance_uid=task["studyInstanceUID"], header_only=header_only
            )
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    saved = [client.saveAsDICOM(dataset, str(folder)) for dataset in datasets]
    return None if all(saved) else "saveAsDICOM: a file could not be written"


def main(folder: Path, seconds: int) -> None:
    signal.signal(signal.SIGALRM, out_of_time)
    outcomes = []
    for number, task in enumerate(json.load(sys.stdin)):
        signal.alarm(seconds)
        outcomes.append(rebuild(task, folder / str(number)))
        signal.alarm(0)
    print(json.dumps(outcomes), flush=True)
    # After an error the client leaves processes and a thread behind that never end.
    for process in multiprocessing.active_children():
        process.kill()
    os._exit(0)


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    main(Path(sys.argv[1]), int(sys.argv[2]))
