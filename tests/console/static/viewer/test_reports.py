"""The viewer shows structured reports as trees, and what else has no picture in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pydicom
import pytest
from playwright.sync_api import Locator, Page, expect
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import (
    ComprehensiveSRStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    KeyObjectSelectionDocumentStorage,
)

from support.browser.accessibility import check_accessibility, press
from support.browser.pages import check_width, sign_in
from support.clients.dicomweb import part10, store
from support.files.synthetic import slice_of, uid
from support.servers import ServerProcess

HOSTILE: Final = '<img src=x onerror="alert(1)">'
SQUARE: Final = [20, 6, 15, 24, 6, 15, 24, 9, 15, 20, 9, 15, 20, 6, 15]
"""A polygon of the patient, in mm."""
REAL: Final = ("sr_document.dcm", "sr_document_with_multiple_groups.dcm")


def open_series(page: Page, datastore: str, dataset: Dataset) -> Locator:
    """Open the series of a data set in the viewer; gives the body of its document."""
    series = f"&series={dataset.SeriesInstanceUID}"
    page.goto(f"/console/datastores/{datastore}/view?study={dataset.StudyInstanceUID}{series}")
    body = page.locator("[data-viewport]").first.locator(".document-body")
    expect(body.locator(":scope > *").first).to_be_visible()
    return body


@pytest.fixture
def signed_in(page: Page, server: ServerProcess) -> Page:
    sign_in(page, server.key())
    return page


def code(value: str, scheme: str, meaning: str) -> Dataset:
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator, made.CodeMeaning = value, scheme, meaning
    return made


def item(
    kind: str, name: str = "", relation: str = "CONTAINS", children: Sequence[Dataset] = (), **elements: Any
) -> Dataset:
    """Make a content item; ``elements`` are its value."""
    made = Dataset()
    made.RelationshipType, made.ValueType = relation, kind
    if name:
        made.ConceptNameCodeSequence = [code(name[:12].upper(), "99TEST", name)]
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    if children:
        made.ContentSequence = list(children)
    return made


def measured(value: str, unit: Dataset) -> Dataset:
    made = Dataset()
    made.NumericValue, made.MeasurementUnitsCodeSequence = value, [unit]
    return made


def reference(dataset: Dataset, **elements: Any) -> Dataset:
    made = Dataset()
    made.ReferencedSOPClassUID, made.ReferencedSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def document(kind: str, series: int, children: Sequence[Dataset], number: int = 1, **elements: Any) -> Dataset:
    """Make a document without pixels in the study of `slice_of`."""
    made = slice_of(series=series, number=number, SOPClassUID=kind, Modality="SR")
    made.file_meta.MediaStorageSOPClassUID = kind
    for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(made, keyword)
    del made.SamplesPerPixel, made.PhotometricInterpretation, made.ImageType
    made.SpecificCharacterSet = "ISO_IR 192"
    made.ContentDate, made.ContentTime = "20240103", "121314"
    made.ValueType, made.ContinuityOfContent = "CONTAINER", "SEPARATE"
    made.ConceptNameCodeSequence = [code("18748-4", "LN", "Diagnostic imaging report")]
    if children:
        made.ContentSequence = list(children)
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def evidence(*datasets: Dataset) -> list[Dataset]:
    """Return the sequence that says in which series objects are."""
    study = Dataset()
    study.StudyInstanceUID = datasets[0].StudyInstanceUID
    study.ReferencedSeriesSequence = []
    for one in datasets:
        series = Dataset()
        series.SeriesInstanceUID, series.ReferencedSOPSequence = one.SeriesInstanceUID, [reference(one)]
        study.ReferencedSeriesSequence.append(series)
    return [study]


def report(images: Sequence[Dataset], elsewhere: Dataset) -> Dataset:
    """Make a report with items of all kinds."""
    millimetres, nothing = code("mm", "UCUM", "millimeter"), code("114000", "DCM", "Not a number")
    source = item("IMAGE", "", "SELECTED FROM", ReferencedSOPSequence=[reference(images[1])])
    region = item("SCOORD", "Outline", children=[source], GraphicData=[40, 20, 40, 28], GraphicType="CIRCLE")
    frame = images[0].FrameOfReferenceUID
    space = item("SCOORD3D", "Place", GraphicData=SQUARE, GraphicType="POLYGON", ReferencedFrameOfReferenceUID=frame)
    numbers = [
        item("NUM", "Diameter", MeasuredValueSequence=[measured("12.5", millimetres)]),
        item("NUM", "Ratio", MeasuredValueSequence=[], NumericValueQualifierCodeSequence=[nothing]),
        item("NUM", "Count", MeasuredValueSequence=[measured("3", code("1", "UCUM", "no units"))]),
    ]
    moments = [
        item("DATE", "Day", Date="20240229"),
        item("TIME", "Clock", Time="141516"),
        item("DATETIME", "Moment", DateTime="20240229141516+0100"),
        item("PNAME", "Reader", "HAS OBS CONTEXT", PersonName="Roe^Jane^Q^Dr.^MD=山田^太郎"),
        item("UIDREF", "Tracked", UID=uid(9)),
        item("CODE", "Finding", ConceptCodeSequence=[code("27925004", "SCT", "Nodule")]),
        item("TEXT", HOSTILE[:64], "INFERRED FROM", TextValue=f"{HOSTILE}\nsecond line"),
        item("TCOORD", "Beat", TemporalRangeType="POINT", ReferencedSamplePositions=[17]),
        item("BLOB", "Unknown kind"),
    ]
    again = item("", "", "INFERRED FROM")
    again.ReferencedContentItemIdentifier = [1, 1, 1]
    del again.ValueType
    links = [
        item("IMAGE", "Seen on", ReferencedSOPSequence=[reference(images[2])]),
        item("IMAGE", "Prior", ReferencedSOPSequence=[reference(elsewhere)]),
    ]
    return document(
        ComprehensiveSRStorage,
        2,
        [
            item("CONTAINER", "Findings", children=[*numbers, region, space, *links, again]),
            item("CONTAINER", "Context", children=moments),
            item("CONTAINER", "Nothing"),
        ],
        CurrentRequestedProcedureEvidenceSequence=evidence(*images),
        CompletionFlag="PARTIAL",
        VerificationFlag="UNVERIFIED",
        PatientName=f"Roe^{HOSTILE}"[:64],
    )


def line(body: Locator, path: str) -> Locator:
    """Return the line of an item by its place in the tree, without those below it."""
    return body.locator(f'[data-path="{path}"] > .report-line')


def test_a_report_is_a_tree_that_leads_to_its_images(server: ServerProcess, datastore: str, signed_in: Page) -> None:
    pixels = np.zeros((64, 64), "i2")
    said = {"WindowCenter": "500", "WindowWidth": "1000", "PixelSpacing": ["0.5", "0.5"], "FrameOfReferenceUID": uid(8)}
    said |= {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
    images = [
        slice_of(number=number, pixels=pixels, ImagePositionPatient=[10, 0, 5 * number], **said) for number in (1, 2, 3)
    ]
    report_of = report(images, slice_of(series=9, number=9))
    empty = document(ComprehensiveSRStorage, 2, [], 2, CompletionFlag="COMPLETE", VerificationFlag="VERIFIED")
    assert store(server, datastore, list(map(part10, [*images, report_of, empty]))).status_code == 200
    body = open_series(signed_in, datastore, report_of)
    expect(body.get_by_role("heading", level=2)).to_have_text("Diagnostic imaging report")
    expect(body).to_contain_text("Partial: content is missing · Not verified")
    expected = {
        "1.1": "Findings",
        "1.1.1": "Diameter: 12.5 mm",
        "1.1.2": "Ratio: no value: Not a number",
        "1.1.3": "Count: 3",
        "1.1.4": "Outline: Circle, its centre and a point on it, (40, 20) (40, 28), in columns, rows – show on "
        "CT image of series 1",
        "1.1.5": "Place: Polygon through (20, 6, 15) (24, 6, 15) (24, 9, 15) (20, 9, 15) (20, 6, 15), in mm – show on "
        "the images it lies in",
        "1.1.6": "Seen on: CT image of series 1",
        "1.1.7": "Prior: CT image",
        "1.1.8": "inferred from see Diameter",
        "1.2.1": "Day: 29 Feb 2024",
        "1.2.2": "Clock: 14:15:16",
        "1.2.3": "Moment: 29 Feb 2024, 14:15:16 UTC+01:00",
        "1.2.4": "context Reader: Roe, Jane Q (Dr., MD) 山田 太郎",
        "1.2.5": f"Tracked: {uid(9)}",
        "1.2.6": "Finding: Nodule",
        "1.2.7": f"inferred from {HOSTILE}: {HOSTILE} second line",
        "1.2.8": "Beat: At: sample 17",
        "1.2.9": "Unknown kind: a value of the type BLOB, which is not shown here",
        "1.3": "Nothing nothing in it",
    }
    for path, words in expected.items():
        expect(line(body, path)).to_have_text(words)
    expect(body.get_by_role("heading", level=3)).to_have_text(["Findings", "Context", "Nothing"])
    check_accessibility(signed_in)

    toggle = body.get_by_role("button", name="Parts of Findings")
    press(signed_in, toggle)
    expect(line(body, "1.1.1")).to_be_hidden()
    # A reference to an item that is closed opens the way to it.
    signed_in.keyboard.press("Enter")
    press(signed_in, body.get_by_role("button", name="see Diameter"))
    expect(body.locator('[data-path="1.1.1"]')).to_be_focused()

    line(body, "1.1.7").get_by_role("button").click()
    expect(line(body, "1.1.7")).to_contain_text("(not here)")
    line(body, "1.1.6").get_by_role("button").click()
    other = signed_in.locator("[data-viewport]").nth(1)
    expect(other).to_contain_text("Image 3 of 3")
    line(body, "1.1.4").get_by_role("button").click()
    expect(other).to_contain_text("Image 2 of 3")
    drawn = signed_in.evaluate(YELLOW)
    # The circle about (40, 20) with a radius of 8.
    assert drawn == pytest.approx([32, 12, 48, 28], abs=1)
    line(body, "1.1.5").get_by_role("button").click()
    expect(other).to_contain_text("Image 3 of 3")
    # From 10 mm on in columns, two a millimetre, and the centre of the first pixel at half a column.
    assert signed_in.evaluate(YELLOW) == pytest.approx([20.5, 12.5, 28.5, 18.5], abs=1)

    signed_in.set_viewport_size({"width": 360, "height": 740})
    check_width(signed_in)
    signed_in.set_viewport_size({"width": 1024, "height": 768})
    signed_in.get_by_role("button", name="Next").click()
    expect(body).to_contain_text("This document has no content.")
    expect(body).to_contain_text("Complete · Verified")


YELLOW: Final = """() => {
  const one = document.querySelector("[data-viewer]").viewer.viewports[1]
  const { width, height } = one.canvas
  const { data } = one.context.getImageData(0, 0, width, height)
  const inverse = one.matrix.inverse()
  const box = [Infinity, Infinity, -Infinity, -Infinity]
  for (let at = 0; at < data.length; at += 4) {
    if (data[at] < 200 || data[at + 2] > 150) continue
    const { x, y } = inverse.transformPoint(new DOMPoint((at / 4) % width, Math.floor(at / 4 / width)))
    box[0] = Math.min(box[0], x); box[1] = Math.min(box[1], y)
    box[2] = Math.max(box[2], x); box[3] = Math.max(box[3], y)
  }
  return box
}"""
"""The columns and rows of the image in the second viewport within which something yellow is drawn."""


MEASURED: Final = [
    ["Image0001", "", "Intensity Histogram Mean", "-119.07385253906 HU"],
    ["LungNodule0001", "Nodule, Lung", "Diameter", "10 mm"],
    ["Aorta0001", "Aorta", "Diameter", "20 mm"],
    ["Vertebra0001", "Vertebra", "Volume", "200 mm³"],
]
"""The table of the report with several groups."""


def walk(dataset: Dataset, path: str = "1") -> Iterator[tuple[str, Dataset]]:
    """Go through the content items of a report with their places."""
    for number, child in enumerate(dataset.get("ContentSequence", []), start=1):
        place = f"{path}.{number}"
        yield place, child
        yield from walk(child, place)


def spoken(one: Dataset) -> list[str]:
    """Return what a line must say of a content item."""
    words = [name.CodeMeaning for name in one.get("ConceptNameCodeSequence", [])]
    if one.get("ValueType") == "NUM":
        words += [f"{float(value.NumericValue):g}"[:6] for value in one.MeasuredValueSequence]
    words += [value.CodeMeaning for value in one.get("ConceptCodeSequence", [])]
    words += [part.strip() for part in str(one.get("TextValue", "")).splitlines() if part.strip()]
    return [*words, str(one.get("UID", ""))]


@pytest.mark.slow
def test_every_item_of_real_reports_is_there(
    server: ServerProcess, datastore: str, shared_data: Path, signed_in: Page
) -> None:
    names = [str(shared_data / "highdicom" / "test_files" / name) for name in REAL]
    names += [str(get_testdata_file(name)) for name in ("test-SR.dcm", "reportsi.dcm")]
    for name in names:
        dataset = pydicom.dcmread(name)
        assert store(server, datastore, [Path(name).read_bytes()]).status_code == 200
        body = open_series(signed_in, datastore, dataset)
        shown: dict[str, str] = body.evaluate("""body => Object.fromEntries([...body.querySelectorAll("[data-path]")]
          .map(item => [item.dataset.path, item.querySelector(":scope > .report-line").textContent]))""")
        items = dict(walk(dataset))
        assert shown.keys() == items.keys(), name
        for path, one in items.items():
            for words in spoken(one):
                assert words in shown[path], (name, path)
        check_accessibility(signed_in)
        if name.endswith("multiple_groups.dcm"):
            rows = body.get_by_role("region", name="Measurements").get_by_role("row").all_inner_texts()
            assert [row.split("\t")[:4] for row in rows[1:]] == MEASURED


def test_what_has_no_picture_says_what_it_is(server: ServerProcess, datastore: str, signed_in: Page) -> None:
    image = slice_of()
    keys = document(
        KeyObjectSelectionDocumentStorage,
        3,
        [item("IMAGE", "", ReferencedSOPSequence=[reference(image)])],
        Modality="KO",
        CurrentRequestedProcedureEvidenceSequence=evidence(image),
        ConceptNameCodeSequence=[code("113000", "DCM", "Of Interest")],
    )
    state = document(GrayscaleSoftcopyPresentationStateStorage, 4, [], Modality="PR", ContentLabel="LUNG")
    del state.ValueType, state.ConceptNameCodeSequence
    series = Dataset()
    series.SeriesInstanceUID, series.ReferencedImageSequence = image.SeriesInstanceUID, [reference(image)]
    state.ReferencedSeriesSequence = [series]
    plan = pydicom.dcmread(str(get_testdata_file("rtplan.dcm")))
    files = [part10(image), part10(keys), part10(state), Path(str(get_testdata_file("rtplan.dcm"))).read_bytes()]
    assert store(server, datastore, files).status_code == 200

    body = open_series(signed_in, datastore, keys)
    expect(body.get_by_role("heading", level=2)).to_have_text("Of Interest")
    line(body, "1.1").get_by_role("button", name="CT image").click()
    expect(signed_in.locator("[data-viewport]").nth(1)).to_contain_text("Image 1 of 1")

    body = open_series(signed_in, datastore, state)
    expect(body.get_by_role("heading", level=2)).to_have_text("Grayscale Softcopy Presentation State")
    expect(body).to_contain_text("This object has no picture of its own.")
    expect(body).to_contain_text("LUNG")
    expect(body.get_by_role("button", name="CT image")).to_be_visible()

    body = open_series(signed_in, datastore, plan)
    expect(body.get_by_role("region", name="Dose references").get_by_role("row").nth(2)).to_contain_text("30.826203")
    signed_in.locator("[data-viewport]").first.focus()
    signed_in.keyboard.press("d")
    panel = signed_in.locator("[data-side-panel]")
    expect(panel).to_contain_text("The document that is shown")
    expect(panel).to_contain_text("Plan1")
    check_accessibility(signed_in)
    signed_in.get_by_role("link", name="Metadata").click()
    expect(
        signed_in.get_by_role("main")
        .get_by_role("link", name="pre First mid Last")
        .or_(signed_in.get_by_role("main").get_by_text(str(plan.PatientID)).first)
        .first
    ).to_be_visible()
