"""The DICOM JSON of data sets written one after another is that of each alone."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hounsfield.dicom.json.series_writer import JsonSeries
from hounsfield.dicom.json.writer import Path, json_object
from hounsfield.dicom.values.charsets import REPLACEMENT, character_set
from hounsfield.dicom.values.elements import Element

_LARGE = b"\1" * (1 << 21)
_VALUES = {
    0x00080016: ("UI", [b"1.2", b"1.3"]),
    0x00080060: ("CS", [b"CT", b"MR ", b""]),
    0x00081140: ("SQ", [(), ((Element(0x00080018, "UI", b"1.2"),),), ((Element(0x00091001, "OB", _LARGE),),)]),
    0x00100010: ("PN", [b"A^B", b"C^D "]),
    0x00200000: ("UL", [b"\4\0\0\0"]),
    0x00200013: ("IS", [b"1 ", b"2 ", b"3 "]),
    0x00280030: ("DS", [b"0.5\\0.5 "]),
    0x00291010: ("OB", [b"ab", _LARGE]),
    0x7FE00010: ("OW", [b""]),
}


@st.composite
def data_sets(draw: st.DrawFn) -> tuple[Element, ...]:
    tags = draw(st.one_of(st.just(sorted(_VALUES)), st.lists(st.sampled_from(sorted(_VALUES)), max_size=6)))
    return tuple(Element(tag, _VALUES[tag][0], draw(st.sampled_from(_VALUES[tag][1]))) for tag in tags)


@given(st.lists(data_sets(), max_size=6), st.sampled_from([b"", b"ISO_IR 100"]))
def test_written_one_after_another(series: list[tuple[Element, ...]], charset: bytes) -> None:
    writer = JsonSeries()
    for number, elements in enumerate(series):

        def uri(path: Path, number: int = number) -> str:
            return f"http://instance/{number}/{'-'.join(map(str, path))}"

        assert writer.json_object(elements, character_set(charset), uri) == json_object(
            elements, character_set(charset), uri
        )


_CHARSETS = [b"", b"ISO_IR 13", b"ISO_IR 100", b"ISO_IR 192", b"GB18030", b"\\ISO 2022 IR 87", b"ISO_IR 166"]


def _text(vr: str, value: bytes, charset: bytes) -> bytes:
    return json_object((Element(0x00091001, vr, value),), character_set(charset), lambda _: "")


@settings(deadline=None)
@given(
    st.sampled_from(["AE", "CS", "DA", "LO", "SH", "TM", "UI", "DS", "IS"]),
    st.one_of(
        st.binary(max_size=8),
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8).map(str.encode),
        st.from_regex(rb"\A ?-?[0-9]{1,3}(\.[0-9]{0,3})?(e[0-9]{1,3})? ?\Z"),
    ),
    st.sampled_from(_CHARSETS),
)
def test_a_plain_value_is_written_as_it_is_beside_one_that_is_not_plain(vr: str, value: bytes, charset: bytes) -> None:
    if b"\\" in value or b"\x1b" in value or not value.strip(b" \0"):
        return
    if REPLACEMENT in character_set(charset).decode(value):
        # Half a character of two bytes would take the backslash for its second one.
        return
    alone = _text(vr, value, charset)
    beside = _text(vr, value + b"\\~", charset)
    assert beside == alone.removesuffix(b"]}}") + b',"~"]}}'
