"""Instances as DICOM files and as frames, in the transfer syntax that is asked for (PS3.18 section 8.7.3).

    asked for          stored .202 or .90    .50 .91 .203 .11x    one bit, native    kept as one object
    nothing            decoded               decoded              native             as it came
    Explicit VR LE     decoded               decoded              native             406, but native values
    ``*``              as stored             as stored            native             as it came
    .202, .90          as stored or encoded  406                  406                406
    its own            as stored             as stored            native             as it came

What cannot be given raises `NotAcceptableError`. Where nothing is asked for, a frame that does not decode comes as stored,
and so does the file of an instance with such a frame: whichever it is, it is known before the first byte is given.

Samples of 32 bits are given as a codestream for ``*`` only: most decoders give wrong values of them, or none. Three samples
that are not red, green and blue are stored with a colour transform that a data set could not name: in a file for ``*`` they
are decoded, in one for .202 they are encoded without it.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache, partial
from typing import Final, TypeVar

from hounsfield.dicom.io.dataset_writer import write_data_set
from hounsfield.dicom.io.part10 import DEFLATED, Part10
from hounsfield.dicom.values.elements import PIXEL_DATA, Element
from hounsfield.imaging.errors import InvalidRequestError, NotAcceptableError, NotFoundError
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.pixel_description import (
    BITS_ALLOCATED,
    PHOTOMETRIC_INTERPRETATION,
    SAMPLES_PER_PIXEL,
    pixel_format,
    with_corrected_colour,
)
from hounsfield.imaging.retrieve.data_set import CurrentDataSet, read_current_data_set
from hounsfield.imaging.retrieve.decode_check import check_file_frames, make_ahead, may_not_decode
from hounsfield.imaging.retrieve.icon_images import with_native_icons
from hounsfield.imaging.retrieve.instances import StoredInstance
from hounsfield.imaging.retrieve.object_frames import InstanceFrame, check_last, cut_object_frames
from hounsfield.imaging.retrieve.pixel_element import (
    PixelElement,
    encoded_changes,
    encoded_element,
    fits_native,
    frames_element,
    native_element,
    object_element,
)
from hounsfield.imaging.retrieve.pixel_reader import StoredPixels, find_stored_pixels, read_pixel_records
from hounsfield.imaging.staged_instance import PixelKind
from hounsfield.pixels.codecs.codestream import has_three_apart
from hounsfield.pixels.codecs.colour import (
    JPEG_BASELINE,
    JPEG_CODESTREAMS,
    decoded_interpretation,
    encoded_interpretation,
    rgb_of_jpeg,
)
from hounsfield.pixels.codecs.decode import decode_samples
from hounsfield.pixels.codecs.encode import encode_described, names_colour_transform, uses_colour_transform
from hounsfield.pixels.codecs.jpeg_colour import interpretation_of_jpeg
from hounsfield.pixels.errors import PixelError
from hounsfield.pixels.format import PixelFormat
from hounsfield.pixels.frames.native_value import native_frame
from hounsfield.pixels.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    HTJ2K_LOSSLESS_RPCL,
    JPEG_2000_LOSSLESS,
    NATIVE,
    LosslessFormat,
)

ANY: Final = "*"
"""Asks for an instance as it is stored."""

_HTJ2K_LOSSLESS: Final = "1.2.840.10008.1.2.4.201"
_LOSSLESS: Final = {form.transfer_syntax: form for form in LosslessFormat}
_CODESTREAMS: Final = frozenset({*_LOSSLESS, _HTJ2K_LOSSLESS})
_DEEP_BITS: Final = 32
_TRANSFORMED_SAMPLES: Final = 3

_Made = TypeVar("_Made", "DicomFile", "InstanceFrames")


class _Form(Enum):
    """How pixel data is given."""

    NATIVE = "decoded"
    STORED = "as stored"
    ENCODED = "encoded on the way"


@dataclass(frozen=True, slots=True)
class DicomFile:
    """An instance as a DICOM file (PS3.10).

    Attributes
    ----------
    transfer_syntax : str
        Its transfer syntax.
    size : int or None
        Bytes; None where it is not known beforehand.
    chunks : Iterator of bytes
        The file.
    """

    transfer_syntax: str
    size: int | None
    chunks: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class InstanceFrames:
    """Frames of an instance.

    Attributes
    ----------
    transfer_syntax : str
        How all of them are encoded.
    frames : Iterator of InstanceFrame
        In the order asked for; the chunks of one are to be read before the next one.
    """

    transfer_syntax: str
    frames: Iterator[InstanceFrame]


def stored_transfer_syntax(instance: StoredInstance) -> str:
    """Return the transfer syntax that an instance is given in when it is asked for as stored: native is Explicit VR LE."""
    return transfer_syntax_as_stored(instance.stored_transfer_syntax)


def transfer_syntax_as_stored(stored: str | None) -> str:
    """Return the transfer syntax for one that pixel data is stored in, None where there is no pixel data."""
    return EXPLICIT_VR_LITTLE_ENDIAN if stored is None or stored in NATIVE else stored


def list_transfer_syntaxes(instance: StoredInstance, bits_allocated: int | None = None) -> tuple[str, ...]:
    """List what an instance can be asked for in.

    Parameters
    ----------
    instance : StoredInstance
        The instance.
    bits_allocated : int or None
        Bits Allocated of its pixel data, where that is known: of 32 bits no codestreams are given but for `ANY`.

    Returns
    -------
    tuple of str
        Transfer syntax UIDs, the default first: only that of what is stored where frames are known not to decode. Others
        may turn out not to decode, or to be larger than a native value can be.
    """
    return _available(instance.pixel_kind, instance.stored_transfer_syntax, bits_allocated)


@lru_cache(maxsize=256)
def list_transfer_syntaxes_stored_first(
    kind: PixelKind, stored: str | None, bits_allocated: int | None
) -> tuple[str, ...]:
    """List what instances with pixel data of a kind can be asked for in, what they are stored in first.

    This is Available Transfer Syntax UID (0008,3002); clients that read one value of it are given what costs least.

    Parameters
    ----------
    kind : PixelKind
        How the pixel data is stored.
    stored : str or None
        Transfer syntax of what is stored; None without pixel data.
    bits_allocated : int or None
        Bits Allocated, as for `list_transfer_syntaxes`.
    """
    first = transfer_syntax_as_stored(stored)
    return tuple(sorted(_available(kind, stored, bits_allocated), key=lambda uid: uid != first))


def _available(kind: PixelKind, syntax: str | None, bits_allocated: int | None) -> tuple[str, ...]:
    stored = transfer_syntax_as_stored(syntax)
    if kind is not PixelKind.FRAMES or stored == EXPLICIT_VR_LITTLE_ENDIAN:
        return (stored,)
    if stored not in _LOSSLESS:
        return (EXPLICIT_VR_LITTLE_ENDIAN, stored)
    if bits_allocated == _DEEP_BITS:
        return (EXPLICIT_VR_LITTLE_ENDIAN,)
    other = JPEG_2000_LOSSLESS if stored == HTJ2K_LOSSLESS_RPCL else HTJ2K_LOSSLESS_RPCL
    return (EXPLICIT_VR_LITTLE_ENDIAN, stored, other, _HTJ2K_LOSSLESS)


def list_frame_transfer_syntaxes(instance: StoredInstance) -> tuple[str, ...]:
    """List what single frames of an instance can be asked for in, the default first; some of them may not decode."""
    if instance.pixel_kind is PixelKind.DAMAGED:
        return tuple(dict.fromkeys((EXPLICIT_VR_LITTLE_ENDIAN, stored_transfer_syntax(instance))))
    return list_transfer_syntaxes(instance)


def make_dicom_file(image_store: ImageStore, instance: StoredInstance, transfer_syntax: str | None = None) -> DicomFile:
    """Return an instance as a DICOM file (GetDICOMInstance).

    Parameters
    ----------
    image_store : ImageStore
        The image store.
    instance : StoredInstance
        The instance.
    transfer_syntax : str or None
        A UID, `ANY`, or None for the default.

    Raises
    ------
    NotAcceptableError
        The instance cannot be given so.
    PackDamagedError, BlobMissingError
        Stored bytes were changed or are gone.
    """
    image_store.accesses.touch(instance.image_set.image_set_id)
    data_set = _current_data_set(image_store, instance)
    _refuse_deep_codestream(instance, data_set.original, transfer_syntax)
    if transfer_syntax == ANY and _transform_has_no_name(instance, data_set.original):
        transfer_syntax = EXPLICIT_VR_LITTLE_ENDIAN
    if instance.pixel_kind is PixelKind.NONE:
        syntax, _ = _choice(instance, transfer_syntax, list_transfer_syntaxes(instance))
        return _file(data_set, syntax, _no_pixels(data_set.original))
    pixels = find_stored_pixels(image_store, instance)
    return _first_possible(
        instance,
        transfer_syntax,
        list_transfer_syntaxes(instance),
        lambda syntax, form: _file(data_set, syntax, _element(data_set, pixels, syntax, form)),
    )


def can_transcode(image_store: ImageStore, instance: StoredInstance, transfer_syntax: str) -> bool:
    """Return whether an instance can be given as a file in a transfer syntax; frames that may not decode are decoded for it."""
    if transfer_syntax not in list_transfer_syntaxes(instance):
        return False
    if transfer_syntax in _CODESTREAMS:
        bits = read_current_data_set(image_store, instance).original.integer(BITS_ALLOCATED)
        return transfer_syntax in list_transfer_syntaxes(instance, bits)
    decodes = transfer_syntax == stored_transfer_syntax(instance) or not may_not_decode(
        instance.pixel_kind, instance.stored_transfer_syntax
    )
    try:
        return decodes or make_dicom_file(image_store, instance, transfer_syntax) is not None
    except NotAcceptableError:
        return False


def make_instance_frames(
    image_store: ImageStore, instance: StoredInstance, numbers: Sequence[int], transfer_syntax: str | None = None
) -> InstanceFrames:
    """Return frames of an instance (GetDICOMInstanceFrames).

    Parameters
    ----------
    image_store : ImageStore
        The image store.
    instance : StoredInstance
        The instance.
    numbers : Sequence of int
        Which frames, from 1 on, in any order.
    transfer_syntax : str or None
        A UID, `ANY`, or None for the default. Of video and of pixel data that was kept as one object the only frame is
        the whole of it.

    Raises
    ------
    InvalidRequestError
        The numbers name no frames at all.
    NotFoundError
        The instance has not so many frames, or none that could be found when it was imported.
    NotAcceptableError
        The frames cannot be given so.
    """
    check_numbers(instance, numbers)
    image_store.accesses.touch(instance.image_set.image_set_id)
    original = _current_data_set(image_store, instance).original
    _refuse_deep_codestream(instance, original, transfer_syntax)
    if instance.pixel_kind is PixelKind.WHOLE:
        syntax, _ = _choice(instance, transfer_syntax, list_transfer_syntaxes(instance))
        return InstanceFrames(syntax, cut_object_frames(original, find_stored_pixels(image_store, instance), numbers))
    check_last(numbers, instance.frame_count)

    ordinals = [number - 1 for number in numbers]

    def make(syntax: str, form: _Form, some: Sequence[int]) -> Iterator[bytes]:
        return _made(instance, original, read_pixel_records(image_store, instance, some), syntax, form)

    def frames(syntax: str, form: _Form) -> InstanceFrames:
        uncertain = form is _Form.NATIVE and may_not_decode(instance.pixel_kind, instance.stored_transfer_syntax)
        if uncertain and transfer_syntax is None and len(numbers) > 1:
            stored = read_pixel_records(image_store, instance, ordinals)
            return InstanceFrames(syntax, _decoded_or_stored(instance, original, numbers, stored))
        made = make_ahead(partial(make, syntax, form), ordinals) if uncertain else _begun(make(syntax, form, ordinals))
        pairs = zip(numbers, made, strict=True)
        return InstanceFrames(syntax, (InstanceFrame(number, len(data), iter((data,))) for number, data in pairs))

    return _first_possible(instance, transfer_syntax, list_frame_transfer_syntaxes(instance), frames)


def _decoded_or_stored(
    instance: StoredInstance, original: Part10, numbers: Sequence[int], frames: Iterator[bytes]
) -> Iterator[InstanceFrame]:
    """Decode frames one by one; one that does not decode comes as it is stored."""
    stored, format_ = stored_transfer_syntax(instance), _interleaved(pixel_format(original))
    for number, frame in zip(numbers, frames, strict=True):
        data, syntax = frame, None
        try:
            data = _decoded(frame, stored, format_)
        except PixelError:
            syntax = stored
        yield InstanceFrame(number, len(data), iter((data,)), syntax)


def choose_frame_transfer_syntax(instance: StoredInstance, asked: str | None) -> str:
    """Return in which transfer syntax frames are tried to be given first, without reading them.

    Raises
    ------
    NotAcceptableError
        They cannot be given so.
    """
    return _choice(instance, asked, list_frame_transfer_syntaxes(instance))[0]


def _current_data_set(image_store: ImageStore, instance: StoredInstance) -> CurrentDataSet:
    data_set = read_current_data_set(image_store, instance)
    original = with_corrected_colour(data_set.original, data_set.part10, instance.stored_transfer_syntax)
    return data_set if original is data_set.original else replace(data_set, original=original)


def _refuse_deep_codestream(instance: StoredInstance, original: Part10, asked: str | None) -> None:
    if instance.stored_transfer_syntax not in _LOSSLESS or instance.pixel_kind is not PixelKind.FRAMES:
        return
    if asked in _CODESTREAMS and original.integer(BITS_ALLOCATED) == _DEEP_BITS:
        raise NotAcceptableError(
            "Samples of 32 bits are given as native pixel data, because decoders of JPEG 2000 and HTJ2K give wrong values of "
            f"them or none; ask for {EXPLICIT_VR_LITTLE_ENDIAN}, or for transfer-syntax=* to get them as stored"
        )


def _transform_has_no_name(instance: StoredInstance, original: Part10) -> bool:
    """Return whether frames are stored with a colour transform that Photometric Interpretation has no word for."""
    if instance.pixel_kind is not PixelKind.FRAMES or not _is_htj2k_colour(instance, original):
        return False
    format_ = pixel_format(original)
    return uses_colour_transform(format_, LosslessFormat.HTJ2K) and not names_colour_transform(format_)


def _first_possible(
    instance: StoredInstance, asked: str | None, available: Sequence[str], make: Callable[[str, _Form], _Made]
) -> _Made:
    """Make what was asked for; where nothing was, and frames do not decode, as stored."""
    syntax, form = _choice(instance, asked, available)
    try:
        return make(syntax, form)
    except PixelError as error:
        if asked is None and form is _Form.NATIVE:
            return make(stored_transfer_syntax(instance), _Form.STORED)
        raise NotAcceptableError(
            f"The pixel data cannot be given in transfer syntax {syntax}: {error}. Ask for transfer-syntax=* to get it as "
            f"stored, in {stored_transfer_syntax(instance)}"
        ) from error


def _choice(instance: StoredInstance, asked: str | None, available: Sequence[str]) -> tuple[str, _Form]:
    stored = stored_transfer_syntax(instance)
    syntax = available[0] if asked is None else stored if asked == ANY else asked
    if syntax not in available:
        raise NotAcceptableError(
            f"The instance is stored in transfer syntax {stored} and cannot be given in {_shown(syntax)}; "
            f"ask for {' or '.join(available)}, or for transfer-syntax=* to get it as stored"
        )
    if syntax == stored:
        return syntax, _Form.STORED
    if syntax == EXPLICIT_VR_LITTLE_ENDIAN:
        return syntax, _Form.NATIVE
    # A codestream in RPCL order is one of those that .201 leaves the order of to the encoder.
    kept = stored == HTJ2K_LOSSLESS_RPCL and syntax == _HTJ2K_LOSSLESS
    return syntax, _Form.STORED if kept else _Form.ENCODED


def _shown(syntax: str) -> str:
    """Return a transfer syntax for a message, but no other text that stood in its place."""
    return syntax if len(syntax) <= 64 and not set(syntax) - set("0123456789.") else "what is not a UID"


def check_numbers(instance: StoredInstance, numbers: Sequence[int]) -> None:
    """Raise `InvalidRequestError` for numbers that name no frames, `NotFoundError` where an instance has none."""
    if not numbers or min(numbers) < 1 or len(set(numbers)) != len(numbers):
        raise InvalidRequestError("the frame list must name frames from 1 on, each of them once")
    if instance.pixel_kind is PixelKind.NONE:
        raise NotFoundError("the instance has no pixel data, hence no frames")
    if instance.pixel_kind is PixelKind.WITHHELD:
        raise NotFoundError(
            "no frames could be found in the pixel data when the instance was imported; "
            "retrieve the instance with transfer-syntax=*"
        )


def _element(data_set: CurrentDataSet, pixels: StoredPixels, syntax: str, form: _Form) -> PixelElement:
    """Make the pixel data element; raises `PixelError` before the first chunk when it can be known that it fails."""
    instance, original = data_set.instance, data_set.original
    if not instance.pixel_kind.in_frames:
        return object_element(original, pixels)
    lossless = instance.pixel_kind is PixelKind.FRAMES and instance.stored_transfer_syntax in _LOSSLESS
    if form is _Form.STORED and _transform_has_no_name(instance, original):
        form = _Form.ENCODED
    if form is _Form.STORED and syntax != EXPLICIT_VR_LITTLE_ENDIAN:
        format_ = pixel_format(original) if lossless else None
        changed = encoded_changes(original, format_, encoded_interpretation(format_)) if format_ is not None else {}
        return frames_element(pixels, changed or _true_colour(pixels, original))
    format_ = pixel_format(original)
    if form is _Form.NATIVE and not fits_native(format_):
        raise PixelError("the decoded pixel data is longer than 4 GiB, which no native value can be")
    if form is _Form.NATIVE and may_not_decode(instance.pixel_kind, instance.stored_transfer_syntax):
        image_store = pixels.image_store

        def make(ordinals: Sequence[int]) -> Iterator[bytes]:
            return _made(
                instance, original, read_pixel_records(image_store, instance, ordinals), syntax, form, within_file=True
            )

        frames = check_file_frames(image_store, instance, make)
    else:
        frames = _begun(_made(instance, original, pixels.read(), syntax, form, within_file=True))
    if form is _Form.ENCODED:
        return encoded_element(frames, encoded_changes(original, format_, encoded_interpretation(format_)))
    return native_element(
        original, format_, frames, decoded_interpretation(format_, str(instance.stored_transfer_syntax))
    )


def _true_colour(pixels: StoredPixels, original: Part10) -> dict[int, Element | None]:
    """Name the colour of JPEG frames that are given as stored, where it is not what the data set says."""
    instance = pixels.instance
    if instance.stored_transfer_syntax != JPEG_BASELINE or original.integer(SAMPLES_PER_PIXEL) != _TRANSFORMED_SAMPLES:
        return {}
    tag = PHOTOMETRIC_INTERPRETATION
    try:
        format_ = pixel_format(original)
        true = interpretation_of_jpeg(next(read_pixel_records(pixels.image_store, instance, [0])), format_)
    except PixelError:
        return {}
    return {} if true == format_.photometric_interpretation else {tag: Element(tag, "CS", true.encode())}


def _made(
    instance: StoredInstance,
    original: Part10,
    frames: Iterator[bytes],
    syntax: str,
    form: _Form,
    *,
    within_file: bool = False,
) -> Iterator[bytes]:
    """Bring stored frames into the form that is asked for.

    Native frames alone have their samples pixel by pixel, as the metadata says; in a file they lie as they came.
    """
    stored = stored_transfer_syntax(instance)
    if form is _Form.STORED and not _is_htj2k_colour(instance, original):
        return frames
    format_ = pixel_format(original)
    if form is _Form.STORED:
        return (_transformed(frame, format_) for frame in frames)
    if form is _Form.NATIVE:
        laid = format_ if within_file else _interleaved(format_)
        return (_decoded(frame, stored, laid) for frame in frames)
    lossless = LosslessFormat.JPEG_2000_LOSSLESS if syntax == JPEG_2000_LOSSLESS else LosslessFormat.HTJ2K
    transform = names_colour_transform(format_) if within_file else uses_colour_transform(format_, lossless)
    return (
        encode_described(decode_samples(frame, stored, format_), format_, lossless, colour_transform=transform)
        for frame in frames
    )


def _is_htj2k_colour(instance: StoredInstance, original: Part10) -> bool:
    if instance.pixel_kind is not PixelKind.FRAMES or instance.stored_transfer_syntax != HTJ2K_LOSSLESS_RPCL:
        return False
    return original.integer(SAMPLES_PER_PIXEL) == _TRANSFORMED_SAMPLES


def _transformed(frame: bytes, format_: PixelFormat) -> bytes:
    """Return a frame with the colour transform, which earlier versions left out of what is not red, green and blue."""
    if not has_three_apart(frame):
        return frame
    samples = decode_samples(frame, HTJ2K_LOSSLESS_RPCL, format_)
    return encode_described(samples, format_, LosslessFormat.HTJ2K, colour_transform=True)


def _interleaved(format_: PixelFormat) -> PixelFormat:
    return replace(format_, planar_configuration=0)


def _decoded(frame: bytes, stored: str, format_: PixelFormat) -> bytes:
    samples = decode_samples(frame, stored, format_)
    return native_frame(rgb_of_jpeg(samples, format_) if stored in JPEG_CODESTREAMS else samples, format_)


def _begun(frames: Iterator[bytes]) -> Iterator[bytes]:
    """Make the first frame at once, so that frames that cannot be made are noticed before anything is answered."""
    first = next(frames, None)
    return iter(()) if first is None else itertools.chain((first,), frames)


def _no_pixels(original: Part10) -> PixelElement | None:
    """Return the empty pixel data element of a file that came with one."""
    if original.pixel_data is None:
        return None
    tag, vr = original.pixel_data.tag, original.pixel_data.vr
    return PixelElement(tag, 0, iter(()), {tag: Element(tag, vr, b"")})


def _file(data_set: CurrentDataSet, syntax: str, pixels: PixelElement | None) -> DicomFile:
    all_elements = data_set.part10.elements
    if syntax != data_set.original.transfer_syntax:
        all_elements = with_native_icons(all_elements, data_set.original)
    elements = {element.tag: element for element in all_elements}
    changed = {} if pixels is None else _true_of(data_set, pixels)
    elements.update((tag, element) for tag, element in changed.items() if element is not None)
    place = PIXEL_DATA if pixels is None else pixels.tag
    present = [element for tag, element in elements.items() if changed.get(tag, element) is not None]
    before = write_data_set(element for element in present if element.tag <= place)
    after = write_data_set(element for element in present if element.tag > place)
    meta = data_set.file_meta(syntax)
    body = itertools.chain((before,), () if pixels is None else pixels.chunks, (after,))
    if syntax in DEFLATED:
        return DicomFile(syntax, None, itertools.chain((meta,), _deflated(body)))
    size = 0 if pixels is None else pixels.size
    whole = None if size is None else len(meta) + len(before) + size + len(after)
    return DicomFile(syntax, whole, (chunk for chunk in itertools.chain((meta,), body) if chunk))


def _true_of(data_set: CurrentDataSet, pixels: PixelElement) -> dict[int, Element | None]:
    """Return what the data set must say of its pixels; a corrected colour stays corrected where no codestream contradicts."""
    changed = dict(pixels.changed)
    tag = PHOTOMETRIC_INTERPRETATION
    new, now = changed.get(tag), data_set.part10.text(tag)
    if new is not None and new.value != b"YBR_RCT" and now is not None and now != data_set.original.text(tag):
        del changed[tag]
    return changed


def _deflated(chunks: Iterator[bytes]) -> Iterator[bytes]:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    for chunk in chunks:
        yield compressor.compress(chunk)
    yield compressor.flush()
