"""The codec alone: what encoding and proving a frame costs when nothing else is done.

frame ─▶ HTJ2K encode ─▶ decode at each resolution that gets a checksum; imagecodecs, called as an import calls it
"""

from __future__ import annotations

import time
from pathlib import Path

import imagecodecs
import numpy as np

from bench.corpus import SIDE, Frame, frames
from bench.server import BenchmarkError
from hounsfield.pixels.codecs.checksum import level_sizes
from hounsfield.pixels.codecs.encode import decomposition_levels, encode_frame
from hounsfield.pixels.transfer_syntaxes import LosslessFormat


def encode(frame: Frame) -> bytes:
    """Encode a frame as an import does."""
    return bytes(
        imagecodecs.htj2k_encode(
            frame,
            reversible=True,
            rgb=False,
            planar=None,
            resolutions=decomposition_levels(SIDE, SIDE),
            tlm=True,
            tilepart=imagecodecs.HTJ2K.TILEPART.RESOLUTIONS,
        )
    )


def decode_levels(data: bytes) -> None:
    """Decode a frame at each resolution that gets a checksum, as an import does."""
    for skipped, (width, height) in enumerate(reversed(level_sizes(SIDE, SIDE))):
        imagecodecs.htj2k_decode(data, planar=False, skipres=skipped or None, out=np.empty((height, width), np.int16))


def work(path: Path, first: int, last: int) -> float:
    """Encode and decode some frames of a file of frames; gives the processor time in seconds."""
    begin = time.process_time()
    stored = np.load(path, mmap_mode="r")
    for number in range(first, last):
        decode_levels(encode(np.asarray(stored[number])))
    return time.process_time() - begin


def write_frames(path: Path, count: int) -> Path:
    """Write the frames of the CT series as one array, for `work`."""
    stored = np.lib.format.open_memmap(path, mode="w+", dtype=np.int16, shape=(count, SIDE, SIDE))
    for number, frame in enumerate(frames(count)):
        stored[number] = frame
    stored.flush()
    return path


def check_same_as_import() -> None:
    """Make sure that the import encodes as this does; raises `BenchmarkError`."""
    frame = next(frames(1))
    if encode(frame) != encode_frame(frame, LosslessFormat.HTJ2K, colour_transform=False):
        raise BenchmarkError("the import encodes with other parameters than the benchmark of the codec alone")
