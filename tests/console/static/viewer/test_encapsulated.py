"""The viewer shows encapsulated documents: PDF as pages, text as text, anything else as a file to save."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Locator, Page, expect
from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedCDAStorage, EncapsulatedPDFStorage, EncapsulatedSTLStorage

import hounsfield.console
from support.browser.accessibility import check_accessibility
from support.browser.page_faults import PageFaults
from support.browser.pages import check_width, sign_in
from support.clients.dicomweb import part10, store
from support.files.synthetic import slice_of
from support.servers import ServerProcess

STATIC: Final = Path(hounsfield.console.__file__).parent / "static"
LATIN: Final = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
JAPANESE: Final = (
    b"<< /Type /Font /Subtype /Type0 /BaseFont /HeiseiMin-W3-90ms-RKSJ-H /Encoding /90ms-RKSJ-H /DescendantFonts [ "
    b"<< /Type /Font /Subtype /CIDFontType0 /BaseFont /HeiseiMin-W3 /CIDSystemInfo << /Registry (Adobe) "
    b"/Ordering (Japan1) /Supplement 2 >> /FontDescriptor << /Type /FontDescriptor /FontName /HeiseiMin-W3 /Flags 4 "
    b"/FontBBox [0 0 1000 1000] /ItalicAngle 0 /Ascent 800 /Descent -200 /CapHeight 700 /StemV 80 >> >> ] >>"
)
SCRIPT: Final = (
    b"/OpenAction << /S /JavaScript /JS (app.alert\\('it runs'\\); app.launchURL\\('http://192.0.2.1/'\\)) >> "
)
LOCK: Final = (
    b"/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <"
    + b"41" * 32
    + b"> /U <"
    + b"42" * 32
    + b"> >> /ID [<00> <00>] "
)


def pdf_of(texts: Sequence[bytes], *, catalog: bytes = b"", trailer: bytes = b"", comment: bytes = b"") -> bytes:
    """Write a PDF with a page of A4 for each text, each with a red square."""
    kids = b" ".join(b"%d 0 R" % (5 + 2 * number) for number in range(len(texts)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R " + catalog + b">>",
        b"<< /Type /Pages /Kids [" + kids + b"] /Count %d >>" % len(texts),
        LATIN,
        JAPANESE,
    ]
    for number, text in enumerate(texts):
        content = b"BT " + text + b" Tj ET 1 0 0 rg 100 400 200 200 re f"
        fonts = b"/Resources << /Font << /F1 3 0 R /F2 4 0 R >> >>"
        page = b"/MediaBox [0 0 600 800] " + fonts + b" /Contents %d 0 R" % (6 + 2 * number)
        objects.append(b"<< /Type /Page /Parent 2 0 R " + page + b" >>")
        objects.append(b"<< /Length %d >>\nstream\n" % len(content) + content + b"\nendstream")
    written, places = b"%PDF-1.7\n%" + comment + b"\n", []
    for number, one in enumerate(objects, start=1):
        places.append(b"%010d 00000 n \n" % len(written))
        written += b"%d 0 obj\n" % number + one + b"\nendobj\n"
    table = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + b"".join(places)
    end = (
        b"trailer << /Size %d /Root 1 0 R " % (len(objects) + 1)
        + trailer
        + b">>\nstartxref\n%d\n%%%%EOF\n" % len(written)
    )
    return written + table + end


def encapsulated(kind: str, content: bytes, media_type: str, number: int, title: str) -> Dataset:
    made = slice_of(series=number, SOPClassUID=kind, Modality="DOC")
    made.file_meta.MediaStorageSOPClassUID = kind
    for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(made, keyword)
    del made.SamplesPerPixel, made.PhotometricInterpretation, made.ImageType
    made.DocumentTitle, made.MIMETypeOfEncapsulatedDocument = title, media_type
    made.EncapsulatedDocumentLength = len(content)
    made.EncapsulatedDocument = content + b"\0" * (len(content) % 2)
    return made


def open_document(page: Page, datastore: str, dataset: Dataset) -> Locator:
    series = f"&series={dataset.SeriesInstanceUID}"
    page.goto(f"/console/datastores/{datastore}/view?study={dataset.StudyInstanceUID}{series}")
    shown = page.locator(".document")
    expect(shown.get_by_role("button", name="Save file").or_(shown.locator("[data-failed]")).first).to_be_visible()
    return shown


@pytest.fixture
def signed_in(page: Page, server: ServerProcess) -> Page:
    sign_in(page, server.key())
    return page


RED: Final = """section => {
  const canvas = section.querySelector("canvas")
  const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
  const box = [width, height, 0, 0]
  for (let at = 0; at < data.length; at += 4) {
    if (data[at] < 200 || data[at + 1] > 60) continue
    const [x, y] = [(at / 4) % width, Math.floor(at / 4 / width)]
    box[0] = Math.min(box[0], x); box[1] = Math.min(box[1], y)
    box[2] = Math.max(box[2], x + 1); box[3] = Math.max(box[3], y + 1)
  }
  return [box[0] / width, box[1] / height, box[2] / width, box[3] / height]
}"""
"""Where a page is red, in parts of its width and height."""


def test_a_pdf_is_pages_that_can_be_read_aloud(
    server: ServerProcess, datastore: str, signed_in: Page, faults: PageFaults
) -> None:
    texts = [b"/F1 24 Tf 72 760 Td (Letter of Jane Roe)", b"/F2 24 Tf 72 760 Td <93fa967b>"]
    texts += [b"/F1 24 Tf 72 760 Td (Page %d)" % number for number in range(3, 31)]
    content = pdf_of(texts, catalog=SCRIPT, comment=b"x" * 1_200_000)
    letter = encapsulated(EncapsulatedPDFStorage, content, "application/pdf", 1, "Letter <b>")
    assert store(server, datastore, [part10(letter)]).status_code == 200
    shown = open_document(signed_in, datastore, letter)
    pages = shown.locator(".pdf-page")
    expect(pages).to_have_count(30)
    expect(pages.nth(0)).to_have_text("Letter of Jane Roe")
    expect(pages.nth(1)).to_have_text("日本")
    # The square from (100, 400) to (300, 600), counted from the bottom of 600 × 800.
    assert pages.nth(0).evaluate(RED) == pytest.approx([1 / 6, 1 / 4, 1 / 2, 1 / 2], abs=0.005)
    # What is far away is not drawn.
    expect(pages.nth(29).locator("canvas")).to_have_count(0)
    check_accessibility(signed_in)

    number = shown.get_by_label("Page", exact=True)
    signed_in.locator("[data-viewport]").first.focus()
    signed_in.keyboard.press("PageDown")
    expect(number).to_have_value("2")
    signed_in.keyboard.press("End")
    expect(number).to_have_value("30")
    expect(pages.nth(29)).to_have_text("Page 30")
    number.fill("3")
    number.press("Enter")
    expect(pages.nth(2)).to_have_text("Page 3")
    before = pages.nth(2).bounding_box()
    signed_in.locator("[data-viewport]").first.focus()
    signed_in.keyboard.press("+")
    expect(number).to_have_value("3")
    after = pages.nth(2).bounding_box()
    assert before is not None
    assert after is not None
    assert after["width"] / before["width"] == pytest.approx(1.25, abs=0.01)
    with signed_in.expect_download() as saved:
        shown.get_by_role("button", name="Save file").click()
    assert saved.value.suggested_filename == "Letter _b_.pdf"
    assert Path(saved.value.path()).read_bytes() == content
    signed_in.set_viewport_size({"width": 360, "height": 740})
    check_width(signed_in)
    # A script of the PDF would have asked, or gone to another server.
    assert faults.found == []


WORDS: Final[Mapping[str, str]] = {
    "broken": "This PDF is broken: its pages cannot be read.",
    "locked": "This PDF is locked by a password.",
    "nothing": "This object encapsulates no document.",
    "model": "This kind of document is not shown here. Save the file to open it with a program of its own.",
}


def test_other_documents_are_text_or_say_why_they_are_not_shown(
    server: ServerProcess, datastore: str, signed_in: Page
) -> None:
    locked = pdf_of([b"/F1 24 Tf 72 760 Td (Secret)"], trailer=LOCK)
    markup = b'<?xml version="1.0"?><ClinicalDocument><script>alert(1)</script></ClinicalDocument>'
    documents = {
        "broken": encapsulated(EncapsulatedPDFStorage, b"%PDF-1.7 and no more", "application/pdf", 1, "Broken"),
        "locked": encapsulated(EncapsulatedPDFStorage, locked, "application/pdf", 2, "Locked"),
        "nothing": encapsulated(EncapsulatedPDFStorage, b"", "application/pdf", 3, "Nothing"),
        "model": encapsulated(EncapsulatedSTLStorage, bytes(84), "model/stl", 4, "Model"),
        "text": encapsulated(EncapsulatedCDAStorage, markup, "text/XML", 5, "Summary"),
    }
    assert store(server, datastore, list(map(part10, documents.values()))).status_code == 200
    for name, words in WORDS.items():
        shown = open_document(signed_in, datastore, documents[name])
        expect(shown).to_contain_text(words)
    shown = open_document(signed_in, datastore, documents["text"])
    expect(shown.locator("pre")).to_have_text(markup.decode())
    check_accessibility(signed_in)


def test_what_others_made_is_as_they_released_it() -> None:
    """Each file of others, or all that a pattern names, has the sum that the list says."""
    found: dict[str, list[str]] = {}
    for paragraph in (STATIC / "THIRD-PARTY.txt").read_text().split("\n\n"):
        lines = paragraph.splitlines()
        names = [name.strip() for line in lines if not line.startswith(" ") for name in line.split(",") if name.strip()]
        sums = [line.split()[1] for line in lines if line.startswith("  sha512 ")]
        assert len(names) == len(sums), names
        for name, expected in zip(names, sums, strict=True):
            files = sorted(STATIC.glob(name))
            assert files, name
            found[name] = [hashlib.sha512(b"".join(file.read_bytes() for file in files)).hexdigest(), expected]
    assert all(actual == expected for actual, expected in found.values()), found
