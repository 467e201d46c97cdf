"""Pixel data that is not plain frames, rebuilt: floating point, video, what could not be transcoded; and what cannot be had."""

from __future__ import annotations

import itertools
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended, generate_fragments
from pydicom.pixels import pixel_array
from pydicom.uid import RLELossless

from hounsfield.imaging.errors import InvalidRequestError, NotAcceptableError, NotFoundError
from hounsfield.imaging.image_set_access import UNLIMITED
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.retrieve.bulk_data import bulk_data
from hounsfield.imaging.retrieve.instances import StoredInstance, find_instance
from hounsfield.imaging.retrieve.metadata import DicomMetadataReader
from hounsfield.imaging.retrieve.pixel_element import encoded_element
from hounsfield.imaging.retrieve.transcoding import available_transfer_syntaxes, dicom_file, instance_frames
from hounsfield.imaging.staged_instance import PixelKind
from support.files.synthetic import noise, slice_of, uid
from support.imaging.import_folders import fill, import_folder
from support.imaging.rebuilt_files import differences, file_bytes, opened_image_store, rebuilt
from support.imaging.updates import Store
from support.servers import ServerProcess, active_datastore

EXPLICIT = "1.2.840.10008.1.2.1"
_4 = "1.2.840.10008.1.2.4."
HTJ2K, J2K, BASELINE, VIDEO = _4 + "202", _4 + "90", _4 + "50", _4 + "102"
UNKNOWN = "1.2.840.10008.1.2.4.110"
CHUNK = 4 << 20


@pytest.fixture(scope="module")
def image_store(server: ServerProcess) -> Iterator[ImageStore]:
    opened = opened_image_store(server)
    yield opened
    opened.database.close()


@pytest.fixture(scope="module")
def folders() -> Iterator[str]:
    return (f"rebuild-objects-{number}" for number in itertools.count())


@pytest.fixture
def store(server: ServerProcess, client: Any, folders: Iterator[str]) -> Store:
    return Store(server, client, folders)


def stored(store: Store, image_store: ImageStore, dataset: Dataset, syntax: str | None = None) -> StoredInstance:
    """Import a data set; ``syntax`` takes the place of its transfer syntax, for those that pydicom does not write."""
    folder = next(store.folders)
    (path,) = fill(store.server, folder, [dataset]).iterdir()
    if syntax is not None:
        named = dataset.file_meta.TransferSyntaxUID.encode()
        assert len(syntax) == len(named)
        path.write_bytes(path.read_bytes().replace(named, syntax.encode(), 1))
    (line,) = import_folder(store.server, store.client, store.id, folder).success
    image_set = line["importResponse"]["imageSetId"]
    return find_instance(image_store, UNLIMITED, store.id, uid(1), uid(1, 1), str(dataset.SOPInstanceUID), image_set)


def encapsulated(fragments: list[bytes], syntax: str, **elements: Any) -> Dataset:
    """A slice whose pixel data is given fragments, one a frame."""
    dataset = slice_of(**elements)
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    dataset.PixelData = encapsulate(fragments, has_bot=False)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return dataset


def fragments_of(dataset: Dataset) -> list[bytes]:
    """Give the fragments behind the basic offset table."""
    return list(generate_fragments(dataset.PixelData))[1:]


def frames(
    image_store: ImageStore, instance: StoredInstance, numbers: list[int], syntax: str | None = None
) -> list[bytes]:
    answer = instance_frames(image_store, instance, numbers, syntax)
    return [b"".join(frame.chunks) for frame in answer.frames]


def float_image(pixels: NDArray[Any], keyword: str) -> Dataset:
    """A parametric map: floating point pixels, without the elements that integers have."""
    dataset = slice_of(pixels=np.zeros(pixels.shape, "<u2"))
    for name in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(dataset, name)
    dataset.BitsAllocated = pixels.dtype.itemsize * 8
    setattr(dataset, keyword, pixels.tobytes())
    return dataset


@pytest.mark.parametrize(("dtype", "keyword"), [("<f4", "FloatPixelData"), ("<f8", "DoubleFloatPixelData")])
def test_floating_point_pixels_come_back(store: Store, image_store: ImageStore, dtype: str, keyword: str) -> None:
    pixels = np.random.default_rng(3).normal(size=(3, 600, 500)).astype(dtype)
    made = float_image(pixels, keyword)
    instance = stored(store, image_store, made)
    assert instance.pixel_kind is PixelKind.WHOLE
    assert available_transfer_syntaxes(instance) == (EXPLICIT,)
    for wanted in (None, "*", EXPLICIT):
        found = rebuilt(image_store, instance, wanted)
        assert found[keyword].value == pixels.tobytes()
        assert differences(made, found) == []
    assert frames(image_store, instance, [3, 1]) == [pixels[2].tobytes(), pixels[0].tobytes()]
    with pytest.raises(NotFoundError, match="frame 4 does not exist, the instance has 3"):
        frames(image_store, instance, [4])
    with pytest.raises(
        NotAcceptableError, match=f"stored in transfer syntax {EXPLICIT} and cannot be given in {HTJ2K}"
    ):
        dicom_file(image_store, instance, HTJ2K)


@pytest.mark.parametrize("syntax", [VIDEO, UNKNOWN, "1.2.840.113619.5.99.123"])
def test_objects_come_back_fragment_by_fragment(store: Store, image_store: ImageStore, syntax: str) -> None:
    """Whole, odd, empty and very long fragments: all of them where they were."""
    random = np.random.default_rng(4)
    sizes = [7, 2 * CHUNK, 11, CHUNK + 1, 2]
    parts = [random.integers(1, 255, size, "u1").tobytes() for size in sizes]
    made = encapsulated(parts, VIDEO, NumberOfFrames=5)
    instance = stored(store, image_store, made, syntax)
    assert instance.pixel_kind is PixelKind.WHOLE
    padded = [part + bytes(len(part) % 2) for part in parts]
    for wanted in (None, "*", syntax):
        found = rebuilt(image_store, instance, wanted)
        assert found.file_meta.TransferSyntaxUID == syntax
        assert [len(part) for part in fragments_of(found)] == [len(part) for part in padded]
        assert fragments_of(found) == padded
        assert differences(made, found) == []
    assert frames(image_store, instance, [1]) == [b"".join(padded)]
    for wanted in (EXPLICIT, HTJ2K, "1.2.3"):
        with pytest.raises(NotAcceptableError, match=r"transfer-syntax=\*"):
            dicom_file(image_store, instance, wanted)
        with pytest.raises(NotAcceptableError):
            instance_frames(image_store, instance, [1], wanted)


def test_withheld_frames_are_in_the_file_alone(store: Store, image_store: ImageStore) -> None:
    part = b"no codestream at all"
    made = encapsulated([part, part, part], BASELINE, NumberOfFrames=5, BitsAllocated=8, BitsStored=8, HighBit=7)
    instance = stored(store, image_store, made)
    assert instance.pixel_kind is PixelKind.WITHHELD
    assert fragments_of(rebuilt(image_store, instance)) == [part] * 3
    with pytest.raises(NotFoundError, match="no frames could be found in the pixel data"):
        frames(image_store, instance, [1])


def test_broken_items_come_back_as_they_lay(store: Store, image_store: ImageStore) -> None:
    made = encapsulated([b"ab" * 50], VIDEO)
    made.PixelData += b"\xfe\xff\x01\xe0\4\0\0\0abcd"
    instance = stored(store, image_store, made, UNKNOWN)
    data, _ = file_bytes(image_store, instance)
    assert made.PixelData in data


def test_frames_that_do_not_decode_come_as_stored(store: Store, image_store: ImageStore) -> None:
    made = encapsulated([b"\xff\xd8\xff\xe0no picture\xff\xd9"], BASELINE, BitsAllocated=8, BitsStored=8, HighBit=7)
    instance = stored(store, image_store, made)
    assert dicom_file(image_store, instance).transfer_syntax == BASELINE
    assert instance_frames(image_store, instance, [1]).transfer_syntax == BASELINE
    for ask in (
        lambda: dicom_file(image_store, instance, EXPLICIT),
        lambda: instance_frames(image_store, instance, [1], EXPLICIT),
    ):
        with pytest.raises(NotAcceptableError, match=r"the JPEG codestream|cannot be given in"):
            ask()


def test_decoded_lossy_pixels_are_said_to_be_lossy(store: Store, image_store: ImageStore) -> None:
    picture = np.dstack([noise(64, 64, seed).astype("u1") for seed in range(3)])
    jpeg = imagecodecs.jpeg8_encode(picture, colorspace="RGB", outcolorspace="YCBCR")
    made = encapsulated(
        [jpeg], BASELINE, BitsAllocated=8, BitsStored=8, HighBit=7, PixelRepresentation=0, SamplesPerPixel=3,
        PlanarConfiguration=0, PhotometricInterpretation="YBR_FULL",
    )  # fmt: skip
    instance = stored(store, image_store, made)
    assert available_transfer_syntaxes(instance) == (EXPLICIT, BASELINE)
    found = rebuilt(image_store, instance)
    assert (found.PhotometricInterpretation, found.LossyImageCompression) == ("RGB", "01")
    assert np.array_equal(pixel_array(found), pixel_array(made))
    kept = rebuilt(image_store, instance, "*")
    assert kept.PhotometricInterpretation == "YBR_FULL"
    assert "LossyImageCompression" not in kept
    with pytest.raises(NotAcceptableError, match=f"ask for {EXPLICIT} or {BASELINE}"):
        dicom_file(image_store, instance, HTJ2K)


def test_lossless_formats_become_each_other(
    server: ServerProcess, client: Any, image_store: ImageStore, store: Store
) -> None:
    store.id = active_datastore(client, losslessStorageFormat="JPEG_2000_LOSSLESS")
    made = slice_of(pixels=np.stack([noise(70, 50, seed) for seed in range(3)]))
    instance = stored(store, image_store, made)
    assert instance.stored_transfer_syntax == J2K
    assert available_transfer_syntaxes(instance)[:3] == (EXPLICIT, J2K, HTJ2K)
    for wanted in (None, "*", J2K, HTJ2K):
        found = rebuilt(image_store, instance, wanted)
        if wanted == HTJ2K:
            parts = fragments_of(found)
            decoded = np.stack([imagecodecs.htj2k_decode(part) for part in parts])
        else:
            decoded = pixel_array(found)
        assert np.array_equal(decoded, pixel_array(made))
        assert differences(made, found) == []


@pytest.mark.parametrize("elements", [{}, {"PixelData": b""}])
def test_an_instance_without_pixels_is_native(
    store: Store, image_store: ImageStore, elements: dict[str, bytes]
) -> None:
    made = slice_of()
    del made.PixelData
    for keyword, value in elements.items():
        setattr(made, keyword, value)
        made[keyword].VR = "OW"
    instance = stored(store, image_store, made)
    for wanted in (None, "*", EXPLICIT):
        found = rebuilt(image_store, instance, wanted)
        assert differences(made, found) == []
        assert ("PixelData" in found) == bool(elements)
    with pytest.raises(NotAcceptableError):
        dicom_file(image_store, instance, HTJ2K)
    with pytest.raises(NotFoundError, match="no pixel data"):
        frames(image_store, instance, [1])


@pytest.mark.parametrize("numbers", [[], [0], [-1, 1], [1, 1]])
def test_frame_lists_that_name_no_frames_are_refused(store: Store, image_store: ImageStore, numbers: list[int]) -> None:
    instance = stored(store, image_store, slice_of())
    with pytest.raises(InvalidRequestError, match="frames from 1 on"):
        instance_frames(image_store, instance, numbers)
    with pytest.raises(NotAcceptableError, match="what is not a UID"):
        dicom_file(image_store, instance, "Roe^Jane")


def test_icons_are_decoded_with_their_image(store: Store, image_store: ImageStore) -> None:
    made = slice_of()
    icon = slice_of(pixels=noise(16, 16, dtype="<u2"))
    pixels = icon.PixelData
    icon.compress(RLELossless)
    item = Dataset()
    for keyword in ("SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated", "BitsStored",
                    "HighBit", "PixelRepresentation", "PixelData"):  # fmt: skip
        item[keyword] = icon[keyword]
    made.compress(RLELossless)
    made.IconImageSequence = [item]
    instance = stored(store, image_store, made)
    for wanted in (None, "*", J2K):
        (found,) = rebuilt(image_store, instance, wanted).IconImageSequence
        assert (found.PixelData, found["PixelData"].VR) == (pixels, "OW")


def test_offset_tables_of_another_encoding_are_left_out(store: Store, image_store: ImageStore) -> None:
    made = slice_of(pixels=np.stack([noise(64, 64, seed) for seed in range(3)]))
    made.compress(RLELossless)
    parts = list(pydicom.encaps.generate_frames(made.PixelData, number_of_frames=3))
    made.PixelData, made.ExtendedOffsetTable, made.ExtendedOffsetTableLengths = encapsulate_extended(parts)
    instance = stored(store, image_store, made)
    for wanted in (None, "*"):
        found = rebuilt(image_store, instance, wanted)
        assert "ExtendedOffsetTable" not in found
        assert "ExtendedOffsetTableLengths" not in found
    offsets = pydicom.encaps.parse_basic_offsets(rebuilt(image_store, instance, "*").PixelData)
    assert len(offsets) == 3


def test_frames_encoded_on_the_way_have_an_offset_table_when_they_can_be_held() -> None:
    few = encoded_element(iter([b"\1" * 5, b"\2" * 6]), {})
    data = b"".join(few.chunks)
    assert few.size == len(data)
    assert pydicom.encaps.parse_basic_offsets(data[12:]) == [0, 14]
    large = bytes(20 << 20)
    many = encoded_element(iter([large, large, b"\3\3"]), {})
    assert many.size is None
    value = b"".join(many.chunks)[12:-8]
    assert pydicom.encaps.parse_basic_offsets(value) == []
    assert list(generate_fragments(value))[1:] == [large, large, b"\3\3"]


def test_a_long_file_takes_little_memory(store: Store, image_store: ImageStore) -> None:
    count, size = 120, 512 * 512 * 2
    made = slice_of(pixels=np.broadcast_to(noise(512, 512), (count, 512, 512)))
    instance = stored(store, image_store, made)
    tracemalloc.start()
    try:
        file = dicom_file(image_store, instance)
        lengths = [len(chunk) for chunk in file.chunks]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(lengths) == file.size
    assert file.size > count * size
    assert max(lengths) == size
    assert peak < 40 << 20


def test_bulk_data_is_found_by_its_uri(store: Store, image_store: ImageStore) -> None:
    made = slice_of()
    large = bytes(range(256)) * 5000
    made.add_new(0x00091001, "OB", large)
    inner = Dataset()
    inner.add_new(0x00091001, "UN", large[::-1])
    made.ReferencedImageSequence = [inner]
    made.add_new(0x00091002, "OB", b"small")
    instance = stored(store, image_store, made)
    reader = DicomMetadataReader(image_store)
    base = f"http://host/datastore/{store.id}"
    (model,) = json.loads(reader.instance(UNLIMITED, store.id, uid(1), uid(1, 1), uid(1, 1, 1), base))
    address = f"{base}/studies/{uid(1)}/series/{uid(1, 1)}/instances/{uid(1, 1, 1)}/bulkdata/"
    uris = [model["00091001"]["BulkDataURI"], model["00081140"]["Value"][0]["00091001"]["BulkDataURI"]]
    digests = [address_of.removeprefix(address) for address_of in uris]
    assert all(len(digest) == 32 and not set(digest) - set("0123456789abcdef") for digest in digests)
    assert [bulk_data(image_store, instance, digest) for digest in digests] == [large, large[::-1]]
    assert model["00091002"]["InlineBinary"]
    assert model["00020010"]["Value"] == [HTJ2K]
    assert set(model["00083002"]["Value"]) == set(available_transfer_syntaxes(instance))
    assert model["00083002"]["Value"][0] == HTJ2K
    assert "7FE00010" not in model
    for wrong in ("0" * 32, "", digests[0][:-1]):
        with pytest.raises(NotFoundError, match="no bulk data"):
            bulk_data(image_store, instance, wrong)
    xml = reader.instance_xml(UNLIMITED, store.id, uid(1), uid(1, 1), uid(1, 1, 1), base)
    assert uris[0].encode() in xml


def test_bulk_data_of_a_set_that_is_not_primary_names_it(store: Store, image_store: ImageStore) -> None:
    store.series(1)
    other = slice_of(PatientID="P-2")
    other.add_new(0x00091001, "OB", bytes(2 << 20))
    instance = stored(store, image_store, other)
    image_set = instance.image_set.image_set_id
    (model,) = json.loads(
        DicomMetadataReader(image_store).instance(
            UNLIMITED, store.id, uid(1), uid(1, 1), uid(1, 1, 1), "http://host", image_set
        )
    )
    assert model["00091001"]["BulkDataURI"].endswith(f"?imageSetId={image_set}")


def test_metadata_describe_the_frames_that_are_stored(store: Store, image_store: ImageStore) -> None:
    path = Path(pydicom.__path__[0]) / "data" / "test_files" / "SC_ybr_full_422_uncompressed.dcm"
    made = pydicom.dcmread(path)
    made.StudyInstanceUID, made.SeriesInstanceUID = uid(1), uid(1, 1)
    instance = stored(store, image_store, made)
    (model,) = json.loads(
        DicomMetadataReader(image_store).instance(
            UNLIMITED, store.id, uid(1), uid(1, 1), instance.sop_uid, "http://host"
        )
    )
    assert model["00280004"]["Value"] == ["YBR_FULL"]
    assert model["00020010"]["Value"] == [HTJ2K]
