"""Text written as DICOM JSON on the short way is what the writer of elements makes of it."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hounsfield.dicom.json.level_attributes import text_member
from hounsfield.dicom.json.writer import element_text
from hounsfield.dicom.values.charsets import character_set
from hounsfield.dicom.values.elements import Element

UNICODE = character_set(b"ISO_IR 192")
TAGS = {"CS": 0x00080060, "DA": 0x00080020, "LO": 0x00081030, "PN": 0x00100010, "SH": 0x00080050, "TM": 0x00080030}
TAGS |= {"IS": 0x00200011, "UI": 0x0020000D, "UR": 0x00081190}


@given(st.sampled_from(sorted(TAGS)), st.text(st.one_of(st.sampled_from(' ^=\\"~\0.1A'), st.characters(codec="utf-8"))))
@example("PN", "Roe^Jane^^")
@example("PN", "^Jane")
@example("PN", "Yamada^Tarou=山田^太郎")
@example("LO", 'A "quoted" \\ value ')
@example("LO", "Größe ~ 5")
@example("DA", "2024.01.02")
@example("UI", "1.2.\0")
@example("UR", "http://h/datastore/d/studies/1.2")
def test_the_short_way_writes_the_same(vr: str, text: str) -> None:
    expected = element_text(Element(TAGS[vr], vr, text.encode()), UNICODE, lambda _: pytest.fail("no value is large"))
    assert json.loads(b"{%b}" % text_member(TAGS[vr], vr, text)) == json.loads(b"{%b}" % expected)
