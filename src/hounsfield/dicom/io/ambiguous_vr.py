"""Value representations that the dictionary leaves open, decided from the data set around the element.

PS3.6 gives some elements two representations ("US or SS"). Implicit VR files do not say which one was meant; PS3.3
ties the choice to Pixel Representation or to the LUT Descriptor.
"""

from __future__ import annotations

from collections.abc import Sequence

from hounsfield.dicom.values.elements import Element

_PIXEL_REPRESENTATION = 0x00280103
_LUT_DESCRIPTOR = 0x00283002
_LUT_DATA = 0x00283006


def decide_vr(elements: Sequence[Element], order: str, *, signed: bool = False) -> tuple[Element, ...]:
    """Replace ambiguous representations in a data set and its items.

    Parameters
    ----------
    elements : Sequence of Element
        Elements of one data set, some with a VR such as ``"US or SS"``.
    order : {"little", "big"}
        Byte order of the values.
    signed : bool
        Whether the data set around this one has signed pixels.

    Returns
    -------
    tuple of Element
        The same elements. US or SS follow Pixel Representation (0028,0103) of the nearest data set that has it; LUT
        Data is US when its table has one entry, else OW; all others are OW, as implicit VR asks (PS3.5 section A.1).
    """
    one_entry = False
    odd = []
    for place, (tag, vr, value) in enumerate(elements):
        if isinstance(value, tuple) or " " in vr:
            odd.append(place)
        elif tag == _PIXEL_REPRESENTATION and value:
            signed = any(value[:2])
        if tag == _LUT_DESCRIPTOR and isinstance(value, bytes):
            one_entry = int.from_bytes(value[:2], "little" if order == "little" else "big") == 1
    result = list(elements)
    for place in odd:
        tag, vr, value = element = result[place]
        if isinstance(value, tuple):
            items = tuple(decide_vr(item, order, signed=signed) for item in value)
            result[place] = Element(tag, vr, items)
        else:
            result[place] = Element(tag, _choice(element, signed=signed, one_entry=one_entry), value)
    return tuple(result)


def _choice(element: Element, *, signed: bool, one_entry: bool) -> str:
    """Pick one of the representations."""
    if element.vr == "US or SS":
        return "SS" if signed else "US"
    if element.tag == _LUT_DATA:
        return "US" if one_entry else "OW"
    return "OW"
