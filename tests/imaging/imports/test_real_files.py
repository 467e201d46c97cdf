"""Real files: everything imports or is reported, and every frame read back equals the file's own pixel data.

The other decoder is pydicom's. Where it has none for a JPEG family (its decoders for these are separate packages), a lossless
file is compared with its uncompressed sibling.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import generate_fragments, generate_frames
from pydicom.pixels import get_decoder, pixel_array
from pydicom.uid import JPEGExtended12Bit

from support.imaging.import_folders import check_counters, copy_in, import_folder, sop_instances
from support.imaging.imports import Outcome
from support.imaging.stored_frames import decoded_frame, kept_frame
from support.servers import ServerProcess, active_datastore

DEFLATED_IMAGE_FRAME = "1.2.840.10008.1.2.8.1"
_NO_STUDY = "StudyInstanceUID does not exist"
_NO_SYNTAX = "TransferSyntaxUID does not exist"
_NOT_DICOM = "DICOM attributes does not exist"

PYDICOM_FAILURES = {
    "ExplVR_BigEndNoMeta.dcm": _NO_SYNTAX,
    "ExplVR_LitEndNoMeta.dcm": _NO_SYNTAX,
    "JPEGLSNearLossless_08.dcm": _NO_STUDY,
    "JPEGLSNearLossless_16.dcm": _NO_STUDY,
    "MR_truncated.dcm": "(7FE0,0010) at offset 1488 has a length of 8192 bytes, but the file ends",
    "README.txt": _NOT_DICOM,
    "SC_rgb_jls_lossy_line.dcm": _NO_STUDY,
    "SC_rgb_jls_lossy_sample.dcm": _NO_STUDY,
    "UN_sequence.dcm": _NO_STUDY,
    "crayons.icc": _NOT_DICOM,
    "dicomdirtests/README.txt": _NOT_DICOM,
    "dicomdirtests/TINY_ALPHA/README": _NOT_DICOM,
    "empty_charset_LEI.dcm": _NO_STUDY,
    "meta_missing_tsyntax.dcm": _NO_SYNTAX,
    "nested_priv_SQ.dcm": _NO_STUDY,
    "no_meta.dcm": _NOT_DICOM,
    "no_meta_group_length.dcm": _NO_STUDY,
    "priv_SQ.dcm": _NO_STUDY,
    "rtplan.dump": _NOT_DICOM,
    "rtplan_truncated.dcm": "(300A,00B0) at offset 1410 has a length of 976 bytes",
    "rtstruct.dcm": _NO_SYNTAX,
    "rtstruct.dump": _NOT_DICOM,
    "test1.json": _NOT_DICOM,
    "test_PN.json": _NOT_DICOM,
    "zipMR.gz": _NOT_DICOM,
}
SHARED_FAILURES = {
    "README.md": _NOT_DICOM,
    "ahi-samples/LICENSE": _NOT_DICOM,
    "cornerstone/LICENSE": _NOT_DICOM,
    "cornerstone/testImages/wadors/CTImageEvenAligned.dat": _NOT_DICOM,
    "cornerstone/testImages/wadors/CTImageOddAligned.dat": _NOT_DICOM,
    "cornerstone/testImages/wadors/metadata": _NOT_DICOM,
    "highdicom/LICENSE": _NOT_DICOM,
    "highdicom/test_files/frame_rgb.jpeg": _NOT_DICOM,
    "highdicom/test_files/frame_rgb_empty.jpeg": _NOT_DICOM,
    "pydicom-data/LICENSE": _NOT_DICOM,
    "pydicom-data/files/HTJ2KLossless_08_RGB.dcm": _NO_STUDY,
    "pydicom-data/files/HTJ2K_08_RGB.dcm": _NO_STUDY,
    "pydicom-data/files/JLSL_08_07_0_1F.dcm": _NO_STUDY,
    "pydicom-data/files/JLSL_16_15_1_1F.dcm": _NO_STUDY,
    "pydicom-data/files/JLSL_RGB_ILV0.dcm": _NO_STUDY,
    "pydicom-data/files/JLSL_RGB_ILV1.dcm": _NO_STUDY,
    "pydicom-data/files/JLSL_RGB_ILV2.dcm": _NO_STUDY,
    "pydicom-data/files/JLSN_RGB_ILV0.dcm": _NO_STUDY,
    "pydicom-data/files/OT-PAL-8-face.dcm": _NO_SYNTAX,
}
_CT = "cornerstone/testImages/CTImage.dcm"
UNCOMPRESSED_SIBLINGS = {
    f"{_CT}_JPEGProcess14TransferSyntax_1.2.840.10008.1.2.4.57.dcm": _CT,
    f"{_CT}_JPEGProcess14SV1TransferSyntax_1.2.840.10008.1.2.4.70.dcm": _CT,
    f"{_CT}_JPEGLSLosslessTransferSyntax_1.2.840.10008.1.2.4.80.dcm": _CT,
    "pydicom-data/files/liver_rle.dcm": "pydicom-data/files/liver.dcm",
    "pydicom-data/files/liver_nonbyte_aligned_rle.dcm": "pydicom-data/files/liver_nonbyte_aligned.dcm",
    "pydicom-data/files/emri_small_jpeg_ls_lossless.dcm": "pydicom-data/files/emri_small.dcm",
}
"""Lossless files that pydicom cannot decode here, and an uncompressed file of the same pixels."""


def pydicom_files() -> Path:
    spec = find_spec("pydicom")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "data" / "test_files"


@dataclass
class ImportedTree:
    """A folder of files, imported by one job into a data store of its own."""

    root: Path
    datastore_id: str
    outcome: Outcome
    folder: str

    @property
    def names(self) -> set[str]:
        """Every file of the folder but the indexes of media."""
        found = {str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file()}
        return {name for name in found if not Path(name).name.startswith("DICOMDIR")}

    def name_of(self, line: dict[str, Any]) -> str:
        return str(line["inputFile"]).removeprefix(f"{self.folder}/")

    def kept_files(self) -> dict[tuple[str, str], str]:
        """File by image set and SOP Instance UID; of two files with one instance the later one counts."""
        kept = {}
        for line in sorted(self.outcome.success, key=lambda line: str(line["inputFile"])):
            name = self.name_of(line)
            uid = str(pydicom.dcmread(self.root / name, force=True, stop_before_pixels=True).SOPInstanceUID)
            kept[line["importResponse"]["imageSetId"], uid] = name
        return kept


def _imported(server: ServerProcess, client: Any, root: Path, folder: str) -> ImportedTree:
    datastore_id = active_datastore(client, datastoreName=folder)
    copy_in(server, folder, root)
    return ImportedTree(root, datastore_id, import_folder(server, client, datastore_id, folder, 240), folder)


@pytest.fixture(scope="module")
def carried(server: ServerProcess, client: Any) -> ImportedTree:
    return _imported(server, client, pydicom_files(), "pydicom-carried")


@pytest.fixture(scope="module")
def shared(server: ServerProcess, client: Any, shared_data: Path) -> ImportedTree:
    return _imported(server, client, shared_data, "shared-data")


@pytest.fixture(params=["carried", "shared"])
def tree(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def test_every_file_is_imported_or_reported(tree: ImportedTree) -> None:
    check_counters(tree.outcome)
    lines = [*tree.outcome.success, *tree.outcome.failure]
    assert {tree.name_of(line) for line in lines} == tree.names
    assert len(lines) == len(tree.names)


def test_files_fail_for_known_reasons_only(tree: ImportedTree) -> None:
    expected = PYDICOM_FAILURES if tree.folder == "pydicom-carried" else SHARED_FAILURES
    told = {tree.name_of(line): line["exception"] for line in tree.outcome.failure}
    assert told.keys() == expected.keys()
    for name, exception in told.items():
        assert exception["exceptionType"] == "ValidationException"
        assert expected[name] in exception["message"], name


def test_the_manifest_counts_the_instances_of_each_image_set(client: Any, tree: ImportedTree) -> None:
    kept = tree.kept_files()
    for entry in tree.outcome.summary["imageSetsSummary"]:
        instances = sop_instances(client, tree.datastore_id, entry["imageSetId"])
        assert len(instances) == entry["numberOfMatchedSOPInstances"]
        assert instances.keys() == {uid for image_set, uid in kept if image_set == entry["imageSetId"]}


def test_every_frame_equals_the_pixel_data_of_its_file(client: Any, tree: ImportedTree) -> None:
    """Each frame of each instance, by its checksum type: decoded samples equal, or encoded bytes equal."""
    kept = tree.kept_files()
    problems, checked, without_oracle = [], 0, []
    for image_set_id in {image_set for image_set, _ in kept}:
        for uid, instance in sop_instances(client, tree.datastore_id, image_set_id).items():
            name = kept[image_set_id, uid]
            dataset = pydicom.dcmread(tree.root / name, force=True)
            try:
                if instance.get("ChecksumType") != "DECOMPRESSED":
                    checked += _check_kept(client, tree.datastore_id, image_set_id, instance, dataset)
                elif (reference := _reference(tree, name, dataset)) is None:
                    without_oracle.append(name)
                else:
                    checked += _check_decoded(
                        client,
                        tree.datastore_id,
                        image_set_id,
                        instance,
                        dataset,
                        reference,
                    )
            except AssertionError as error:
                problems.append(
                    f"{name} ({_syntax(dataset)}, stored {instance.get('StoredTransferSyntaxUID')}): {str(error)[:200]}"
                )
    assert not problems, "\n".join(problems)
    assert checked > 80
    # Lossy JPEG families, which have no uncompressed sibling to compare with.
    assert all(_syntax(pydicom.dcmread(tree.root / name)) in {"51", "57", "70", "80", "81"} for name in without_oracle)


def test_only_what_has_no_lossless_form_is_kept_as_it_came(client: Any, tree: ImportedTree) -> None:
    """No file whose frames another decoder reads may end as an object with a warning that it could not be transcoded."""
    warned = [
        (tree.name_of(line), warning["message"])
        for line in tree.outcome.warning
        for warning in line["importResponse"]["warnings"]
        if warning["warning_reason_code"] in {0xB100, 0xB110, 0xB111, 0xB112}
    ]
    told = dict(warned)
    expected = {
        "pydicom-carried": {
            "badVR.dcm",
            "parametric_map_float.dcm",
            "parametric_map_double_float.dcm",
            # Its tiles are one pixel wide, millions of them, so that a sequence delimiter is in its header.
            "JPEG2000-embedded-sequence-delimiter.dcm",
        },
        "shared-data": {
            "pydicom-data/files/parametric_map_double_float.dcm",
            "pydicom-data/files/parametric_map_float.dcm",
        },
    }[tree.folder]
    assert set(told) <= expected, {name: told[name] for name in set(told) - expected}


def test_the_public_sample_has_its_published_checksum(client: Any, shared: ImportedTree) -> None:
    image_set_id, uid = next(key for key, name in shared.kept_files().items() if name == "ahi-samples/CT1_UNC.dcm")
    (entry,) = sop_instances(client, shared.datastore_id, image_set_id)[uid]["ImageFrames"]
    full = entry["PixelDataChecksumFromBaseToFullResolution"][-1]
    assert full == {"Width": 512, "Height": 512, "Checksum": 1052635650}
    decoded_frame(client, shared.datastore_id, image_set_id, entry)


def _syntax(dataset: Dataset) -> str:
    return str(dataset.file_meta.TransferSyntaxUID).rpartition(".")[2]


def _reference(tree: ImportedTree, name: str, dataset: Dataset) -> Dataset | None:
    """Return the data set whose pixels another decoder can read: the file's own, or that of its sibling."""
    if name in UNCOMPRESSED_SIBLINGS:
        return pydicom.dcmread(tree.root / UNCOMPRESSED_SIBLINGS[name])
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax == JPEGExtended12Bit and dataset.BitsStored > 8:
        # The only other decoder on PyPI without a GPL part knows 8 bits.
        return None
    return dataset if get_decoder(syntax).is_available else None


def _check_decoded(
    client: Any,
    datastore_id: str,
    image_set_id: str,
    instance: dict[str, Any],
    dataset: Dataset,
    reference: Dataset,
) -> int:
    entries = instance["ImageFrames"]
    assert len(entries) == int(dataset.get("NumberOfFrames") or 1)
    for index, entry in enumerate(entries):
        samples = decoded_frame(client, datastore_id, image_set_id, entry)
        wanted = pixel_array(reference, raw=True, index=index)
        assert samples.shape == wanted.shape, f"frame {index} has shape {samples.shape}, not {wanted.shape}"
        assert samples.dtype.itemsize == wanted.dtype.itemsize, f"frame {index} has {samples.dtype}, not {wanted.dtype}"
        wanted = wanted.astype(samples.dtype)
        assert np.array_equal(samples, wanted), f"frame {index} has other samples"
        assert (entry["MinPixelValue"], entry["MaxPixelValue"]) == _range(samples, dataset), f"frame {index}"
    return len(entries)


def _range(samples: NDArray[Any], dataset: Dataset) -> tuple[int, int]:
    values = _stored_bits(samples, dataset)
    return int(values.min()), int(values.max())


def _stored_bits(samples: NDArray[Any], dataset: Dataset) -> NDArray[Any]:
    """Return the values of the stored bits; what is in the bits above, overlays or signs not extended, does not count."""
    unused = samples.dtype.itemsize * 8 - int(dataset.BitsStored)
    return (samples << unused) >> unused


def _check_kept(client: Any, datastore_id: str, image_set_id: str, instance: dict[str, Any], dataset: Dataset) -> int:
    entries = instance["ImageFrames"]
    stored = instance.get("StoredTransferSyntaxUID")
    value = next(
        (dataset[tag].value for tag in ("PixelData", "FloatPixelData", "DoubleFloatPixelData") if tag in dataset), b""
    )
    frames = [kept_frame(client, datastore_id, image_set_id, entry) for entry in entries]
    if not frames:
        return 0
    count = int(dataset.get("NumberOfFrames") or 1)
    if "PixelData" in dataset and dataset["PixelData"].is_undefined_length:
        _, *fragments = generate_fragments(value)
        if dataset.file_meta.TransferSyntaxUID == DEFLATED_IMAGE_FRAME:
            assert count == len(frames) == len(fragments)
            assert frames == [zlib.decompress(fragment, -zlib.MAX_WBITS) for fragment in fragments]
            return count
        joined = list(generate_frames(value, number_of_frames=count)) if len(frames) == count else [b"".join(fragments)]
        assert frames == joined, stored
    elif dataset.get("BitsAllocated") == 1:
        assert len(frames) == count
        pixels = pixel_array(dataset, raw=True).reshape(count, -1)
        unpacked = [np.unpackbits(np.frombuffer(data, "u1"), bitorder="little") for data in frames]
        assert all(np.array_equal(bits[: pixels.shape[1]], row) for bits, row in zip(unpacked, pixels, strict=True))
    else:
        assert frames == [value]
    return len(frames)
