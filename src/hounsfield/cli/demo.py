"""``hounsfield demo``: import the DICOM files that pydicom carries, read every frame back, and say how to go on."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import imagecodecs
import numpy as np
from numpy.typing import NDArray

from hounsfield.cli.import_command import client_for, find_datastore, print_summary, run_import
from hounsfield.iam.root_credentials import credentials_file
from hounsfield.server.supervisor import server_of
from hounsfield.settings import Settings, load_settings

DATASTORE = "demo"
PICTURE = "demo-frame.png"


class DemoError(Exception):
    """What was read back is not what went in."""


def run(data: Path, *, keep_serving: bool) -> None:
    """Take the tour.

    Parameters
    ----------
    data : Path
        Data folder of the demo.
    keep_serving : bool
        Whether to serve on until interrupted.

    Raises
    ------
    DemoError
        A frame does not have its checksum.
    """
    settings = replace(load_settings(), data=data)
    with server_of(data) as url:
        client = client_for(settings, url)
        datastore_id = find_datastore(client, DATASTORE)
        summary = run_import(settings, client, datastore_id, [carried_files()])
        print_summary(summary)
        _read_back(client, datastore_id, data / PICTURE)
        _say_how_to_go_on(settings, url, datastore_id, keep_serving=keep_serving)
        if keep_serving:
            _serve_on()


def carried_files() -> Path:
    """Give the folder of the test files inside the pydicom package."""
    spec = find_spec("pydicom")
    if spec is None or spec.origin is None:
        raise DemoError("The pydicom package is not installed.")
    return Path(spec.origin).parent / "data" / "test_files"


def _read_back(client: Any, datastore_id: str, picture: Path) -> None:
    click.echo(f"\n{'image set':<34}{'primary':<9}{'modality':<10}{'instances':>9}{'frames':>8}{'checked':>9}")
    best: tuple[int, NDArray[Any]] | None = None
    total = 0
    for found in _image_sets(client, datastore_id):
        image_set_id = found["imageSetId"]
        frames = checked = instances = 0
        for instance in _instances(client, datastore_id, image_set_id):
            instances += 1
            for entry in instance["ImageFrames"]:
                frames += 1
                image = _checked_frame(client, datastore_id, image_set_id, instance, entry)
                checked += 1
                if image is not None and (best is None or image.size > best[0]) and image.ndim == 2:
                    best = (image.size, image)
        total += checked
        modality = found["DICOMTags"].get("DICOMSeriesModality", "")
        click.echo(f"{image_set_id:<34}{found['isPrimary']!s:<9}{modality:<10}{instances:>9}{frames:>8}{checked:>9}")
    click.echo(f"\n{total} frames were read back, each with the checksum of what went in.")
    if best is not None:
        picture.write_bytes(imagecodecs.png_encode(_windowed(best[1])))
        click.echo(f"One of them as a picture: {picture}")


def _image_sets(client: Any, datastore_id: str) -> Iterator[dict[str, Any]]:
    for page in client.get_paginator("search_image_sets").paginate(datastoreId=datastore_id, searchCriteria={}):
        yield from page["imageSetsMetadataSummaries"]


def _instances(client: Any, datastore_id: str, image_set_id: str) -> Iterator[dict[str, Any]]:
    answer = client.get_image_set_metadata(datastoreId=datastore_id, imageSetId=image_set_id)
    document = json.loads(gzip.decompress(answer["imageSetMetadataBlob"].read()))
    for series in document["Study"]["Series"].values():
        yield from series["Instances"].values()


def _checked_frame(
    client: Any, datastore_id: str, image_set_id: str, instance: dict[str, Any], entry: dict[str, Any]
) -> NDArray[Any] | None:
    """Fetch a frame and check it against its full-resolution checksum; give its pixels when it was transcoded."""
    answer = client.get_image_frame(
        datastoreId=datastore_id, imageSetId=image_set_id, imageFrameInformation={"imageFrameId": entry["ID"]}
    )
    data = answer["imageFrameBlob"].read()
    image = imagecodecs.htj2k_decode(data, planar=False) if instance["ChecksumType"] == "DECOMPRESSED" else None
    checked: bytes = data if image is None else image.tobytes()
    wanted = entry["PixelDataChecksumFromBaseToFullResolution"][-1]["Checksum"]
    if imagecodecs.deflate_crc32(checked) != wanted:
        raise DemoError(f"Frame {entry['ID']} does not have its checksum.")
    return image


def _windowed(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Spread the middle 99 % of the values over 8 bits."""
    low, high = np.percentile(image, [0.5, 99.5])
    scaled = (image.astype(np.float64) - low) / max(high - low, 1) * 255
    return np.asarray(np.clip(scaled, 0, 255), np.uint8)


def _say_how_to_go_on(settings: Settings, url: str, datastore_id: str, *, keep_serving: bool) -> None:
    shown = url if keep_serving else "http://127.0.0.1:8080"
    click.echo("\nGo on from here:")
    if not keep_serving:
        click.echo(f"  hounsfield serve --data {settings.data}")
    click.echo(f"  export AWS_SHARED_CREDENTIALS_FILE={credentials_file(settings.data).absolute()}")
    click.echo(f"  export AWS_ENDPOINT_URL_MEDICAL_IMAGING={shown} AWS_DEFAULT_REGION={settings.region}")
    click.echo("  export AWS_DISABLE_HOST_PREFIX_INJECTION=true")
    click.echo(f"  aws medical-imaging search-image-sets --datastore-id {datastore_id}")


def _serve_on() -> None:
    click.echo("\nServing; Ctrl-C ends.")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        click.echo("")
