"""Values of every representation, as the metadata document writes them."""

from __future__ import annotations

import base64
import struct

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.charset import convert_encodings, encode_string

from hounsfield.dicom.values.charsets import CharacterSet, character_set
from hounsfield.dicom.values.decode import BULK_DATA_THRESHOLD, JsonValue, ValueDecoder
from hounsfield.dicom.values.elements import Element
from hounsfield.dicom.values.scalars import CUSTOM_CHARSET_VRS, FIXED_CHARSET_VRS, NUMBERS

LATIN = CharacterSet()
REPRESENTATIONS = sorted(CUSTOM_CHARSET_VRS | FIXED_CHARSET_VRS | set(NUMBERS) | {"AT", "OB", "OW", "UN"})


def value(vr: str, raw: bytes, *, multiple: bool = False, little_endian: bool = True) -> JsonValue:
    return ValueDecoder(little_endian=little_endian).value(Element(0x00091001, vr, raw), LATIN, multiple=multiple)


@pytest.mark.parametrize(
    ("vr", "raw", "multiple", "expected"),
    [
        ("DS", b"0.685546875 ", False, "0.685546875 "),
        ("IS", b"1 ", False, "1 "),
        ("IS", b" 1", False, " 1"),
        ("DS", b"0.25\\0.25 ", True, ["0.25", "0.25 "]),
        ("DS", b"2522", True, ["2522"]),
        ("DS", b"1\0", False, "1"),
        ("DS", b"  ", False, None),
        ("CS", b"ORIGINAL\\PRIMARY\\\\0015", True, ["ORIGINAL", "PRIMARY", "", "0015"]),
        ("CS", b"ISO-IR 100", True, ["ISO-IR 100"]),
        ("LO", b" 1.06 ", True, ["1.06"]),
        ("LO", b"a\\b ", False, ["a", "b"]),
        ("LO", b"", True, None),
        ("LO", b"  ", True, None),
        ("UI", b"1.2.3\0", False, "1.2.3"),
        ("PN", b"NAME^NONE ", False, "NAME^NONE"),
        ("PN", b"A^B=C^D=", False, "A^B=C^D="),
        ("LT", b"  a\\b  ", False, "  a\\b"),
        ("ST", b"x\r\n ", False, "x\r\n"),
        ("UR", b"http://x/ ", False, "http://x/"),
        ("UC", b" a\\b ", True, [" a", "b"]),
        ("DA", b"20200101", False, "20200101"),
        ("US", b"\x01\x02", False, 513),
        ("US", b"\x01\x02\x03\x00", False, [513, 3]),
        ("US", b"", False, None),
        ("SS", b"\xff\xff", True, [-1]),
        ("UV", b"\xff" * 8, False, (1 << 64) - 1),
        ("SV", b"\xff" * 8, False, -1),
        ("FL", struct.pack("<f", 1), False, 1),
        ("FD", struct.pack("<d", 0), False, 0),
        ("FD", struct.pack("<d", 0.1), False, 0.1),
        ("FD", struct.pack("<ddd", float("nan"), float("inf"), float("-inf")), True, ["NaN", "Infinity", "-Infinity"]),
        ("AT", b"\x18\x00\x65\x10", False, "00181065"),
        ("AT", b"\x18\x00\x65\x10", True, ["00181065"]),
        ("AT", b"\x18\x00\x65\x10\x10\x00\x20\x00", True, ["00181065", "00100020"]),
        ("OB", b"\0\1", False, "AAE="),
        ("OB", b"", False, ""),
        ("UN", b"\xff", False, "/w=="),
        ("OW", bytes(BULK_DATA_THRESHOLD + 2), False, None),
        ("US", bytes(BULK_DATA_THRESHOLD + 2), False, None),
        ("LO", b"\\" * (BULK_DATA_THRESHOLD + 2), True, None),
        ("UT", b"x" * (BULK_DATA_THRESHOLD + 2), False, "x" * (BULK_DATA_THRESHOLD + 2)),
    ],
)
def test_little_endian_values(vr: str, raw: bytes, multiple: bool, expected: JsonValue) -> None:
    found = value(vr, raw, multiple=multiple)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("vr", "raw", "expected"),
    [
        ("US", b"\x02\x01", 513),
        ("AT", b"\x00\x18\x10\x65", "00181065"),
        ("OW", b"\x01\x02\x03\x04", base64.b64encode(b"\x02\x01\x04\x03").decode()),
        ("OD", bytes(range(8)), base64.b64encode(bytes(range(7, -1, -1))).decode()),
        ("OB", b"\x01\x02", "AQI="),
        ("OW", b"\x01\x02\x03", "AQID"),
    ],
)
def test_big_endian_values_are_turned(vr: str, raw: bytes, expected: JsonValue) -> None:
    assert value(vr, raw, little_endian=False) == expected


def test_odd_bytes_of_numbers_are_noted() -> None:
    decoder = ValueDecoder(little_endian=True)
    assert decoder.value(Element(0x00280010, "US", b"\1\0\2"), LATIN, multiple=False) == 1
    assert decoder.value(Element(0x00280011, "US", b"\1"), LATIN, multiple=False) is None
    assert decoder.value(Element(0x00280009, "AT", b"\1\0\2\0\3"), LATIN, multiple=False) == "00010002"
    assert decoder.malformed == {0x00280009, 0x00280010, 0x00280011}


def test_items_keep_their_own_character_set() -> None:
    latin = (Element(0x00080005, "CS", b"ISO_IR 100"), Element(0x00080104, "LO", b"Sch\xe4del"))
    inherited = (Element(0x00080104, "LO", "Schädel".encode()),)
    sequence = Element(0x00081032, "SQ", (latin, inherited, ()))
    decoder = ValueDecoder(little_endian=True)
    assert decoder.value(sequence, character_set(b"ISO_IR 192"), multiple=False) == [
        {"SpecificCharacterSet": ["ISO_IR 100"], "CodeMeaning": "Schädel"},
        {"CodeMeaning": "Schädel"},
        {},
    ]
    assert not decoder.undecodable


def test_keys_of_elements_without_keyword() -> None:
    decoder = ValueDecoder(little_endian=True)
    found = decoder.data_set(
        (
            Element(0x00080000, "UL", b"\1\0\0\0"),
            Element(0x7FDF0010, "LO", b"CREATOR "),
            Element(0x7FDF1001, "US", b"\7\0"),
            Element(0x60000010, "US", b"\2\0"),
            Element(0x00099999, "SQ", ((Element(0x00091001, "DS", b"1 "),),)),
            Element(0xFFFCFFFC, "OB", b"\0\0"),
        ),
        LATIN,
    )
    assert found == {"00099999": [{"00091001": "1 "}], "60000010": 2, "7FDF0010": "CREATOR", "7FDF1001": 7}
    assert list(found) == sorted(found)
    assert decoder.vrs == {"7FDF0010": "LO", "7FDF1001": "US", "60000010": "US", "00099999": "SQ", "00091001": "DS"}


@pytest.mark.parametrize(
    ("terms", "raw", "text"),
    [
        ("", b"A^B", "A^B"),
        ("ISO_IR 100", b"Buc^J\xe9r\xf4me", "Buc^Jérôme"),
        ("ISO-IR 100", b"\xe9", "é"),
        ("ISO_IR 192", "王^小東".encode(), "王^小東"),
        ("GB18030", "王^小东".encode("gb18030"), "王^小东"),
        ("GBK\\ISO 2022 IR 87", "王".encode("gbk"), "王"),
        ("ISO_IR 144", b"\xbb\xee\xda\xdb", "Люкл"),
        ("\\ISO 2022 IR 87", b"Yamada=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B", "Yamada=山田^太郎"),
        ("ISO 2022 IR 13\\ISO 2022 IR 87", b"\xd4\xcf\xc0\xde=\x1b$B;3ED\x1b(J", "ﾔﾏﾀﾞ=山田"),
        ("\\ISO 2022 IR 149", b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7", "Hong^Gildong=洪^吉洞"),
        ("\\ISO 2022 IR 58", b"\x1b$)A\xcd\xf5^\x1b$)A\xd0\xa1\xb6\xab", "王^小东"),
        ("ISO 2022 IR 100\\ISO 2022 IR 144", b"\xe9=\x1b-L\xbb^\xe9", "é=Л^é"),
    ],
)
def test_character_sets(terms: str, raw: bytes, text: str) -> None:
    assert character_set(terms.encode()).decode(raw, person_name=True) == text


def test_backslash_byte_inside_a_character_is_no_separator() -> None:
    tricky = next(chr(code) for code in range(0x4E00, 0x9FFF) if chr(code).encode("gb18030")[1:] == b"\\")
    decoder = ValueDecoder(little_endian=True)
    element = Element(0x00081080, "LO", f"{tricky}\\B".encode("gb18030"))
    assert decoder.value(element, character_set(b"GB18030"), multiple=True) == [tricky, "B"]


@pytest.mark.parametrize("terms", [b"ISO_IR 999", b"rot13", b"zlib_codec", b"idna", b"ISO_IR 6\\bogus"])
def test_undefined_character_sets_are_latin_1(terms: bytes) -> None:
    found = character_set(terms)
    assert not found.known
    assert found.decode(b"\xe9") == "é"


@pytest.mark.parametrize("terms", [b"", b"ISO_IR 6", b"ISO 2022 IR 6\\ISO 2022 IR 100", b"ISO_IR 192 ", b"ISO IR 100"])
def test_defined_character_sets_are_known(terms: bytes) -> None:
    assert character_set(terms).known


def test_undecodable_text_is_replaced_and_noted() -> None:
    decoder = ValueDecoder(little_endian=True)
    assert (
        decoder.value(Element(0x00081030, "LO", b"a\xffb"), character_set(b"ISO_IR 192"), multiple=False) == "a\ufffdb"
    )
    assert decoder.undecodable == {0x00081030}


@given(
    st.sampled_from(["ISO_IR 100", "ISO_IR 192", "GB18030", "ISO_IR 144", "\\ISO 2022 IR 149", "\\ISO 2022 IR 87"]),
    st.text("abc ^äéЯЖ王山田太郎洪吉洞", max_size=20),
)
def test_what_can_be_encoded_is_decoded(terms: str, text: str) -> None:
    encodings = convert_encodings(terms.split("\\"))
    try:
        for part in text.split("^"):
            part.encode(encodings[-1])
        raw = b"^".join(encode_string(part, encodings) if part else b"" for part in text.split("^"))
    except UnicodeError:
        return
    assert character_set(terms.encode()).decode(raw, person_name=True) == text


@given(
    st.sampled_from([b"", b"ISO_IR 192", b"\\ISO 2022 IR 87\\ISO 2022 IR 159", b"ISO 2022 IR 58", b"GB18030"]),
    st.binary(),
)
def test_any_bytes_become_text_that_json_can_carry(terms: bytes, raw: bytes) -> None:
    assert orjson.loads(orjson.dumps(character_set(terms).decode(raw))) is not None


@given(
    st.sampled_from(REPRESENTATIONS),
    st.binary(max_size=40),
    st.booleans(),
)
def test_any_value_is_json(vr: str, raw: bytes, multiple: bool) -> None:
    found = value(vr, raw, multiple=multiple)
    assert orjson.loads(orjson.dumps(found)) == found
