"""Every DICOM file at hand: frames decode as pydicom decodes them, and come out of storage as they went in."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.pixels import iter_pixels

from hounsfield.pixels.codecs.decode import decode_frame, decode_samples
from hounsfield.pixels.codecs.transcode import transcode_frame
from hounsfield.pixels.errors import FramesError, PixelError
from hounsfield.pixels.transfer_syntaxes import NATIVE, LosslessFormat, TreatmentKind, find_treatment
from support.files.pixel_data import dataset_format, dataset_frames, pydicom_files

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

HIGHEST_PIXELS = 1 << 20
MOST_FRAMES = 6

NOT_DECODED = {
    "JPEG2000-embedded-sequence-delimiter.dcm": PixelError,  # a codestream with a damaged SIZ segment
    "MR_truncated.dcm": FramesError,
}
NOT_DESCRIBED = {"badVR.dcm"}  # its NumberOfFrames is no number
SIGNS_EXTENDED = {"mlut_18.dcm"}
"""Signed files with zeros above the stored bits of some negative samples, which are stored as the values they mean."""

LOSSY_BY_ANOTHER_DECODER = {"HTJ2K_08_RGB.dcm"}


def with_pixels(path: Path) -> Dataset | None:
    """Read a file, None if it has no pixel data that can be described, or of an unsupported transfer syntax."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ds = pydicom.dcmread(path, force=True)
    except (InvalidDicomError, AttributeError, EOFError, NotImplementedError):
        return None
    syntax = ds.file_meta.get("TransferSyntaxUID") if hasattr(ds, "file_meta") else None
    if "PixelData" not in ds or "Rows" not in ds or syntax is None:
        return None
    how = find_treatment(syntax, lossless=LosslessFormat.HTJ2K, bits_allocated=ds.BitsAllocated)
    return None if how.kind is TreatmentKind.BLOB else ds


def expected_frames(ds: Dataset) -> list[np.ndarray] | None:
    """The frames as pydicom decodes them, None where it has no decoder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return [np.array(frame) for frame, _ in zip(iter_pixels(ds, raw=True), range(MOST_FRAMES), strict=False)]
        except (RuntimeError, NotImplementedError, ValueError):
            return None


def check(path: Path, seen: Counter[str]) -> None:
    """Decode a file, compare with pydicom, and transcode its first frame."""
    ds = with_pixels(path)
    if ds is None or path.name in NOT_DESCRIBED or ds.Rows * ds.Columns > HIGHEST_PIXELS:
        return
    syntax = str(ds.file_meta.TransferSyntaxUID)
    format_ = dataset_format(ds)
    if path.name in NOT_DECODED:
        with pytest.raises(NOT_DECODED[path.name]):
            decode_frame(dataset_frames(ds, syntax)[0], syntax, format_)
        return
    frames = dataset_frames(ds, syntax)
    decoded = [decode_frame(frames[number], syntax, format_) for number in range(min(len(frames), MOST_FRAMES))]
    expected = expected_frames(ds)
    if expected is not None and path.name not in LOSSY_BY_ANOTHER_DECODER:
        for ours, theirs in zip(decoded, expected, strict=True):
            assert ours.dtype == theirs.dtype.newbyteorder("="), path.name
            np.testing.assert_array_equal(ours, theirs, err_msg=path.name)
        seen["compared"] += len(decoded)
    seen[syntax] += 1
    how = find_treatment(syntax, lossless=LosslessFormat.HTJ2K, bits_allocated=format_.bits_allocated)
    if how.kind is TreatmentKind.TRANSCODE:
        stored = transcode_frame(frames[0], syntax, format_, LosslessFormat.HTJ2K)
        samples = decoded[0] if path.name in SIGNS_EXTENDED else decode_samples(frames[0], syntax, format_)
        np.testing.assert_array_equal(decode_samples(stored.data, how.stored_transfer_syntax, format_), samples)
        assert (stored.min_value, stored.max_value) == (int(decoded[0].min()), int(decoded[0].max())), path.name


def test_files_of_pydicom() -> None:
    seen: Counter[str] = Counter()
    for path in pydicom_files():
        check(path, seen)
    assert seen["compared"] >= 40
    assert len(seen) >= 10
    assert seen.keys() >= NATIVE


def test_files_beside_the_project(shared_data: Path) -> None:
    seen: Counter[str] = Counter()
    for path in sorted(path for path in shared_data.rglob("*") if path.is_file()):
        if path.suffix not in (".md", ".zst", ".jpeg", ".dat"):
            check(path, seen)
    assert seen["compared"] >= 80


def test_one_slice_in_many_transfer_syntaxes(shared_data: Path) -> None:
    """Lossless forms of one CT slice decode to the same samples, lossy ones come close."""
    paths = sorted((shared_data / "cornerstone" / "testImages").glob("CTImage.dcm_*"))
    truth = None
    differences = {}
    for path in paths:
        ds = with_pixels(path)
        if ds is None or ds.BitsStored != 16:
            continue
        syntax = str(ds.file_meta.TransferSyntaxUID)
        samples = decode_frame(dataset_frames(ds, syntax)[0], syntax, dataset_format(ds)).astype(int)
        if syntax in NATIVE and truth is None:
            truth = samples
        differences[syntax[18:]] = samples
    assert truth is not None
    worst = {syntax: int(np.abs(samples - truth).max()) for syntax, samples in differences.items()}
    lossy = {"4.91", "4.81"}
    assert all(error == 0 for syntax, error in worst.items() if syntax not in lossy), worst
    assert len(worst) >= 9


def test_one_bit_files_agree_in_every_byte_order(shared_data: Path) -> None:
    paths = {path.name: path for path in shared_data.rglob("liver*.dcm")} | {
        path.name: path for path in pydicom_files()
    }
    little, big = (with_pixels(paths[name]) for name in ("liver_1frame.dcm", "liver_expb_1frame.dcm"))
    assert little is not None
    assert big is not None
    assert dataset_frames(little, "1.2.840.10008.1.2.1")[0] == dataset_frames(big, "1.2.840.10008.1.2.2")[0]
