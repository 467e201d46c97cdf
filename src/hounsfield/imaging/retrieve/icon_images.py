"""Images within sequences, such as icons (PS3.3 C.7.6.1.1.6), that came encoded in the transfer syntax of their file.

A file that is written in another one must not have them: they are decoded. Native pixel data within a sequence is allowed in
every transfer syntax (PS3.5 section A.4).
"""

from __future__ import annotations

from dataclasses import replace

from hounsfield.dicom.io.dataset_writer import is_encapsulated
from hounsfield.dicom.io.part10 import Part10
from hounsfield.dicom.values.elements import PIXEL_DATA, Element
from hounsfield.imaging.pixel_description import PHOTOMETRIC_INTERPRETATION, pixel_format
from hounsfield.pixels.codecs.colour import JPEG_BASELINE, decoded_interpretation, rgb_of_jpeg
from hounsfield.pixels.codecs.decode import decode_samples
from hounsfield.pixels.errors import FramesError, PixelError
from hounsfield.pixels.frames.fragments import scan_fragments
from hounsfield.pixels.frames.native_value import native_frame
from hounsfield.pixels.transfer_syntaxes import NATIVE


def with_native_icons(elements: tuple[Element, ...], original: Part10) -> tuple[Element, ...]:
    """Decode encapsulated pixel data within the sequences of a data set.

    Parameters
    ----------
    elements : tuple of Element
        A data set.
    original : Part10
        The file it came in, in whose transfer syntax the images are.

    Returns
    -------
    tuple of Element
        The data set; an image that cannot be decoded stays as it is.
    """
    if original.transfer_syntax in NATIVE:
        return elements
    return tuple(_with_native_items(element, original) for element in elements)


def _with_native_items(element: Element, original: Part10) -> Element:
    tag, vr, value = element
    if isinstance(value, bytes):
        return element
    return Element(tag, vr, tuple(_item(item, original) for item in value))


def _item(item: tuple[Element, ...], original: Part10) -> tuple[Element, ...]:
    item = with_native_icons(item, original)
    for element in item:
        if element.tag == PIXEL_DATA and isinstance(element.value, bytes) and is_encapsulated(element.value):
            return _decoded(item, element.value, original)
    return item


def _decoded(item: tuple[Element, ...], value: bytes, original: Part10) -> tuple[Element, ...]:
    syntax = original.transfer_syntax
    try:
        format_ = pixel_format(replace(original, elements=item))
        places = scan_fragments(lambda offset, size: value[offset : offset + size], 0, len(value))
        frame = b"".join(value[start : start + size] for start, size in zip(places.starts, places.lengths, strict=True))
        samples = decode_samples(frame, syntax, format_)
    except (PixelError, FramesError):
        return item
    native = native_frame(rgb_of_jpeg(samples, format_) if syntax == JPEG_BASELINE else samples, format_)
    interpretation = decoded_interpretation(format_, syntax).encode()
    changed = {
        PIXEL_DATA: Element(PIXEL_DATA, "OB" if format_.bits_allocated <= 8 else "OW", native),
        PHOTOMETRIC_INTERPRETATION: Element(PHOTOMETRIC_INTERPRETATION, "CS", interpretation),
    }
    return tuple(changed.get(element.tag, element) for element in item)
