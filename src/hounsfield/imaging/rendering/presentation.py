"""Presentation of an instance: its display elements as values of the rendering code.

    Modality LUT (PS3.3 C.11.1) · VOI LUT (C.11.2) · Image Pixel (C.7.6.3) · General Equipment's padding (C.7.5.1)
    Pixel Value Transformation and Frame VOI LUT of the functional groups, shared and per frame (C.7.6.16.2.9, .10)
        ─▶ InstancePresentation ─▶ FramePresentation of each frame

What is malformed is as if it was not there: an image that can be shown in some way is shown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from hounsfield.dicom.io.part10 import Part10
from hounsfield.dicom.values.elements import DOUBLE_FLOAT_PIXEL_DATA, FLOAT_PIXEL_DATA, SPECIFIC_CHARACTER_SET, Element
from hounsfield.dicom.values.scalars import NUMBERS
from hounsfield.imaging.pixel_description import (
    BITS_ALLOCATED,
    BITS_STORED,
    COLUMNS,
    HIGH_BIT,
    NUMBER_OF_FRAMES,
    PHOTOMETRIC_INTERPRETATION,
    PIXEL_REPRESENTATION,
    PLANAR_CONFIGURATION,
    ROWS,
    SAMPLES_PER_PIXEL,
    pixel_format,
    with_corrected_colour,
)
from hounsfield.imaging.retrieve.pixel_element import float_tag, is_encapsulated_object
from hounsfield.imaging.retrieve.transfer_syntax_choice import transfer_syntax_as_stored
from hounsfield.imaging.staged_instance import PixelKind
from hounsfield.pixels.codecs.colour import decoded_interpretation
from hounsfield.pixels.codecs.decode import describe_decoded
from hounsfield.pixels.errors import PixelError
from hounsfield.pixels.format import PixelFormat
from hounsfield.pixels.rendering.colour import Palette
from hounsfield.pixels.rendering.greyscale import GreyscalePresentation
from hounsfield.pixels.rendering.lookup_table import LookupTable, lookup_table
from hounsfield.pixels.rendering.render import FramePresentation
from hounsfield.pixels.rendering.voi_window import Window, WindowFunction

_Item: TypeAlias = "dict[int, Element]"
_Range: TypeAlias = "tuple[float, float]"

_TRANSFER_SYNTAX_UID = 0x00020010
_PADDING: Final = ((0x00280120, 0x00280121), (0x00280122, 0x00280124), (0x00280123, 0x00280125))
"""Pixel Padding Value and its range limit, and those of floating point of 32 and 64 bits."""
_WINDOW_CENTER, _WINDOW_WIDTH, _VOI_LUT_FUNCTION = 0x00281050, 0x00281051, 0x00281056
_RESCALE_INTERCEPT, _RESCALE_SLOPE = 0x00281052, 0x00281053
_MODALITY_LUT_SEQUENCE, _VOI_LUT_SEQUENCE = 0x00283000, 0x00283010
_LUT_DESCRIPTOR, _LUT_DATA = 0x00283002, 0x00283006
_PALETTE: Final = ((0x00281101, 0x00281201, 0x00281221), (0x00281102, 0x00281202, 0x00281222))
_PALETTE_BLUE: Final = (0x00281103, 0x00281203, 0x00281223)
_PRESENTATION_LUT_SHAPE = 0x20500020
_REPRESENTATIVE_FRAME_NUMBER = 0x00286010
_SHARED_GROUPS, _PER_FRAME_GROUPS = 0x52009229, 0x52009230
_PIXEL_VALUE_TRANSFORMATION, _FRAME_VOI_LUT = 0x00289145, 0x00289132
_INVERSE: Final = "INVERSE"
PRESENTATION_TAGS: Final = frozenset(
    {
        _TRANSFER_SYNTAX_UID,
        SPECIFIC_CHARACTER_SET,
        SAMPLES_PER_PIXEL,
        PHOTOMETRIC_INTERPRETATION,
        PLANAR_CONFIGURATION,
        NUMBER_OF_FRAMES,
        ROWS,
        COLUMNS,
        BITS_ALLOCATED,
        BITS_STORED,
        HIGH_BIT,
        PIXEL_REPRESENTATION,
        *(tag for tags in _PADDING for tag in tags),
        _WINDOW_CENTER,
        _WINDOW_WIDTH,
        _VOI_LUT_FUNCTION,
        _RESCALE_INTERCEPT,
        _RESCALE_SLOPE,
        _MODALITY_LUT_SEQUENCE,
        _VOI_LUT_SEQUENCE,
        *(tag for tags in (*_PALETTE, _PALETTE_BLUE) for tag in tags),
        _PRESENTATION_LUT_SHAPE,
        _REPRESENTATIVE_FRAME_NUMBER,
        _SHARED_GROUPS,
        _PER_FRAME_GROUPS,
    }
)
"""Elements of the top level that say how an instance is shown; no others are looked at."""
_PLAIN_TYPES: Final = {FLOAT_PIXEL_DATA: {32: "<f4"}, DOUBLE_FLOAT_PIXEL_DATA: {64: "<f8"}}


@dataclass(frozen=True, slots=True)
class StoredPixels:
    """How the pixel data of an instance is stored.

    Attributes
    ----------
    kind : PixelKind
        Whether in frames.
    frame_count : int
        Frames it is served in.
    transfer_syntax : str or None
        Of what is stored; None without pixel data.
    """

    kind: PixelKind
    frame_count: int
    transfer_syntax: str | None


@dataclass(frozen=True, slots=True)
class InstancePresentation:
    """How the frames of an instance are shown.

    Attributes
    ----------
    frame_count : int
        How many there are.
    representative : int or None
        Frame that stands for all of them, from 1 on, where the data set names one.
    first : FramePresentation
        The display of all frames, but for their grey values.
    greys : tuple of GreyscalePresentation
        Of each frame where they differ, else one for all.
    """

    frame_count: int
    representative: int | None
    first: FramePresentation
    greys: tuple[GreyscalePresentation, ...]

    def of_frame(self, number: int) -> FramePresentation:
        """Return the display of a frame, counted from 1."""
        return replace(self.first, grey=self.greys[min(number, len(self.greys)) - 1])

    @property
    def size(self) -> int:
        """Roughly how many bytes this takes in memory."""
        tables = sum(
            _table_size(grey.voi) + _table_size(grey.modality) for grey in {id(g): g for g in self.greys}.values()
        )
        palette = 6 * 65536 if self.first.palette is not None else 0
        return 2048 + 256 * len(self.greys) + tables + palette


def read_presentation(part10: Part10, original: Part10, pixels: StoredPixels) -> InstancePresentation:
    """Read how an instance is shown.

    Parameters
    ----------
    part10, original : Part10
        Its data set now, and as it came: what describes the stored pixel data.
    pixels : StoredPixels
        How its pixel data is stored.

    Raises
    ------
    PixelError
        Its pixel data cannot be shown at all: it is video, damaged, or not described.
    """
    if pixels.kind is PixelKind.NONE:
        raise PixelError("it has no pixel data")
    unedited = part10 is original
    original = _describing(original)
    part10 = original if unedited else _describing(part10)
    original = with_corrected_colour(original, part10, pixels.transfer_syntax)
    format_ = describe_decoded(pixel_format(original), original.transfer_syntax)
    plain = ""
    frame_count = pixels.frame_count
    if pixels.kind is PixelKind.WHOLE:
        plain = _plain_type(original)
        frame_count = format_.frame_count
    elif not pixels.kind.in_frames:
        raise PixelError("the instance has no pixel data that could be shown")
    stored = transfer_syntax_as_stored(pixels.transfer_syntax)
    now, was = part10.text(PHOTOMETRIC_INTERPRETATION), original.text(PHOTOMETRIC_INTERPRETATION)
    interpretation = now if now is not None and now != was else decoded_interpretation(format_, stored)
    top = {element.tag: element for element in part10.elements}
    grey = _without_functional_groups(top, interpretation, format_.bits_stored, plain=bool(plain))
    values = (-math.inf, math.inf) if plain.startswith("<f") else _stored_values(format_)
    greys = _of_frames(_with_item(grey, top, values), top, frame_count, values)
    palette = _palette(top, values) if interpretation == "PALETTE COLOR" else None
    return InstancePresentation(
        frame_count=frame_count,
        representative=part10.integer(_REPRESENTATIVE_FRAME_NUMBER),
        first=FramePresentation(format_, stored, interpretation, greys[0], palette, plain),
        greys=greys,
    )


def _describing(part10: Part10) -> Part10:
    """Leave out all elements that are not among `PRESENTATION_TAGS`, so that nothing else can matter."""
    return replace(part10, elements=tuple(element for element in part10.elements if element[0] in PRESENTATION_TAGS))


def _plain_type(original: Part10) -> str:
    """Return the type of samples that were kept as one native value."""
    if not is_encapsulated_object(original):
        bits, tag = original.integer(BITS_ALLOCATED) or 0, float_tag(original)
        if tag in _PLAIN_TYPES and bits in _PLAIN_TYPES[tag]:
            return _PLAIN_TYPES[tag][bits]
        if tag not in _PLAIN_TYPES and bits == 64:
            return "<i8" if original.integer(PIXEL_REPRESENTATION) else "<u8"
    raise PixelError("the pixel data was kept as one object of a form that cannot be shown")


def _without_functional_groups(
    top: _Item, interpretation: str, bits_stored: int, *, plain: bool
) -> GreyscalePresentation:
    shape = _text(top, _PRESENTATION_LUT_SHAPE)
    only = bits_stored == 1 and not plain and BITS_STORED in top
    return GreyscalePresentation(
        # The two say the same twice where both are there (PS3.3 section C.8.11.3.1.2).
        inverted=interpretation == "MONOCHROME1" or shape == _INVERSE,
        padding=_padding(top),
        full_range=(0, 1) if only else None,
    )


def _stored_values(format_: PixelFormat) -> _Range:
    """Return the smallest and the largest stored value that there can be."""
    span = 1 << format_.bits_stored
    return (-span / 2, span / 2 - 1) if format_.signed else (0, span - 1)


def _of_frames(
    grey: GreyscalePresentation, top: _Item, frame_count: int, values: _Range
) -> tuple[GreyscalePresentation, ...]:
    """Read the functional groups: those of a frame win over shared ones, and these over the top level."""
    for group in _items(top, _SHARED_GROUPS)[:1]:
        grey = _with_group(grey, group, values)
    per_frame = _items(top, _PER_FRAME_GROUPS)[:frame_count]
    greys = [_with_group(grey, group, values) for group in per_frame]
    if all(other == grey for other in greys):
        return (grey,)
    return (*greys, *(grey for _ in range(frame_count - len(greys))))


def _with_group(grey: GreyscalePresentation, group: _Item, values: _Range) -> GreyscalePresentation:
    for tag in (_PIXEL_VALUE_TRANSFORMATION, _FRAME_VOI_LUT):
        for item in _items(group, tag)[:1]:
            grey = _with_item(grey, item, values)
    return grey


def _with_item(grey: GreyscalePresentation, item: _Item, values: _Range) -> GreyscalePresentation:
    """Put what an item, or the top level, says of grey values over what is known."""
    modality = _table_of(item, _MODALITY_LUT_SEQUENCE, values)
    slope, intercept = _number(item, _RESCALE_SLOPE), _number(item, _RESCALE_INTERCEPT)
    if modality is not None:
        grey = replace(grey, modality=modality)
    elif slope is not None or intercept is not None:
        # A slope of 0 would make one value of all: it is passed over.
        grey = replace(grey, slope=slope or 1.0, intercept=intercept or 0.0)
    voi = _table_of(item, _VOI_LUT_SEQUENCE, _rescaled(grey, values)) or _window(item)
    return grey if voi is None else replace(grey, voi=voi)


def _rescaled(grey: GreyscalePresentation, values: _Range) -> _Range:
    """Return the smallest and the largest value that there can be after the modality transformation."""
    if grey.modality is not None:
        return 0, grey.modality.largest
    low, high = sorted(value * grey.slope + grey.intercept for value in values)
    return low, high


def _window(item: _Item) -> Window | None:
    center, width = _number(item, _WINDOW_CENTER), _number(item, _WINDOW_WIDTH)
    if center is None or width is None:
        return None
    name = _text(item, _VOI_LUT_FUNCTION)
    function = WindowFunction(name) if name in set(WindowFunction) else WindowFunction.LINEAR
    try:
        return Window(center, width, function)
    except PixelError:
        return None


def _table_of(item: _Item, sequence: int, inputs: _Range) -> LookupTable | None:
    for first in _items(item, sequence)[:1]:
        return _table(first, _LUT_DESCRIPTOR, _LUT_DATA, inputs)
    return None


def _table(item: _Item, descriptor: int, data: int, inputs: _Range, segmented: int = 0) -> LookupTable | None:
    described, values = item.get(descriptor), item.get(data)
    form = _descriptor(described, inputs)
    in_segments = values is None and segmented in item
    if in_segments:
        values = item[segmented]
    if form is None or values is None or not isinstance(values.value, bytes):
        return None
    try:
        return lookup_table(form, values.value, segmented=in_segments)
    except PixelError:
        return None


def _descriptor(element: Element | None, inputs: _Range) -> tuple[int, int, int] | None:
    """Read a descriptor; of its values only the second, the first input value, may be signed.

    It is when inputs can be negative, whatever its VR (PS3.3 section C.11.2.1.1). Where they cannot, it is still when the VR
    says so and no input would reach the first entry otherwise.
    """
    if element is None or not isinstance(element.value, bytes) or len(element.value) < 6:
        return None
    count, first, bits = (int.from_bytes(element.value[at : at + 2], "little") for at in (0, 2, 4))
    signed = inputs[0] < 0 or (element.vr == "SS" and first > inputs[1])
    return count, first - 65536 if signed and first >= 32768 else first, bits


def _palette(top: _Item, indices: _Range) -> Palette:
    tables = [
        _table(top, descriptor, data, indices, segmented) for descriptor, data, segmented in (*_PALETTE, _PALETTE_BLUE)
    ]
    red, green, blue = tables
    if red is None or green is None or blue is None:
        raise PixelError("an image of Photometric Interpretation PALETTE COLOR must have three colour lookup tables")
    return Palette(red, green, blue)


def _padding(top: _Item) -> tuple[float, float] | None:
    # Of signed pixels it is signed, too, though some scanners write it as if it were not (PS3.3 C.7.5.1.1.2).
    bits = _number(top, BITS_ALLOCATED)
    span = 2**bits if bits is not None and 0 < bits <= 64 and _number(top, PIXEL_REPRESENTATION) == 1 else math.inf
    for value_tag, limit_tag in _PADDING:
        value, limit = (
            said - span if said is not None and span / 2 <= said < span else said
            for said in (_number(top, value_tag), _number(top, limit_tag))
        )
        if value is not None:
            ends = value, value if limit is None else limit
            return min(ends), max(ends)
    return None


def _items(item: _Item, tag: int) -> Sequence[_Item]:
    element = item.get(tag)
    if element is None or not isinstance(element.value, tuple):
        return ()
    return [{inner.tag: inner for inner in some} for some in element.value]


def _text(item: _Item, tag: int) -> str:
    element = item.get(tag)
    if element is None or not isinstance(element.value, bytes):
        return ""
    return element.value.decode("latin-1").partition("\\")[0].strip(" \0")


def _number(item: _Item, tag: int) -> float | None:
    """Read the first value of a number; None when it is absent, malformed or not finite."""
    element = item.get(tag)
    if element is None or not isinstance(element.value, bytes):
        return None
    try:
        if element.vr in NUMBERS:
            layout = NUMBERS[element.vr][0]
            value = float(layout.unpack_from(element.value)[0]) if len(element.value) >= layout.size else None
        else:
            value = float(_text(item, tag))
    except ValueError:
        return None
    return value if value is not None and abs(value) < float("inf") else None


def _table_size(table: object) -> int:
    return len(table.data) if isinstance(table, LookupTable) else 0
