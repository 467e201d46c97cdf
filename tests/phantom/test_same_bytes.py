"""The phantom is the same on every machine: with each Python and numpy, to the last bit; and it is a CT of DICOM.

Painting all of it takes seconds, and is done once for all tests by the demo (tests/cli); here what it is made of is looked at.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import numpy as np

from hounsfield.phantom.chest import paint_airways, paint_heart
from hounsfield.phantom.ct_series import ct_files
from hounsfield.phantom.random_numbers import RandomNumbers
from hounsfield.phantom.scanner import add_noise
from hounsfield.phantom.skeleton import paint_skeleton
from hounsfield.phantom.volume import Volume
from support.required_tools import required_tool


def test_random_numbers_are_those_of_the_bit_generator() -> None:
    random = RandomNumbers(1)
    assert random.octets(11).tolist() == [255, 228, 34, 121, 243, 189, 6, 131, 102, 168, 82]
    assert RandomNumbers(1).units(3) == [0.5118216247002567, 0.9504636963259353, 0.14415961271963373]


def test_shapes_noise_and_tissue_are_the_same_to_the_last_bit() -> None:
    volume = Volume(-1000)
    for paint_part in (paint_airways, paint_heart, paint_skeleton, add_noise):
        paint_part(volume)
    assert volume.values.dtype == np.int16
    digest = hashlib.sha256(volume.values.astype("<i2").tobytes()).hexdigest()
    assert digest == "f5f2eede2c7a73904ba3b83500875fb2f32e8fde01971642c61ed37f9453dbb5"


def test_files_are_the_same_to_the_last_byte() -> None:
    name, content = next(ct_files(Volume(-1000)))
    assert name == "slice-001.dcm"
    assert hashlib.sha256(content).hexdigest() == "c20941dc86ec0e1cd0bc9b9054c06620810086efc06612c268bb3344da0e4a65"


def test_files_are_ct_images_as_the_standard_has_them(tmp_path: Path) -> None:
    required_tool(shutil.which("dciodvfy") is not None, "dciodvfy checks the modules of an image")
    name, content = next(ct_files(Volume(-1000)))
    (tmp_path / name).write_bytes(content)
    done = subprocess.run(["dciodvfy", tmp_path / name], capture_output=True, text=True, check=False)
    assert (done.returncode, (done.stdout + done.stderr).split()) == (0, ["CTImage"])
