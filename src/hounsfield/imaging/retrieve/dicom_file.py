"""An instance as a DICOM file (PS3.10), with the edits of its version, in the transfer syntax that is asked for."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hounsfield.dicom.io.dataset_writer import write_data_set
from hounsfield.dicom.io.part10 import DEFLATED, Part10
from hounsfield.dicom.values.elements import PIXEL_DATA, Element
from hounsfield.imaging.errors import NotAcceptableError
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.pixel_description import (
    BITS_ALLOCATED,
    PHOTOMETRIC_INTERPRETATION,
    SAMPLES_PER_PIXEL,
    pixel_format,
)
from hounsfield.imaging.retrieve.data_set import CurrentDataSet, read_current_data_set
from hounsfield.imaging.retrieve.decode_check import check_file_frames, may_not_decode
from hounsfield.imaging.retrieve.icon_images import with_native_icons
from hounsfield.imaging.retrieve.instances import StoredInstance
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
from hounsfield.imaging.retrieve.transcoding import (
    COLOUR_SAMPLES,
    begin_frames,
    has_unnamed_transform,
    read_with_corrected_colour,
    transcode_frames,
)
from hounsfield.imaging.retrieve.transfer_syntax_choice import (
    ANY,
    CODESTREAMS,
    LOSSLESS,
    PixelForm,
    choose_transfer_syntax,
    list_transfer_syntaxes,
    make_first_possible,
    refuse_deep_codestream,
    stored_transfer_syntax,
)
from hounsfield.imaging.staged_instance import PixelKind
from hounsfield.pixels.codecs.colour import JPEG_BASELINE, decoded_interpretation, encoded_interpretation
from hounsfield.pixels.codecs.jpeg_colour import interpretation_of_jpeg
from hounsfield.pixels.errors import PixelError
from hounsfield.pixels.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN


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
    data_set = read_with_corrected_colour(image_store, instance)
    refuse_deep_codestream(instance, data_set.original, transfer_syntax)
    if transfer_syntax == ANY and has_unnamed_transform(instance, data_set.original):
        transfer_syntax = EXPLICIT_VR_LITTLE_ENDIAN
    if instance.pixel_kind is PixelKind.NONE:
        syntax, _ = choose_transfer_syntax(instance, transfer_syntax, list_transfer_syntaxes(instance))
        return _write_file(data_set, syntax, _make_empty_element(data_set.original))
    pixels = find_stored_pixels(image_store, instance)
    return make_first_possible(
        instance,
        transfer_syntax,
        list_transfer_syntaxes(instance),
        lambda syntax, form: _write_file(data_set, syntax, _make_element(data_set, pixels, syntax, form)),
    )


def can_transcode(image_store: ImageStore, instance: StoredInstance, transfer_syntax: str) -> bool:
    """Return whether an instance can be given as a file in a transfer syntax; frames that may not decode are decoded for it."""
    if transfer_syntax not in list_transfer_syntaxes(instance):
        return False
    if transfer_syntax in CODESTREAMS:
        bits = read_current_data_set(image_store, instance).original.integer(BITS_ALLOCATED)
        return transfer_syntax in list_transfer_syntaxes(instance, bits)
    decodes = transfer_syntax == stored_transfer_syntax(instance) or not may_not_decode(
        instance.pixel_kind, instance.stored_transfer_syntax
    )
    try:
        return decodes or make_dicom_file(image_store, instance, transfer_syntax) is not None
    except NotAcceptableError:
        return False


def _make_element(data_set: CurrentDataSet, pixels: StoredPixels, syntax: str, form: PixelForm) -> PixelElement:
    """Make the pixel data element; raises `PixelError` before the first chunk when it can be known that it fails."""
    instance, original = data_set.instance, data_set.original
    if not instance.pixel_kind.in_frames:
        return object_element(original, pixels)
    lossless = instance.pixel_kind is PixelKind.FRAMES and instance.stored_transfer_syntax in LOSSLESS
    if form is PixelForm.STORED and has_unnamed_transform(instance, original):
        form = PixelForm.ENCODED
    if form is PixelForm.STORED and syntax != EXPLICIT_VR_LITTLE_ENDIAN:
        format_ = pixel_format(original) if lossless else None
        changed = encoded_changes(original, format_, encoded_interpretation(format_)) if format_ is not None else {}
        return frames_element(pixels, changed or _name_jpeg_colour(pixels, original))
    format_ = pixel_format(original)
    if form is PixelForm.NATIVE and not fits_native(format_):
        raise PixelError("the decoded pixel data is longer than 4 GiB, which no native value can be")
    if form is PixelForm.NATIVE and may_not_decode(instance.pixel_kind, instance.stored_transfer_syntax):
        image_store = pixels.image_store

        def make(ordinals: Sequence[int]) -> Iterator[bytes]:
            return transcode_frames(
                instance, original, read_pixel_records(image_store, instance, ordinals), syntax, form, within_file=True
            )

        frames = check_file_frames(image_store, instance, make)
    else:
        frames = begin_frames(transcode_frames(instance, original, pixels.read(), syntax, form, within_file=True))
    if form is PixelForm.ENCODED:
        return encoded_element(frames, encoded_changes(original, format_, encoded_interpretation(format_)))
    return native_element(
        original, format_, frames, decoded_interpretation(format_, str(instance.stored_transfer_syntax))
    )


def _name_jpeg_colour(pixels: StoredPixels, original: Part10) -> dict[int, Element | None]:
    """Name the colour of JPEG frames that are given as stored, where it is not what the data set says."""
    instance = pixels.instance
    if instance.stored_transfer_syntax != JPEG_BASELINE or original.integer(SAMPLES_PER_PIXEL) != COLOUR_SAMPLES:
        return {}
    tag = PHOTOMETRIC_INTERPRETATION
    try:
        format_ = pixel_format(original)
        true = interpretation_of_jpeg(next(read_pixel_records(pixels.image_store, instance, [0])), format_)
    except PixelError:
        return {}
    return {} if true == format_.photometric_interpretation else {tag: Element(tag, "CS", true.encode())}


def _make_empty_element(original: Part10) -> PixelElement | None:
    """Return the empty pixel data element of a file that came with one."""
    if original.pixel_data is None:
        return None
    tag, vr = original.pixel_data.tag, original.pixel_data.vr
    return PixelElement(tag, 0, iter(()), {tag: Element(tag, vr, b"")})


def _write_file(data_set: CurrentDataSet, syntax: str, pixels: PixelElement | None) -> DicomFile:
    all_elements = data_set.part10.elements
    if syntax != data_set.original.transfer_syntax:
        all_elements = with_native_icons(all_elements, data_set.original)
    elements = {element.tag: element for element in all_elements}
    changed = {} if pixels is None else _correct_elements(data_set, pixels)
    elements.update((tag, element) for tag, element in changed.items() if element is not None)
    place = PIXEL_DATA if pixels is None else pixels.tag
    present = [element for tag, element in elements.items() if changed.get(tag, element) is not None]
    before = write_data_set(element for element in present if element.tag <= place)
    after = write_data_set(element for element in present if element.tag > place)
    meta = data_set.file_meta(syntax)
    body = itertools.chain((before,), () if pixels is None else pixels.chunks, (after,))
    if syntax in DEFLATED:
        return DicomFile(syntax, None, itertools.chain((meta,), _deflate(body)))
    size = 0 if pixels is None else pixels.size
    whole = None if size is None else len(meta) + len(before) + size + len(after)
    return DicomFile(syntax, whole, (chunk for chunk in itertools.chain((meta,), body) if chunk))


def _correct_elements(data_set: CurrentDataSet, pixels: PixelElement) -> dict[int, Element | None]:
    """Return what the data set must say of its pixels; a corrected colour stays corrected where no codestream contradicts."""
    changed = dict(pixels.changed)
    tag = PHOTOMETRIC_INTERPRETATION
    new, now = changed.get(tag), data_set.part10.text(tag)
    if new is not None and new.value != b"YBR_RCT" and now is not None and now != data_set.original.text(tag):
        del changed[tag]
    return changed


def _deflate(chunks: Iterator[bytes]) -> Iterator[bytes]:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    for chunk in chunks:
        yield compressor.compress(chunk)
    yield compressor.flush()
