"""Pixel data that is not plain frames, rebuilt: floating point, video, what could not be transcoded; and what cannot be had."""

from __future__ import annotations

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

from support.clients.dicomweb import parts, values
from support.files.synthetic import noise, slice_of, uid
from support.imaging.import_folders import fill, import_folder
from support.imaging.rebuilt_files import differences
from support.imaging.retrieved import RetrievedInstance, refused, retrieved
from support.imaging.updates import Store
from support.servers import active_datastore

EXPLICIT = "1.2.840.10008.1.2.1"
_4 = "1.2.840.10008.1.2.4."
HTJ2K, J2K, BASELINE, VIDEO = _4 + "202", _4 + "90", _4 + "50", _4 + "102"
UNKNOWN = "1.2.840.10008.1.2.4.110"
CHUNK = 4 << 20


def stored(store: Store, dataset: Dataset, syntax: str | None = None) -> RetrievedInstance:
    """Import a data set; ``syntax`` takes the place of its transfer syntax, for those that pydicom does not write."""
    folder = f"objects-{store.id}"
    (path,) = fill(store.server, folder, [dataset]).iterdir()
    if syntax is not None:
        named = dataset.file_meta.TransferSyntaxUID.encode()
        assert len(syntax) == len(named)
        path.write_bytes(path.read_bytes().replace(named, syntax.encode(), 1))
    (line,) = import_folder(store.server, store.client, store.id, folder).success
    image_set = line["importResponse"]["imageSetId"]
    return retrieved(store.server, store.id, str(dataset.SOPInstanceUID), image_set=image_set)


def encapsulated(fragments: list[bytes], syntax: str, **elements: Any) -> Dataset:
    """A slice whose pixel data is given fragments, one a frame."""
    dataset = slice_of(**elements)
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    dataset.PixelData = encapsulate(fragments, has_bot=False)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return dataset


def fragments_of(dataset: Dataset) -> list[bytes]:
    """Return the fragments behind the basic offset table."""
    return list(generate_fragments(dataset.PixelData))[1:]


def float_image(pixels: NDArray[Any], keyword: str) -> Dataset:
    """A parametric map: floating point pixels, without the elements that integers have."""
    dataset = slice_of(pixels=np.zeros(pixels.shape, "<u2"))
    for name in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(dataset, name)
    dataset.BitsAllocated = pixels.dtype.itemsize * 8
    setattr(dataset, keyword, pixels.tobytes())
    return dataset


@pytest.mark.parametrize(("dtype", "keyword"), [("<f4", "FloatPixelData"), ("<f8", "DoubleFloatPixelData")])
def test_floating_point_pixels_come_back(store: Store, dtype: str, keyword: str) -> None:
    pixels = np.random.default_rng(3).normal(size=(3, 600, 500)).astype(dtype)
    made = float_image(pixels, keyword)
    instance = stored(store, made)
    assert instance.transfer_syntaxes() == [EXPLICIT]
    for wanted in (None, "*", EXPLICIT):
        found = instance.dataset(wanted)
        assert found[keyword].value == pixels.tobytes()
        assert differences(made, found) == []
    assert instance.frames([3, 1]) == [pixels[2].tobytes(), pixels[0].tobytes()]
    refused(instance.answer_with_frames([4]), 404, "frame 4 does not exist, the instance has 3")
    reason = f"stored in transfer syntax {EXPLICIT} and cannot be given in {HTJ2K}"
    refused(instance.answer(HTJ2K), 406, reason)


@pytest.mark.parametrize("syntax", [VIDEO, UNKNOWN, "1.2.840.113619.5.99.123"])
def test_objects_come_back_fragment_by_fragment(store: Store, syntax: str) -> None:
    """Whole, odd, empty and very long fragments: all of them where they were."""
    random = np.random.default_rng(4)
    sizes = [7, 2 * CHUNK, 11, CHUNK + 1, 2]
    parts = [random.integers(1, 255, size, "u1").tobytes() for size in sizes]
    made = encapsulated(parts, VIDEO, NumberOfFrames=5)
    instance = stored(store, made, syntax)
    padded = [part + bytes(len(part) % 2) for part in parts]
    for wanted in (None, "*", syntax):
        found = instance.dataset(wanted)
        assert found.file_meta.TransferSyntaxUID == syntax
        assert [len(part) for part in fragments_of(found)] == [len(part) for part in padded]
        assert fragments_of(found) == padded
        assert differences(made, found) == []
    whole = b"".join(padded)
    assert instance.frames([1]) == [whole]
    # Within a chunk, over the ends of chunks, of 100 bytes at the end.
    for asked, part in (
        ("bytes=3-9", whole[3:10]),
        (f"bytes={CHUNK - 5}-{2 * CHUNK + 20}", whole[CHUNK - 5 : 2 * CHUNK + 21]),
        ("bytes=-100", whole[-100:]),
    ):
        answer = instance.get("application/octet-stream; transfer-syntax=*", "/frames/1", Range=asked)
        assert (answer.status_code, answer.content) == (206, part), asked
    for wanted in (EXPLICIT, HTJ2K, "1.2.3"):
        refused(instance.answer(wanted), 406, "transfer-syntax=*")
        refused(instance.answer_with_frames([1], wanted), 406, "")


def test_withheld_frames_are_in_the_file_alone(store: Store) -> None:
    part = b"no codestream at all"
    made = encapsulated([part, part, part], BASELINE, NumberOfFrames=5, BitsAllocated=8, BitsStored=8, HighBit=7)
    instance = stored(store, made)
    assert fragments_of(instance.dataset()) == [part] * 3
    refused(instance.answer_with_frames([1]), 404, "no frames could be found in the pixel data")


def test_broken_items_come_back_as_they_lay(store: Store) -> None:
    made = encapsulated([b"ab" * 50], VIDEO)
    made.PixelData += b"\xfe\xff\x01\xe0\4\0\0\0abcd"
    instance = stored(store, made, UNKNOWN)
    data, _ = instance.file()
    assert made.PixelData in data


def test_frames_that_do_not_decode_come_as_stored(store: Store) -> None:
    made = encapsulated([b"\xff\xd8\xff\xe0no picture\xff\xd9"], BASELINE, BitsAllocated=8, BitsStored=8, HighBit=7)
    instance = stored(store, made)
    assert instance.file()[1] == BASELINE
    ((headers, _),) = parts(instance.answer_with_frames([1]))
    assert headers["content-type"].endswith(f"transfer-syntax={BASELINE}")
    refused(instance.answer(EXPLICIT), 406, "cannot be given in")
    refused(instance.answer_with_frames([1], EXPLICIT), 406, "transfer-syntax=*")


def test_decoded_lossy_pixels_are_said_to_be_lossy(store: Store) -> None:
    picture = np.dstack([noise(64, 64, seed).astype("u1") for seed in range(3)])
    jpeg = imagecodecs.jpeg8_encode(picture, colorspace="RGB", outcolorspace="YCBCR")
    made = encapsulated(
        [jpeg], BASELINE, BitsAllocated=8, BitsStored=8, HighBit=7, PixelRepresentation=0, SamplesPerPixel=3,
        PlanarConfiguration=0, PhotometricInterpretation="YBR_FULL",
    )  # fmt: skip
    instance = stored(store, made)
    assert instance.transfer_syntaxes() == [BASELINE, EXPLICIT]
    found = instance.dataset()
    assert (found.PhotometricInterpretation, found.LossyImageCompression) == ("RGB", "01")
    assert np.array_equal(pixel_array(found), pixel_array(made))
    kept = instance.dataset("*")
    assert kept.PhotometricInterpretation == "YBR_FULL"
    assert "LossyImageCompression" not in kept
    refused(instance.answer(HTJ2K), 406, f"ask for {EXPLICIT} or {BASELINE}")


def test_lossless_formats_become_each_other(client: Any, store: Store) -> None:
    store.id = active_datastore(client, losslessStorageFormat="JPEG_2000_LOSSLESS")
    made = slice_of(pixels=np.stack([noise(70, 50, seed) for seed in range(3)]))
    instance = stored(store, made)
    assert instance.transfer_syntaxes()[:3] == [J2K, EXPLICIT, HTJ2K]
    for wanted in (None, "*", J2K, HTJ2K):
        found = instance.dataset(wanted)
        if wanted == HTJ2K:
            decoded = np.stack([imagecodecs.htj2k_decode(part) for part in fragments_of(found)])
        else:
            decoded = pixel_array(found)
        assert np.array_equal(decoded, pixel_array(made))
        assert differences(made, found) == []


@pytest.mark.parametrize("elements", [{}, {"PixelData": b""}])
def test_an_instance_without_pixels_is_native(store: Store, elements: dict[str, bytes]) -> None:
    made = slice_of()
    del made.PixelData
    for keyword, value in elements.items():
        setattr(made, keyword, value)
        made[keyword].VR = "OW"
    instance = stored(store, made)
    for wanted in (None, "*", EXPLICIT):
        found = instance.dataset(wanted)
        assert differences(made, found) == []
        assert ("PixelData" in found) == bool(elements)
    refused(instance.answer(HTJ2K), 406, "")
    refused(instance.answer_with_frames([1]), 404, "no pixel data")


@pytest.mark.parametrize("numbers", [[0], [-1, 1], [1, 1]])
def test_frame_lists_that_name_no_frames_are_refused(store: Store, numbers: list[int]) -> None:
    instance = stored(store, slice_of())
    refused(instance.answer_with_frames(numbers), 400, "frame")
    refused(instance.answer("Roe^Jane"), 406, "what is not a UID")


def test_icons_are_decoded_with_their_image(store: Store) -> None:
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
    instance = stored(store, made)
    for wanted in (None, "*", J2K):
        (found,) = instance.dataset(wanted).IconImageSequence
        assert (found.PixelData, found["PixelData"].VR) == (pixels, "OW")


def test_offset_tables_of_another_encoding_are_left_out(store: Store) -> None:
    made = slice_of(pixels=np.stack([noise(64, 64, seed) for seed in range(3)]))
    made.compress(RLELossless)
    parts = list(pydicom.encaps.generate_frames(made.PixelData, number_of_frames=3))
    made.PixelData, made.ExtendedOffsetTable, made.ExtendedOffsetTableLengths = encapsulate_extended(parts)
    instance = stored(store, made)
    for wanted in (None, "*"):
        found = instance.dataset(wanted)
        assert "ExtendedOffsetTable" not in found
        assert "ExtendedOffsetTableLengths" not in found
    offsets = pydicom.encaps.parse_basic_offsets(instance.dataset("*").PixelData)
    assert len(offsets) == 3


def test_bulk_data_is_found_by_its_uri(store: Store) -> None:
    made = slice_of()
    large = bytes(range(256)) * 5000
    made.add_new(0x00091001, "OB", large)
    inner = Dataset()
    inner.add_new(0x00091001, "UN", large[::-1])
    made.ReferencedImageSequence = [inner]
    made.add_new(0x00091002, "OB", b"small")
    instance = stored(store, made)
    model = instance.metadata()
    address = f"{instance.url}/bulkdata/"
    uris = [model["00091001"]["BulkDataURI"], model["00081140"]["Value"][0]["00091001"]["BulkDataURI"]]
    digests = [address_of.removeprefix(address) for address_of in uris]
    assert all(len(digest) == 32 and not set(digest) - set("0123456789abcdef") for digest in digests)
    found = [instance.web.get(uri, headers={"Accept": "application/octet-stream"}, timeout=60).content for uri in uris]
    assert found == [large, large[::-1]]
    assert model["00091002"]["InlineBinary"]
    assert model["00020010"]["Value"] == [HTJ2K]
    available = values(model, "00083002")
    assert available[0] == HTJ2K
    assert [instance.file(syntax)[1] for syntax in available] == available
    assert "7FE00010" not in model
    for wrong in ("0" * 32, digests[0][:-1]):
        assert instance.get("application/octet-stream", f"/bulkdata/{wrong}").status_code == 404
    xml = instance.get('multipart/related; type="application/dicom+xml"', "/metadata").content
    assert uris[0].encode() in xml


def test_bulk_data_of_a_set_that_is_not_primary_names_it(store: Store) -> None:
    store.series(1)
    other = slice_of(PatientID="P-2")
    other.add_new(0x00091001, "OB", bytes(2 << 20))
    instance = stored(store, other)
    assert instance.metadata()["00091001"]["BulkDataURI"].endswith(f"?imageSetId={instance.image_set}")


def test_metadata_describe_the_frames_that_are_stored(store: Store) -> None:
    path = Path(pydicom.__path__[0]) / "data" / "test_files" / "SC_ybr_full_422_uncompressed.dcm"
    made = pydicom.dcmread(path)
    made.StudyInstanceUID, made.SeriesInstanceUID = uid(1), uid(1, 1)
    instance = stored(store, made)
    model = instance.metadata()
    assert model["00280004"]["Value"] == ["YBR_FULL"]
    assert model["00020010"]["Value"] == [HTJ2K]
