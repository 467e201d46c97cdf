"""Frames into storage: equal bit for bit, with checksums that follow from what went in."""

from __future__ import annotations

import dataclasses
import itertools
import zlib

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, HTJ2KLossless, JPEG2000Lossless, JPEGBaseline8Bit

from hounsfield.pixels.codecs import transcode
from hounsfield.pixels.codecs.checksum import LevelChecksum, level_sizes, resolutions
from hounsfield.pixels.codecs.codestream import has_three_apart, read_j2k, with_depth
from hounsfield.pixels.codecs.decode import decode_frame, decode_reduced, decode_samples
from hounsfield.pixels.codecs.encode import (
    decomposition_levels,
    encode_frame,
    names_colour_transform,
    uses_colour_transform,
)
from hounsfield.pixels.codecs.transcode import store_unchanged, transcode_frame
from hounsfield.pixels.codecs.wavelet import reduce_resolutions
from hounsfield.pixels.errors import PixelError
from hounsfield.pixels.format import PixelFormat
from hounsfield.pixels.transfer_syntaxes import LosslessFormat
from support.examples import examples
from support.files.pixel_data import dataset_format, image, make_format

DTYPES = ["u1", "i1", "u2", "i2", "u4", "i4"]


@pytest.mark.parametrize("lossless", LosslessFormat)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 70), (71, 1), (33, 65), (150, 140), (40, 30, 2), (140, 150, 3), (5, 7, 4)]
)
def test_every_kind_of_sample_comes_out_equal(lossless: LosslessFormat, dtype: str, shape: tuple[int, ...]) -> None:
    deep = dtype in ("u4", "i4")
    samples = image(dtype, shape, bits=24 if deep and lossless is LosslessFormat.JPEG_2000_LOSSLESS else None)
    format_ = make_format(samples)
    stored = transcode_frame(samples.tobytes(), ExplicitVRLittleEndian, format_, lossless)
    assert stored.data.startswith(b"\xff\x4f\xff\x51")
    decoded = decode_samples(stored.data, lossless.transfer_syntax, format_)
    assert decoded.dtype == samples.dtype
    np.testing.assert_array_equal(decoded, samples)
    assert stored.checksums[-1] == LevelChecksum(shape[1], shape[0], zlib.crc32(samples.tobytes()))
    assert (stored.min_value, stored.max_value) == (int(samples.min()), int(samples.max()))


@given(data=st.data())
@settings(max_examples=examples(60), deadline=None)
def test_any_samples_come_out_equal(data: st.DataObject) -> None:
    shape = data.draw(st.tuples(st.integers(1, 20), st.integers(1, 20)))
    if data.draw(st.booleans()):
        shape = (*shape, data.draw(st.integers(2, 4)))
    samples = data.draw(hnp.arrays(np.dtype(data.draw(st.sampled_from(DTYPES))), shape))
    format_ = make_format(samples)
    stored = transcode_frame(samples.tobytes(), ExplicitVRLittleEndian, format_, LosslessFormat.HTJ2K)
    np.testing.assert_array_equal(decode_samples(stored.data, HTJ2KLossless, format_), samples)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "i4"])
@pytest.mark.parametrize("colour", [False, True])
@given(data=st.data())
@settings(max_examples=examples(25), deadline=None)
def test_smaller_resolutions_are_those_of_another_decoder(dtype: str, colour: bool, data: st.DataObject) -> None:
    if colour and dtype == "i4":
        return
    rows, columns = data.draw(st.integers(1, 140)), data.draw(st.integers(1, 140))
    info = np.iinfo(dtype)
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    shape = (rows, columns, 3) if colour else (rows, columns)
    low, high = sorted(data.draw(st.tuples(st.integers(info.min, info.max), st.integers(info.min, info.max))))
    sharp = data.draw(st.booleans())
    samples = (
        rng.choice(np.array([low, high], dtype), shape)
        if sharp
        else rng.integers(low, high, shape, dtype, endpoint=True)
    )
    encoded = encode_frame(samples, LosslessFormat.HTJ2K, colour_transform=colour)
    levels = decomposition_levels(columns, rows)
    for skipped, level in enumerate(reduce_resolutions(samples, levels, colour_transform=colour), 1):
        if not min(rows, columns) >> skipped:
            break  # newer codecs do not decode it, and nothing of ours asks for it
        decoded = imagecodecs.htj2k_decode(encoded, planar=False, skipres=skipped)
        np.testing.assert_array_equal(decoded.reshape(level.wrapped.shape), level.wrapped)
        assert level.limited is level.wrapped or (level.limited != level.wrapped).any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (1, 300), (300, 1), (1, 90, 3)])
@pytest.mark.parametrize("lossless", LosslessFormat)
def test_images_one_pixel_wide_keep_their_extremes(
    dtype: str, shape: tuple[int, ...], lossless: LosslessFormat
) -> None:
    info = np.iinfo(dtype)
    most = 1 << 20 if info.bits == 32 and lossless is LosslessFormat.JPEG_2000_LOSSLESS else info.max
    for value in (max(info.min, -most), most):
        samples = np.full(shape, value, dtype)
        format_ = make_format(samples)
        stored = transcode_frame(samples.tobytes(), ExplicitVRLittleEndian, format_, lossless)
        np.testing.assert_array_equal(decode_samples(stored.data, lossless.transfer_syntax, format_), samples)
        assert [(checksum.width, checksum.height) for checksum in stored.checksums] == [(shape[1], shape[0])]
        if lossless is LosslessFormat.HTJ2K:
            np.testing.assert_array_equal(decode_reduced(stored.data, lossless.transfer_syntax, format_, 3), samples)


@pytest.mark.parametrize("size", [(2, 200), (200, 2), (3, 129), (5, 300), (7, 64), (3, 40000)])
def test_thin_images_are_decoded_smaller_as_far_as_the_shorter_side_goes(size: tuple[int, int]) -> None:
    samples = np.random.default_rng(1).integers(0, 4000, size, "u2", endpoint=True)
    format_ = make_format(samples)
    stored = transcode_frame(samples.tobytes(), ExplicitVRLittleEndian, format_, LosslessFormat.HTJ2K)
    for halvings in range(9):
        rows, columns = decode_reduced(stored.data, HTJ2KLossless, format_, halvings).shape
        done = min(halvings, decomposition_levels(size[1], size[0]), min(size).bit_length() - 1)
        assert (rows, columns) == tuple(-(-side // (1 << done)) for side in size)


@pytest.mark.parametrize("dtype", ["i2", "u2", "i4"])
@pytest.mark.parametrize("low", [-12000, -5460, 0, 20000])
@pytest.mark.parametrize("span", [10900, 10918, 10919, 10920, 10921, 10922, 11000, 11200])
def test_no_step_overflows_where_the_filter_goes_furthest(dtype: str, low: int, span: int) -> None:
    """Columns that have the signs of the filter, (-1 2 6 2 -1), at ranges about the largest that 16 bits are used for.

    Lines that alternate then make the largest differences, lines like the columns the largest sums.
    """
    low = max(low, np.iinfo(dtype).min)
    signs = np.resize([-1, 1, 1, 1], 72)
    for shift, across in itertools.product(range(4), (signs, np.resize([-1, 1], 72), np.resize([1, -1], 72))):
        samples = np.where(np.outer(np.roll(signs, shift), across) > 0, low + span, low).astype(dtype)
        encoded = encode_frame(samples, LosslessFormat.HTJ2K, colour_transform=False)
        for skipped, level in enumerate(reduce_resolutions(samples, 1, colour_transform=False), 1):
            np.testing.assert_array_equal(imagecodecs.htj2k_decode(encoded, skipres=skipped), level.wrapped)


@given(data=st.data())
@settings(max_examples=examples(60), deadline=None)
def test_the_value_called_absent_is(data: st.DataObject) -> None:
    dtype = np.dtype(data.draw(st.sampled_from(DTYPES)))
    samples = data.draw(hnp.arrays(dtype, st.tuples(st.integers(1, 12), st.integers(1, 12))))
    for level in resolutions(samples, colour_transform=False) + reduce_resolutions(samples, 3, colour_transform=False):
        assert level.absent is None or not (level.wrapped == level.absent).any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_decoder_that_writes_nothing_is_noticed(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever value the samples have, and also when they have every value."""
    info = np.iinfo(dtype)
    pictures = [np.full((20, 20), value, dtype) for value in (info.min, 0, 1, info.max)]
    pictures.append(np.resize(np.array([info.min, info.max, 0, 1], dtype), (20, 20)))
    monkeypatch.setattr(imagecodecs, "htj2k_decode", lambda *_args, **_options: None)
    for samples in pictures:
        with pytest.raises(PixelError, match="verification failed"):
            transcode_frame(samples.tobytes(), ExplicitVRLittleEndian, make_format(samples), LosslessFormat.HTJ2K)


def test_samples_beyond_the_range_of_a_smaller_resolution_are_limited() -> None:
    edges = np.random.default_rng(1).choice(np.array([0, 255], "u1"), (64, 64))
    level = reduce_resolutions(edges, 1, colour_transform=False)[0]
    beyond = level.limited != level.wrapped
    assert beyond.any()
    assert set(np.unique(level.limited[beyond])) == {0, 255}


@pytest.mark.parametrize(
    ("size", "sizes"),
    [
        ((512, 512), [(128, 128), (256, 256), (512, 512)]),
        ((640, 480), [(160, 120), (320, 240), (640, 480)]),
        ((320, 240), [(160, 120), (320, 240)]),
        ((512, 375), [(256, 188), (512, 375)]),
        ((100, 100), [(100, 100)]),
        ((1, 1), [(1, 1)]),
        ((40000, 1), [(40000, 1)]),
        ((40000, 2), [(20000, 1), (40000, 2)]),
    ],
)
def test_resolutions_with_a_checksum(size: tuple[int, int], sizes: list[tuple[int, int]]) -> None:
    assert list(level_sizes(*size)) == sizes
    assert decomposition_levels(*size) >= len(sizes) - 1


@pytest.mark.parametrize(
    ("size", "levels"), [((2, 2), 1), ((64, 64), 1), ((128, 128), 1), ((129, 3), 2), ((512, 375), 3), ((65535, 9), 10)]
)
def test_the_smallest_resolution_is_at_most_64_pixels(size: tuple[int, int], levels: int) -> None:
    assert decomposition_levels(*size) == levels
    assert -(-max(size) // 2**levels) <= 64


@pytest.mark.parametrize("size", [(1, 1), (1, 64), (300, 1)])
def test_images_one_pixel_wide_have_no_smaller_resolution(size: tuple[int, int]) -> None:
    assert decomposition_levels(*size) == 0
    assert level_sizes(*size) == (size,)


def test_a_real_slice(ct: Dataset) -> None:
    stored = transcode_frame(ct.PixelData, ExplicitVRLittleEndian, dataset_format(ct), LosslessFormat.HTJ2K)
    assert [(level.width, level.height) for level in stored.checksums] == [(128, 128), (256, 256), (512, 512)]
    assert stored.checksums[-1].crc32 == 1052635650
    for skipped, level in enumerate(reversed(stored.checksums)):
        decoded = imagecodecs.htj2k_decode(stored.data, skipres=skipped or None)
        assert zlib.crc32(decoded.tobytes()) == level.crc32
    assert len(stored.data) < len(ct.PixelData) / 2


@pytest.mark.parametrize("shape", [(150, 140), (400, 300, 3)])
def test_htj2k_codestreams_are_progressive(shape: tuple[int, ...]) -> None:
    data = encode_frame(image("u2", shape), LosslessFormat.HTJ2K, colour_transform=len(shape) == 3)
    header = read_j2k(data)
    assert (header.progression, header.reversible, header.high_throughput, header.tile_part_lengths) == (
        2,
        True,
        True,
        True,
    )
    assert header.colour_transform == (len(shape) == 3)
    lengths, position = [], data.index(b"\xff\x90\x00\x0a")
    while data[position : position + 2] == b"\xff\x90":
        lengths.append(int.from_bytes(data[position + 6 : position + 10], "big"))
        position += lengths[-1]
    assert data[position:] == b"\xff\xd9"
    assert len(lengths) == header.levels + 1


@pytest.mark.parametrize("source", LosslessFormat)
@pytest.mark.parametrize("target", LosslessFormat)
def test_codestreams_are_transcoded_too(source: LosslessFormat, target: LosslessFormat) -> None:
    samples = image("i2", (60, 50))
    encoded = encode_frame(samples, source, colour_transform=False)
    stored = transcode_frame(encoded, source.transfer_syntax, make_format(samples), target)
    assert read_j2k(stored.data).high_throughput == (target is LosslessFormat.HTJ2K)
    assert stored.checksums[-1].crc32 == zlib.crc32(samples.tobytes())


def test_bits_above_bits_stored_survive_but_do_not_count() -> None:
    samples = image("u2", (20, 20), bits=12)
    overlaid = samples | np.uint16(0x8000)
    format_ = make_format(samples, bits_stored=12, high_bit=11)
    stored = transcode_frame(overlaid.tobytes(), ExplicitVRLittleEndian, format_, LosslessFormat.HTJ2K)
    np.testing.assert_array_equal(decode_samples(stored.data, HTJ2KLossless, format_), overlaid)
    assert (stored.min_value, stored.max_value) == (samples.min(), samples.max())


@pytest.mark.parametrize("lossless", LosslessFormat)
def test_three_samples_are_transformed_as_far_as_files_can_say_so(lossless: LosslessFormat) -> None:
    rgb = make_format(np.zeros((4, 4, 3), "u1"))
    assert uses_colour_transform(rgb, lossless)
    ybr = dataclasses.replace(rgb, photometric_interpretation="YBR_FULL")
    assert uses_colour_transform(ybr, lossless) == (lossless is LosslessFormat.HTJ2K)
    assert names_colour_transform(rgb)
    assert not names_colour_transform(ybr)
    assert not uses_colour_transform(dataclasses.replace(rgb, bits_allocated=32), lossless)
    assert not uses_colour_transform(make_format(np.zeros((4, 4), "u1")), lossless)


@pytest.mark.parametrize("lossless", LosslessFormat)
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", range(8, 17))
@pytest.mark.parametrize("shape", [(33, 65), (150, 140, 3), (1, 7)])
def test_codestreams_state_the_stored_bits_that_are_true(
    lossless: LosslessFormat, signed: bool, bits: int, shape: tuple[int, ...]
) -> None:
    samples = image("i2" if signed else "u2", shape, bits=bits)
    samples.flat[:2] = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    format_ = make_format(samples, bits_stored=bits, high_bit=bits - 1)
    stored = transcode_frame(samples.tobytes(), ExplicitVRLittleEndian, format_, lossless)
    assert read_j2k(stored.data).samples.precision == (bits if bits > 8 else 16)
    for described in (format_, make_format(samples)):
        np.testing.assert_array_equal(decode_samples(stored.data, lossless.transfer_syntax, described), samples)
    np.testing.assert_array_equal(imagecodecs.jpeg2k_decode(stored.data, planar=False), samples)
    assert stored.checksums[-1].crc32 == zlib.crc32(samples.tobytes())


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [16, 17, 20, 24, 25, 31, 32])
@pytest.mark.parametrize("shape", [(33, 65), (300, 280), (20, 30, 3)])
def test_deep_codestreams_state_the_stored_bits_too(signed: bool, bits: int, shape: tuple[int, ...]) -> None:
    samples = image("i4" if signed else "u4", shape, bits=bits)
    format_ = make_format(samples, bits_stored=bits, high_bit=bits - 1)
    stored = transcode_frame(samples.tobytes(), ExplicitVRLittleEndian, format_, LosslessFormat.HTJ2K)
    assert read_j2k(stored.data).samples.precision == (bits if bits > 16 else 32)
    for described in (format_, make_format(samples)):
        np.testing.assert_array_equal(decode_samples(stored.data, HTJ2KLossless, described), samples)
    if bits <= 24:
        stored = transcode_frame(samples.tobytes(), ExplicitVRLittleEndian, format_, LosslessFormat.JPEG_2000_LOSSLESS)
        np.testing.assert_array_equal(decode_samples(stored.data, JPEG2000Lossless, format_), samples)


@pytest.mark.parametrize("beyond", [4096, 0x8000])
def test_codestreams_of_samples_beyond_the_stored_bits_state_all(beyond: int) -> None:
    samples = image("u2", (40, 50), bits=12)
    samples[7, 7] |= beyond
    format_ = make_format(samples, bits_stored=12, high_bit=11)
    stored = transcode_frame(samples.tobytes(), ExplicitVRLittleEndian, format_, LosslessFormat.HTJ2K)
    assert read_j2k(stored.data).samples.precision == 16
    np.testing.assert_array_equal(decode_samples(stored.data, HTJ2KLossless, format_), samples)


@pytest.mark.parametrize(("dtype", "bits"), [("u1", 8), ("u2", 12), ("i2", 12), ("u2", 16), ("i2", 16)])
def test_checksums_of_smaller_resolutions_are_limited_to_the_stated_precision(dtype: str, bits: int) -> None:
    """As OpenJPEG decodes them; the reference is a decoder that is told of a wider range, then limited."""
    low = -(1 << bits - 1) if dtype == "i2" else 0
    high = low + (1 << bits) - 1
    samples = np.random.default_rng(1).choice(np.array([low, high], dtype), (300, 300))
    format_ = make_format(samples, bits_stored=bits, high_bit=bits - 1)
    stored = transcode_frame(samples.tobytes(), ExplicitVRLittleEndian, format_, LosslessFormat.HTJ2K)
    wide = with_depth(stored.data, 1, bits + 2, signed=dtype == "i2")
    shift = 0 if dtype == "i2" else 3 << bits - 1
    limited = np.clip(imagecodecs.htj2k_decode(wide, skipres=1).astype(int) - shift, low, high).astype(dtype)
    assert stored.checksums[-2] == LevelChecksum(150, 150, zlib.crc32(limited.tobytes()))


def test_the_deepest_unsigned_samples_have_one_checksum() -> None:
    deepest = image("u4", (256, 256))
    deepest[0, 0] = 2**32 - 1
    for samples, widths in ((deepest, [256]), (deepest >> 1, [128, 256])):
        stored = transcode_frame(samples.tobytes(), ExplicitVRLittleEndian, make_format(samples), LosslessFormat.HTJ2K)
        assert [level.width for level in stored.checksums] == widths


def test_an_overlay_in_the_highest_bit_of_32_counts_as_deep() -> None:
    samples = image("u4", (256, 256), bits=24)
    samples[:128] |= np.uint32(1 << 31)
    format_ = make_format(samples, bits_stored=24, high_bit=23)
    stored = transcode_frame(samples.tobytes(), ExplicitVRLittleEndian, format_, LosslessFormat.HTJ2K)
    assert [level.width for level in stored.checksums] == [256]
    np.testing.assert_array_equal(decode_samples(stored.data, HTJ2KLossless, format_), samples)
    assert stored.max_value is not None
    assert stored.max_value < 1 << 24


def test_samples_too_deep_for_jpeg_2000_are_refused() -> None:
    samples = image("i4", (20, 20))
    with pytest.raises(PixelError, match="up to 24"):
        transcode_frame(
            samples.tobytes(), ExplicitVRLittleEndian, make_format(samples), LosslessFormat.JPEG_2000_LOSSLESS
        )


@pytest.mark.parametrize("lossless", LosslessFormat)
def test_what_does_not_decode_to_what_went_in_is_refused(
    lossless: LosslessFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An encoder that changes one sample by one, which no real one does on demand."""
    samples = image("i2", (150, 150))

    def wrong(values: np.ndarray, lossless: LosslessFormat, **options: object) -> bytes:
        changed = values.copy()
        changed[77, 33] += 1
        return encode_frame(changed, lossless, **options)

    monkeypatch.setattr(transcode, "encode_frame", wrong)
    with pytest.raises(PixelError, match="verification failed"):
        transcode_frame(samples.tobytes(), ExplicitVRLittleEndian, make_format(samples), lossless)


def test_kept_frames_have_the_checksum_of_their_bytes() -> None:
    samples = image("u1", (20, 30))
    encoded = imagecodecs.jpeg8_encode(samples, 90)
    stored = store_unchanged(encoded, make_format(samples))
    assert stored.data == encoded
    assert stored.checksums == (LevelChecksum(30, 20, zlib.crc32(encoded)),)
    assert (stored.min_value, stored.max_value) == (None, None)
    assert store_unchanged(b"", make_format(samples)).checksums[0].crc32 == 0


def test_frames_that_do_not_decode_are_refused() -> None:
    format_ = make_format(image("u1", (20, 30)))
    for syntax in (JPEGBaseline8Bit, JPEG2000Lossless):
        with pytest.raises(PixelError):
            transcode_frame(b"\xff\xd8\xff\xd9", syntax, format_, LosslessFormat.HTJ2K)


def test_a_sign_in_the_highest_stored_bit_alone_is_extended() -> None:
    values = np.tile(np.array([-2048, -1, 0, 1, 2047], "<i2"), (40, 8))
    description = PixelFormat(40, 40, 1, "MONOCHROME2", 0, 16, 12, 11, 1, 1)
    native = (values & 0x0FFF).astype("<i2").tobytes()
    stored = transcode_frame(native, ExplicitVRLittleEndian, description, LosslessFormat.HTJ2K)
    assert np.array_equal(imagecodecs.htj2k_decode(stored.data), values)
    assert (stored.min_value, stored.max_value) == (-2048, 2047)


def test_overlay_bits_above_the_stored_ones_are_kept() -> None:
    values = np.tile(np.array([0x1FFF, 0x1000, 0, 1, 0x07FF], "<i2"), (40, 8))
    description = PixelFormat(40, 40, 1, "MONOCHROME2", 0, 16, 12, 11, 1, 1)
    stored = transcode_frame(values.tobytes(), ExplicitVRLittleEndian, description, LosslessFormat.HTJ2K)
    assert np.array_equal(imagecodecs.htj2k_decode(stored.data), values)


@pytest.mark.parametrize(("dtype", "low"), [("u2", 0), ("i2", -2048)])
def test_the_smallest_and_largest_value_heed_the_high_bit(dtype: str, low: int) -> None:
    values = np.resize(np.arange(low + 5, low + 4000, 7), (20, 20))
    cells = ((values << 4) | 0b1010).astype("i8").astype(dtype)
    format_ = make_format(cells, bits_stored=12, high_bit=15)
    stored = transcode_frame(cells.tobytes(), ExplicitVRLittleEndian, format_, LosslessFormat.HTJ2K)
    assert (stored.min_value, stored.max_value) == (values.min(), values.max())
    np.testing.assert_array_equal(decode_samples(stored.data, HTJ2KLossless, format_), cells)
    np.testing.assert_array_equal(decode_frame(cells.tobytes(), ExplicitVRLittleEndian, format_), values)


def test_codestreams_have_values_whatever_the_high_bit() -> None:
    samples = image("u2", (20, 20), bits=12)
    encoded = encode_frame(samples, LosslessFormat.JPEG_2000_LOSSLESS, colour_transform=False)
    format_ = make_format(samples, bits_stored=12, high_bit=15)
    stored = transcode_frame(encoded, JPEG2000Lossless, format_, LosslessFormat.HTJ2K)
    assert (stored.min_value, stored.max_value) == (samples.min(), samples.max())


@pytest.mark.parametrize(
    ("dtype", "components", "transform", "apart"),
    [("u1", 3, False, True), ("i2", 3, False, True), ("u1", 3, True, False), ("u1", 1, False, False),
     ("u1", 4, False, False), ("u4", 3, False, False)],
)  # fmt: skip
def test_three_components_apart_are_told(dtype: str, components: int, transform: bool, apart: bool) -> None:
    samples = image(dtype, (20, 30, components) if components > 1 else (20, 30))
    for precision in (None, 12) if dtype == "i2" else (None,):
        values = samples >> 4 if precision else samples
        encoded = encode_frame(values, LosslessFormat.HTJ2K, colour_transform=transform, precision=precision)
        assert has_three_apart(encoded[:256]) is apart
