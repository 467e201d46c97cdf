"""The tour: a phantom and the files that pydicom carries go in, every frame comes back, and a picture is made.

server ─▶ data store ─▶ user ─▶ import ─▶ read back ─▶ summary, picture, what to do next
"""

from __future__ import annotations

import shlex
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any, Final

import click
import imagecodecs
import numpy as np
from botocore.exceptions import ClientError
from numpy.typing import NDArray

from hounsfield.cli.console_link import new_link
from hounsfield.cli.demo.failures import failure_lines
from hounsfield.cli.demo.picture import HEART_IMAGE, RenderingError, four_views, rendered_url
from hounsfield.cli.demo.read_back import ChecksumError, StoredImageSet, checked_frame, stored_image_sets
from hounsfield.cli.demo.user import NAME, user_credentials_file, user_key
from hounsfield.cli.import_command import (
    ImportSummary,
    check_bucket_folder,
    client_for,
    client_with_key,
    find_datastore,
    outcome_of,
    print_counts,
    run_import,
)
from hounsfield.iam.root_credentials import AccessKey
from hounsfield.phantom.ct_series import SERIES_UID, STUDY_UID, VERSION, ct_files
from hounsfield.phantom.torso import PARTS, empty_volume
from hounsfield.phantom.volume import SLICES
from hounsfield.server.supervisor import free_port, server_of, url_of
from hounsfield.settings import Settings, load_settings

DATASTORE: Final = "demo"
PICTURE: Final = "demo.png"
_JOB: Final = f"hounsfield-demo-{VERSION}"
_HOST: Final = "127.0.0.1"
_USUAL_PORT: Final = 8080
"""Where ``hounsfield serve`` listens."""
_KNOWN_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.05


class DemoError(Exception):
    """What was read back is not what went in, or the demo cannot be carried out here."""


def run(data: Path, *, keep_serving: bool) -> None:
    """Take the tour.

    Parameters
    ----------
    data : Path
        Data folder of the demo.
    keep_serving : bool
        Whether to serve on until interrupted or terminated.

    Raises
    ------
    DemoError
        A frame does not have its checksum, or the server refuses what the demo asks for.
    ImportFailedError
        Files cannot be imported into this installation.
    """
    # Without this, SIGTERM would end the demo only, and leave the server that it started.
    signal.signal(signal.SIGTERM, _end)
    began = time.monotonic()
    settings = replace(load_settings(), data=data)
    check_bucket_folder(settings)
    click.echo(f"Hounsfield demo in {data}\n")
    with server_of(data) as url:
        try:
            datastore_id = find_datastore(client_for(settings, url), DATASTORE)
            _show(settings, url, datastore_id)
        except ClientError as error:
            raise DemoError(f"The server refused: {error}") from error
        click.echo(f"\nAll of it took {time.monotonic() - began:.0f} s.")
        _say_how_to_go_on(settings, url, datastore_id, keep_serving=keep_serving)
        if keep_serving:
            _serve_on(url)


def _end(number: int, _frame: FrameType | None) -> None:
    """End the program as the signal would, but by way of all that is to be done at its end."""
    raise SystemExit(128 + number)


def _show(settings: Settings, url: str, datastore_id: str) -> None:
    key = user_key(settings, datastore_id)
    client = client_with_key(settings, url, key)
    _wait_for_key(client, datastore_id)
    summary = earlier_import(settings, client, datastore_id) or _import(settings, client, datastore_id)
    image_sets = stored_image_sets(client, datastore_id)
    volume = _read_back(client, datastore_id, image_sets)
    _say_what_happened(summary, image_sets)
    _make_picture(settings, url, key, datastore_id, volume)


def carried_files() -> Path:
    """Return the folder of the test files inside the pydicom package."""
    spec = find_spec("pydicom")
    if spec is None or spec.origin is None:
        raise DemoError("The pydicom package is not installed.")
    return Path(spec.origin).parent / "data" / "test_files"


def _wait_for_key(client: Any, datastore_id: str) -> None:
    """Wait until servers have noticed the key and the policy, which takes them less than a second."""
    until = time.monotonic() + _KNOWN_SECONDS
    while True:
        try:
            client.get_datastore(datastoreId=datastore_id)
        except ClientError:
            if time.monotonic() > until:
                raise
            time.sleep(_LOOK_SECONDS)
        else:
            return


def earlier_import(settings: Settings, client: Any, datastore_id: str) -> ImportSummary | None:
    """Return what an earlier demo in the same folder imported; None where none came to its end.

    Parameters
    ----------
    settings : Settings
        The installation.
    client : botocore client
        Of the medical-imaging service.
    datastore_id : str
        The data store of the demo.
    """
    pages = client.get_paginator("list_dicom_import_jobs").paginate(datastoreId=datastore_id, jobStatus="COMPLETED")
    found = [job["jobId"] for page in pages for job in page["jobSummaries"] if job["jobName"] == _JOB]
    if not found:
        return None
    job = client.get_dicom_import_job(datastoreId=datastore_id, jobId=found[0])["jobProperties"]
    try:
        counts, failures = outcome_of(settings, job)
    except (OSError, ValueError):
        # Its output was cleared away: what it imported is imported once more.
        return None
    click.echo("Everything is here from an earlier run and is not imported again.")
    return ImportSummary([counts], failures)


def _import(settings: Settings, client: Any, datastore_id: str) -> ImportSummary:
    with TemporaryDirectory(prefix="phantom-", dir=settings.data) as folder:
        _write_phantom(Path(folder))
        return run_import(settings, client, datastore_id, [Path(folder), carried_files()], role=NAME, job_name=_JOB)


def _write_phantom(folder: Path) -> None:
    volume = empty_volume()
    with click.progressbar(length=len(PARTS) * SLICES // 8 + SLICES, label="Painting a phantom") as bar:
        for paint_part in PARTS:
            paint_part(volume)
            bar.update(SLICES // 8)
        for name, content in ct_files(volume):
            (folder / name).write_bytes(content)
            bar.update(1)


def _read_back(client: Any, datastore_id: str, image_sets: Sequence[StoredImageSet]) -> NDArray[np.int16] | None:
    """Read every frame; return the phantom, if all of it is there."""
    slices: dict[int, NDArray[Any]] = {}
    with click.progressbar(length=sum(found.frame_count for found in image_sets), label="Reading back") as bar:
        for instance in (instance for found in image_sets for instance in found.instances):
            for frame in instance.frames:
                try:
                    pixels = checked_frame(client, datastore_id, frame)
                except ChecksumError as error:
                    raise DemoError(str(error)) from error
                if instance.series_uid == SERIES_UID and instance.number is not None and pixels is not None:
                    slices[instance.number] = pixels
                bar.update(1)
    return np.stack([slices[number] for number in sorted(slices)]) if len(slices) == SLICES else None


def _say_what_happened(summary: ImportSummary, image_sets: Sequence[StoredImageSet]) -> None:
    click.echo("")
    print_counts(summary)
    total = sum(found.frame_count for found in image_sets)
    click.echo(f"Frames read back  {total:>8}   each with the checksum of what went in")
    click.echo(f"\n{'modality':<10}{'image sets':>10}{'instances':>11}{'frames':>8}")
    counts: Counter[str] = Counter()
    for found in image_sets:
        counts[found.modality] += found.frame_count
    for modality, frames in counts.most_common():
        same = [found for found in image_sets if found.modality == modality]
        instances = sum(len(found.instances) for found in same)
        click.echo(f"{modality or '(none)':<10}{len(same):>10}{instances:>11}{frames:>8}")
    all_instances = sum(len(found.instances) for found in image_sets)
    click.echo(f"{'all':<10}{len(image_sets):>10}{all_instances:>11}{total:>8}")
    click.echo("Files that hold the same instance count once. Instances without pixel data have no frames.")
    if summary.failures:
        click.echo("\nSome of the files that pydicom carries are not DICOM, or lack something. They were not imported:")
        for line in failure_lines(summary.failures):
            click.echo(line)


def _make_picture(
    settings: Settings, url: str, key: AccessKey, datastore_id: str, volume: NDArray[np.int16] | None
) -> None:
    path = settings.data / PICTURE
    if volume is None:
        click.echo("\nThere is no picture: the phantom is no longer in the data store.")
        return
    try:
        path.write_bytes(imagecodecs.png_encode(four_views(settings, url, key, datastore_id, volume)))
    except (OSError, RenderingError) as error:
        click.echo(f"\nThere is no picture: {error}")
        return
    click.echo(f"\nThe phantom in four views: {path}")


def _say_how_to_go_on(settings: Settings, url: str, datastore_id: str, *, keep_serving: bool) -> None:
    port = _port_for_later()
    shown = url if keep_serving else url_of(settings, _HOST, port)
    credentials = shlex.quote(str(user_credentials_file(settings.data).absolute()))
    click.echo("\nGo on from here:")
    if not keep_serving:
        elsewhere = "" if port == _USUAL_PORT else f" --port {port}"
        click.echo(f"  {_program()} serve --data {shlex.quote(str(settings.data))}{elsewhere}")
    click.echo("\nWith the AWS CLI:")
    click.echo(f"  export AWS_SHARED_CREDENTIALS_FILE={credentials} AWS_DEFAULT_REGION={settings.region}")
    click.echo(f"  export AWS_ENDPOINT_URL_MEDICAL_IMAGING={shown} AWS_DISABLE_HOST_PREFIX_INJECTION=true")
    click.echo(f"  aws medical-imaging search-image-sets --datastore-id {datastore_id}")
    click.echo(f"\nWith DICOMweb at {shown}/datastore/{datastore_id}:")
    click.echo(f"  curl --aws-sigv4 aws:amz:{settings.region}:medical-imaging \\")
    click.echo(f"    --user \"$(sed -n 's/.* = //p' {credentials} | paste -sd:)\" \\")
    click.echo("    -H 'Accept: image/png' --output heart.png \\")
    click.echo(f"    '{rendered_url(shown, datastore_id, HEART_IMAGE)}'")
    _offer_console(settings.data, shown, datastore_id, keep_serving=keep_serving)


def _offer_console(data: Path, url: str, datastore_id: str, *, keep_serving: bool) -> None:
    """Print links that sign in to the console as root: the demo has nothing but what it made itself."""
    while_serving = "" if keep_serving else ", while the command above serves"
    click.echo(
        f"\nIn a browser{while_serving}. Each link signs in once, within five minutes. The phantom in the viewer:"
    )
    click.echo(new_link(data, url, page=f"/console/datastores/{datastore_id}/view?study={STUDY_UID}").address)
    click.echo("The console:")
    click.echo(new_link(data, url).address)
    click.echo(f"Another one: {_program()} console --data {shlex.quote(str(data))}")


def _port_for_later() -> int:
    """Return the port that ``hounsfield serve`` would take, or one that is free where another program has it."""
    try:
        socket.create_server((_HOST, _USUAL_PORT)).close()
    except OSError:
        return free_port(_HOST)
    return _USUAL_PORT


def _program() -> str:
    """Return how the user calls this program."""
    return "hounsfield" if which("hounsfield") else sys.argv[0]


def _serve_on(url: str) -> None:
    click.echo(f"\nServing at {url}; Ctrl-C ends.")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        click.echo("")
