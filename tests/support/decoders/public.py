"""What public decoders make of frames and files: running them, and words for how their samples compare with the true ones."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.pixels.processing import convert_color_space

from support.required_tools import required_tool

HERE: Final = Path(__file__).parent
WORDS: Final = (
    "exact", "refused", "masked", "no negatives", "raised", "scaled", "8 bits", "inverted", "colours", "RGB", "wrong"
)  # fmt: skip
"""How samples may compare with the true ones; the first that is true of all sizes counts."""
_ROUNDING: Final = 2
IN_PROCESS: Final = {
    "imagecodecs (OpenJPH)": lambda data: imagecodecs.htj2k_decode(data, planar=False),
    "imagecodecs (OpenJPEG)": lambda data: imagecodecs.jpeg2k_decode(data, planar=False),
}


@dataclass(frozen=True, slots=True)
class Task:
    """Something to decode.

    Attributes
    ----------
    name : str
        What it is.
    form : str
        ``frame`` an HTJ2K codestream, ``boxed`` a JPH file, ``jpeg2000`` a JPEG 2000 codestream, ``file`` a DICOM file.
    data : bytes
        What to decode.
    """

    name: str
    form: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a decoder made of a task: samples, or nothing when it refused."""

    name: str
    decoder: str
    samples: NDArray[Any] | None


@dataclass(frozen=True, slots=True)
class Decoders:
    """Public decoders, installed into folders of their own."""

    python: Path
    node: Path

    @classmethod
    def install(cls, packages: Path, modules: Path) -> Decoders:
        """Install them from PyPI and npm, or skip the test that asks; ``modules`` is kept between runs."""
        uv = Path(sys.executable).parent / "uv"
        required_tool(uv.exists(), "uv is not installed beside Python, see `make install`")
        required_tool(shutil.which("npm") is not None, "Node.js and npm (Debian packages) are not installed")
        python = packages / "bin" / "python"
        _run([uv, "venv", "--quiet", "--python", sys.executable, packages])
        _run([uv, "pip", "install", "--quiet", "--python", python, "--requirement", HERE / "requirements.txt"])
        for name in ("package.json", "package-lock.json", "decode.cjs"):
            shutil.copyfile(HERE / name, modules / name)
        if not (modules / "node_modules/.package-lock.json").exists():
            _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], modules)
        return cls(python, modules)

    @staticmethod
    def lock() -> str:
        """Name what is installed from npm."""
        return hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:16]

    def decode(self, tasks: Sequence[Task], folder: Path) -> Iterator[Outcome]:
        """Let every decoder decode what is of a form that it reads."""
        listed = []
        for number, task in enumerate(tasks):
            path = folder / f"{number}.{'dcm' if task.form == 'file' else 'j2k'}"
            path.write_bytes(task.data)
            listed.append({"name": task.name, "form": task.form, "path": str(path)})
        (folder / "tasks.json").write_text(json.dumps(listed))
        for command in ([self.python, HERE / "decode.py"], ["node", self.node / "decode.cjs"]):
            run = subprocess.run(
                [*command, folder / "tasks.json"], capture_output=True, text=True, timeout=200, check=False
            )
            assert run.returncode == 0, run.stderr
            yield from (_outcome(json.loads(line)) for line in run.stdout.splitlines() if line.startswith("{"))
        for task in tasks:
            for decoder, decode in IN_PROCESS.items():
                if task.form != "file" and (task.form != "jpeg2000" or "OpenJPEG" in decoder):
                    yield Outcome(task.name, decoder, _decoded(decode, task.data))


def _decoded(decode: Any, data: bytes) -> NDArray[Any] | None:
    try:
        return np.asarray(decode(data))
    except (RuntimeError, ValueError, NotImplementedError):
        return None


def _outcome(told: dict[str, Any]) -> Outcome:
    if "error" in told:
        return Outcome(told["name"], told["decoder"], None)
    samples = np.frombuffer(Path(told["samples"]).read_bytes(), f"<{told['type']}")
    shape = told["shape"][:-1] if told["shape"][-1:] == [1] and len(told["shape"]) == 3 else told["shape"]
    return Outcome(told["name"], told["decoder"], samples.reshape(shape) if samples.size == np.prod(shape) else samples)


def _run(command: list[Any], folder: Path | None = None) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("UV_")}
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=280, check=False)
    required_tool(run.returncode == 0, f"public decoders cannot be installed: {run.stderr[-500:]}")


def readings(found: NDArray[Any] | None, true: NDArray[Any], bits: int) -> set[str]:
    """Return all words that say how samples compare with the true ones; small images may have several.

    Parameters
    ----------
    found : numpy.ndarray or None
        Samples; None when the decoder refused.
    true : numpy.ndarray
        What went in.
    bits : int
        Bits Stored.
    """
    if found is None:
        return {"refused"}
    if found.shape != true.shape:
        return {"colours" if found.shape == (*true.shape, 3) else "wrong"}
    wide, here = true.astype(np.int64), found.astype(np.int64)
    half, whole = 1 << bits - 1, (1 << bits) - 1
    raised = wide + half if true.dtype.kind == "i" else wide
    scaled = raised << 8 * true.dtype.itemsize - bits
    same = {
        "exact": wide,
        "masked": wide & whole,
        "no negatives": np.maximum(wide, 0),
        "raised": raised,
        "scaled": scaled,
        "inverted": whole - wide,
    }
    words = {word for word, expected in same.items() if np.array_equal(here, expected)}
    if np.abs(here - raised * 255 / whole).max() <= 1:
        words.add("8 bits")
    if true.ndim == 3 and true.dtype == np.uint8 and np.abs(here - _in_rgb(true)).max() <= _ROUNDING:
        words.add("RGB")
    return words | {"wrong"}


def _in_rgb(samples: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(convert_color_space(samples, "YBR_FULL", "RGB")).astype(np.int64)
