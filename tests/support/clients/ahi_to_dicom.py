"""DICOM files rebuilt from image sets by AHItoDICOMInterface, and how they compare with the files that were imported."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence as Items
from pydicom.valuerep import IS, DSfloat

from support.clients.environment import environment_of
from support.required_tools import required_tool
from support.servers import ServerProcess

CLIENT = Path(__file__).parents[2] / "clients" / "ahi_to_dicom"
JPEG_2000 = {f"1.2.840.10008.1.2.4.{number}" for number in (90, 91, 201, 202, 203)}
NOT_REBUILT = {"DataSetTrailingPadding", "PixelData", "FloatPixelData", "DoubleFloatPixelData"}
ADDED_BY_IMPORT = {"WarningReason"}


class Obstacle(StrEnum):
    """Why the client cannot rebuild an instance; each is in its code, not in what the server answers."""

    NO_FRAMES = "leaves out instances without frames"
    NO_SERIES_NUMBER = "needs Series Number and Modality to be there"
    NO_INSTANCE_NUMBER = "needs a value of Instance Number"
    NOT_JPEG_2000 = "decodes every frame as JPEG 2000, and waits for ever when that fails"
    DEEP = "its decoder has no samples of 32 bits, and it waits for ever"
    LUT_DESCRIPTOR = "cannot hand a data set with a LUT descriptor from process to process, and waits for ever"
    TWO_FRAMES = "takes the first of exactly two frames only"
    PACKED = "writes a byte a sample where Bits Allocated is 1"
    SUBSAMPLED = "writes samples of full colour where the Photometric Interpretation says YBR_FULL_422"
    PLANAR = "writes samples by pixel where the Planar Configuration says by plane"


ENDS_NEVER = {Obstacle.NOT_JPEG_2000, Obstacle.DEEP, Obstacle.LUT_DESCRIPTOR}


def obstacle(series: dict[str, Any], instance: dict[str, Any]) -> Obstacle | None:
    """Tell from the metadata document what the client will stumble over first."""
    elements, frames = instance["DICOM"], instance["ImageFrames"]
    found = {
        Obstacle.NO_SERIES_NUMBER: not {"SeriesNumber", "Modality"} <= series["DICOM"].keys(),
        Obstacle.NO_FRAMES: not frames,
        Obstacle.NO_INSTANCE_NUMBER: not elements.get("InstanceNumber"),
        Obstacle.NOT_JPEG_2000: instance.get("StoredTransferSyntaxUID") not in JPEG_2000,
        Obstacle.DEEP: elements.get("BitsAllocated", 0) > 16,
        Obstacle.LUT_DESCRIPTOR: any(
            key.endswith("LUTDescriptor") or "LookupTableDescriptor" in key for key in keys(elements)
        ),
        Obstacle.TWO_FRAMES: len(frames) == 2,
        Obstacle.PACKED: elements.get("BitsAllocated") == 1,
        Obstacle.SUBSAMPLED: elements.get("PhotometricInterpretation") == "YBR_FULL_422",
        Obstacle.PLANAR: elements.get("PlanarConfiguration") == 1,
    }
    return next((name for name, there in found.items() if there), None)


def keys(elements: dict[str, Any]) -> Iterator[str]:
    """Return the keys of a data set in a document, and of the items in it."""
    for key, value in elements.items():
        yield key
        for item in value if isinstance(value, list) else ():
            if isinstance(item, dict):
                yield from keys(item)


@dataclass(frozen=True)
class Rebuilder:
    """AHItoDICOMInterface as it is on PyPI, in an environment of its own."""

    python: Path

    @classmethod
    def install(cls, folder: Path) -> Rebuilder:
        """Install it from PyPI, or skip the test that asks."""
        uv = Path(sys.executable).parent / "uv"
        required_tool(uv.exists(), "uv is not installed beside Python, see `make install`")
        python = folder / "bin" / "python"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("UV_")}
        for command in (
            [uv, "venv", "--quiet", "--python", sys.executable, folder],
            [uv, "pip", "install", "--quiet", "--python", python, "--requirement", CLIENT / "requirements.txt"],
        ):
            run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)
            required_tool(
                run.returncode == 0, f"AHItoDICOMInterface cannot be installed from PyPI: {run.stderr[-500:]}"
            )
        return cls(python)

    def rebuild(
        self, server: ServerProcess, folder: Path, tasks: Sequence[dict[str, Any]], seconds: int = 60
    ) -> list[str | None]:
        """Let the client rebuild each task into a folder of its number; give what went wrong with each.

        ``seconds`` is how long one task may take.
        """
        process = subprocess.Popen(
            [self.python, "-W", "ignore", CLIENT / "rebuild.py", folder, str(seconds)],
            env=environment_of(server),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            printed, _ = process.communicate(json.dumps(tasks), timeout=60 + seconds * len(tasks))
        finally:
            # The client may leave processes of its own behind; they are of the session that was made for it.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        assert process.returncode == 0
        outcomes = json.loads(printed)
        assert len(outcomes) == len(tasks)
        return list(outcomes)


def value_of(value: Any) -> Any:
    """Bring a value into a form that is equal for equal contents: no padding, no lists of one."""
    if isinstance(value, Items):
        return [elements_of(item) for item in value]
    if isinstance(value, MultiValue | list):
        parts = [value_of(part) for part in value]
        return parts[0] if len(parts) == 1 else parts or None
    if isinstance(value, bytes):
        return value.rstrip(b"\0") or None
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    if isinstance(value, int | float) and not isinstance(value, DSfloat | IS):
        return value
    return str(getattr(value, "original_string", "" if value is None else value)).strip(" \0") or None


def elements_of(dataset: Dataset) -> dict[str, Any]:
    """Return the elements of a data set by tag, without what tells of the encoding only."""
    return {
        f"{element.tag} {element.keyword}": value_of(element.value)
        for element in dataset
        if element.tag.element != 0 and element.keyword not in NOT_REBUILT
    }


def differences(original: Dataset, rebuilt: Dataset, instance: dict[str, Any]) -> list[str]:
    """Compare a rebuilt file with the imported one, and with the checksums that the metadata document tells.

    The elements must be equal, and the pixels too wherever pydicom can decode the original's.
    """
    before, after = elements_of(original), elements_of(rebuilt)
    found = [
        f"{name} is {after.get(name)!r}, was {before.get(name)!r}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name) or (name in before) != (name in after)
        if name.split()[-1] not in ADDED_BY_IMPORT
    ]
    reference = decoded(original)
    if reference is not None and not np.array_equal(decoded(rebuilt), reference):
        found.append("the pixels differ")
    if instance["ChecksumType"] == "DECOMPRESSED":
        frames = instance["ImageFrames"]
        size = rebuilt.Rows * rebuilt.Columns * rebuilt.SamplesPerPixel * rebuilt.BitsAllocated // 8
        told = [frame["PixelDataChecksumFromBaseToFullResolution"][-1]["Checksum"] for frame in frames]
        pixels = rebuilt.get("PixelData", b"")
        if [zlib.crc32(pixels[n * size : (n + 1) * size]) for n in range(len(frames))] != told:
            found.append("the checksums differ")
    return found


def decoded(dataset: Dataset) -> NDArray[Any] | None:
    """Decode with pydicom; None where it cannot."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return dataset.pixel_array
        except (RuntimeError, NotImplementedError, ValueError):
            return None
