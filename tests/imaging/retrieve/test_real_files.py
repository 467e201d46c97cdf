"""Real files stored and retrieved by DICOMweb: data sets element by element, pixels bit for bit, in every transfer syntax.

The other readers are pydicom, dcmtk and GDCM.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels import get_decoder, pixel_array

from support.clients.dicomweb import parts
from support.imaging.rebuilt_files import (
    BIG_ENDIAN,
    OFFSETS,
    StoredFile,
    differences,
    store_each,
)
from support.required_tools import required_tool
from support.servers import ServerProcess

ANY = "*"
EXPLICIT = "1.2.840.10008.1.2.1"
_4 = "1.2.840.10008.1.2.4."
HTJ2K, J2K, BASELINE = _4 + "202", _4 + "90", _4 + "50"
COLOUR, PLANAR, ALLOCATED = 0x00280004, 0x00280006, 0x00280100
UNREADABLE = {"emri_small_jpeg_2k_lossless_too_short.dcm"}
"""pydicom reads no elements of it."""
UNDECODABLE = {"JPEG2000-embedded-sequence-delimiter.dcm"}
"""Its frame is no codestream and is kept as it came."""
SIGN_EXTENDED = {"mlut_18.dcm"}
"""Negative samples without the sign in their unused bits are stored with it."""


@pytest.fixture(scope="module")
def carried(server: ServerProcess, client: Any) -> list[StoredFile]:
    return store_each(server, client, Path(pydicom.__path__[0]) / "data")


@pytest.fixture(scope="module")
def shared(server: ServerProcess, client: Any, shared_data: Path) -> list[StoredFile]:
    return store_each(server, client, shared_data)


@pytest.fixture(params=["carried", pytest.param("shared", marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def files(request: pytest.FixtureRequest) -> Any:
    found = request.getfixturevalue(request.param)
    assert len(found) > 90
    return found


def originals(files: list[StoredFile]) -> Iterator[tuple[StoredFile, Dataset]]:
    for file in files:
        if file.path.name not in UNREADABLE:
            yield file, pydicom.dcmread(file.path)


def syntax_of(dataset: Dataset) -> str:
    return str(dataset.file_meta.TransferSyntaxUID)


def is_compressed(dataset: Dataset) -> bool:
    syntax = dataset.file_meta.TransferSyntaxUID
    return not syntax.is_transfer_syntax or bool(syntax.is_compressed)


def may_change(file: StoredFile, syntax: str) -> set[int]:
    """Elements that describe the pixel data, where it is given in another form than it came in."""
    if not file.frames or (syntax == file.stored_as and file.stored_as not in {HTJ2K, J2K}):
        return OFFSETS
    return {COLOUR} | ({PLANAR, ALLOCATED} if syntax != EXPLICIT else set()) | OFFSETS


def test_every_data_set_comes_back_in_every_transfer_syntax(files: list[StoredFile]) -> None:
    problems, asked = [], 0
    for file, original in originals(files):
        for wanted in (None, ANY, *file.transfer_syntaxes):
            if file.path.name in UNDECODABLE and wanted == EXPLICIT:
                refused = file.instance.answer(wanted)
                assert refused.status_code == 406, file.path.name
                assert "cannot be given in transfer syntax" in refused.json()["message"]
                continue
            found = file.instance.dataset_once(wanted)
            syntax = syntax_of(found)
            ignored = frozenset(may_change(file, syntax))
            big_endian = syntax_of(original) == BIG_ENDIAN
            problems += [
                f"{file.path.name} as {wanted}: {line}"
                for line in differences(original, found, big_endian=big_endian, ignored=ignored)
            ]
            problems += [f"{file.path.name} as {wanted}: {line}" for line in wrong_description(original, found)]
            asked += 1
    assert not problems, "\n".join(problems)
    assert asked > 400


def wrong_description(original: Dataset, found: Dataset) -> list[str]:
    """Check what a file says of its pixel data against its transfer syntax."""
    kept = syntax_of(found) == syntax_of(original) and syntax_of(found) not in {HTJ2K, J2K, EXPLICIT}
    if "PixelData" not in found or found.get("SamplesPerPixel", 1) != 3 or kept:
        return []
    before, after = str(original.PhotometricInterpretation), str(found.PhotometricInterpretation)
    rgb = before in {"RGB", "YBR_RCT", "YBR_ICT"}
    if syntax_of(found) == EXPLICIT:
        expected = "RGB" if rgb or syntax_of(original) == BASELINE else "YBR_FULL"
    else:
        transformed = rgb and found.BitsAllocated <= 16
        expected = "YBR_RCT" if transformed else "RGB" if rgb else "YBR_FULL"
        if found.PlanarConfiguration != 0:
            return ["planes are not given apart in a codestream"]
    return [] if after == expected else [f"{before} became {after}, not {expected}"]


def samples(dataset: Dataset, *, raw: bool = True) -> NDArray[Any] | None:
    """Decode with pydicom; None where it has no decoder or reads the data otherwise than it says itself."""
    if "PixelData" not in dataset:
        return None
    try:
        if is_compressed(dataset) and not get_decoder(dataset.file_meta.TransferSyntaxUID).is_available:
            return None
        return pixel_array(dataset, raw=raw)
    except (RuntimeError, ValueError, AttributeError, NotImplementedError):
        return None


def test_every_pixel_comes_back(files: list[StoredFile]) -> None:
    """Native values are the same bytes; what was encoded decodes to the same samples."""
    compared = bytewise = 0
    for file, original in originals(files):
        if file.path.name in UNDECODABLE or "PixelData" not in original:
            continue
        found = file.instance.dataset_once()
        if file.frames:
            before = samples(original, raw=syntax_of(original) != BASELINE)
            if before is not None:
                assert np.array_equal(before, samples(found)), file.path.name
                compared += 1
        subsampled = original.get("PhotometricInterpretation") == "YBR_FULL_422"
        if not is_compressed(original) and not subsampled and file.path.name not in SIGN_EXTENDED:
            assert found.PixelData == (trimmed(original) if file.frames else original.PixelData), file.path.name
            bytewise += 1
    assert compared > 40
    assert bytewise > 30


def trimmed(dataset: Dataset) -> bytes:
    """Native pixel data in little endian, padded to even length and no more, unused bits of its last byte zero."""
    value = dataset.PixelData
    bits = int(dataset.BitsAllocated)
    if syntax_of(dataset) == BIG_ENDIAN and (bits > 8 or dataset["PixelData"].VR == "OW"):
        value = np.frombuffer(value, f"u{max(bits // 8, 2)}").byteswap().tobytes()
    frames = int(dataset.get("NumberOfFrames", 1) or 1)
    needed = frames * dataset.Rows * dataset.Columns * dataset.get("SamplesPerPixel", 1) * bits
    value = value[: (needed + 7) // 8]
    if needed % 8:
        value = value[:-1] + bytes((value[-1] & 0xFF >> (8 - needed % 8),))
    return value + bytes(len(value) % 2)


def test_frames_are_those_of_the_file_in_every_transfer_syntax(files: list[StoredFile]) -> None:
    asked = 0
    for file in files:
        if not file.frames or file.path.name in UNDECODABLE:
            continue
        numbers = [file.frames, *range(1, min(file.frames, 4))]
        for wanted in (ANY, *file.transfer_syntaxes):
            found = file.instance.dataset_once(wanted)
            if "PixelData" not in found:
                continue
            answer = file.instance.answer_with_frames(numbers, wanted)
            assert answer.status_code == 200, answer.text
            for number, (headers, data) in zip(numbers, parts(answer), strict=True):
                if has_a_transform_without_a_name(file, found) and wanted not in {EXPLICIT, J2K}:
                    native = frame_of(file.instance.dataset_once(EXPLICIT), number, file.frames)
                    assert imagecodecs.htj2k_decode(data, planar=False).tobytes() == native, file.path.name
                    asked += 1
                    continue
                assert headers["content-type"].endswith(f"transfer-syntax={syntax_of(found)}")
                padding = b"\0" * (len(data) % 2) if is_compressed(found) else b""
                expected = frame_of(found, number, file.frames)
                assert data + padding == expected, f"{file.path.name} {wanted} {number}"
                asked += 1
    assert asked > 200


def has_a_transform_without_a_name(file: StoredFile, found: Dataset) -> bool:
    """Return whether frames alone come with the colour transform, files with other codestreams or decoded."""
    colour = str(found.PhotometricInterpretation).startswith("YBR_FULL") and found.BitsAllocated <= 16
    return colour and file.stored_as == HTJ2K


def frame_of(dataset: Dataset, number: int, count: int) -> bytes:
    """Cut a frame out of a file."""
    if is_compressed(dataset):
        return pydicom.encaps.get_frame(dataset.PixelData, number - 1, number_of_frames=count)
    if dataset.get("PlanarConfiguration") == 1:  # frames alone have their samples pixel by pixel
        frames = np.frombuffer(dataset.PixelData, f"u{dataset.BitsAllocated // 8}")
        frames = frames[: count * dataset.Rows * dataset.Columns * 3].reshape(count, 3, -1)
        return np.moveaxis(frames[number - 1], 0, -1).tobytes()
    bits = dataset.Rows * dataset.Columns * dataset.SamplesPerPixel * dataset.BitsAllocated
    stream = np.unpackbits(np.frombuffer(dataset.PixelData, "u1"), bitorder="little")
    return np.packbits(stream[(number - 1) * bits : number * bits], bitorder="little").tobytes()


def test_dcmtk_and_gdcm_read_what_is_written(files: list[StoredFile], tmp_path: Path) -> None:
    tools = ("dcmdump", "dcmdjpeg", "gdcminfo")
    required_tool(all(map(shutil.which, tools)), "dcmtk and libgdcm-tools are needed to read rebuilt files")
    dumped, known = [], []
    for index, file in enumerate(files):
        for number, wanted in enumerate((None, ANY)):
            data, syntax = file.instance.file_once(wanted)
            path = tmp_path / f"{index}-{number}.dcm"
            path.write_bytes(data)
            if syntax != "1.2.840.10008.1.2.8.1":
                dumped.append(path)
            if syntax not in {HTJ2K, _4 + "203", "1.2.840.10008.1.2.8.1"}:
                known.append((file.path, path))  # GDCM of Debian has not heard of HTJ2K
            if syntax == BASELINE and file.path.name not in UNDECODABLE:
                run("dcmdjpeg", path, tmp_path / "decoded.dcm")
    run("dcmdump", "-q", *dumped)
    chosen = known[:: max(1, len(known) // 40)]
    read = [path for source, path in chosen if returned("gdcminfo", source).returncode == 0]
    assert len(read) > 20
    for path in read:
        run("gdcminfo", path)


def run(*command: str | Path) -> None:
    done = returned(*command)
    assert done.returncode == 0, f"{command[0]}: {done.stderr.decode(errors='replace')[-400:]}"


def returned(*command: str | Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(list(map(str, command)), capture_output=True, check=False, timeout=120)
