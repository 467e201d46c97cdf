"""The viewer in a browser: opened on a study, waited for, its canvas read back."""

from __future__ import annotations

import base64
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page

ACTIVE: Final = 'document.querySelector("[data-viewer]").viewer.active'
"""JavaScript of the viewport that is used."""
_SHOWN: Final = f"() => {{ const one = {ACTIVE}; return Boolean(one.failure || one.image?.isWhole) }}"
_PIXELS: Final = """() => {
  const viewport = document.querySelector("[data-viewer]").viewer.active
  const { columns, rows } = viewport.frame
  const { data } = viewport.context.getImageData(viewport.matrix.e, viewport.matrix.f, columns, rows)
  let text = ""
  for (let at = 0; at < data.length; at += 4) text += String.fromCharCode(data[at], data[at + 1], data[at + 2])
  return { columns, rows, pixels: btoa(text) }
}"""
_PLACE: Final = f"""([column, row]) => {{
  const one = {ACTIVE}, {{ left, top }} = one.canvas.getBoundingClientRect()
  const at = one.matrix.transformPoint(new DOMPoint(column, row))
  return [left + at.x / one.ratio, top + at.y / one.ratio]
}}"""


def open_study(page: Page, datastore: str, study: str) -> None:
    """Open the viewer of a study."""
    page.goto(f"/console/datastores/{datastore}/view?study={study}")


def open_series(page: Page, series: str) -> str:
    """Open a series of the study, and wait for its first image; gives why it is not shown, else nothing."""
    page.locator(f"[data-series='{series}']").click()
    page.wait_for_function(f"() => {ACTIVE}.frame?.path.includes('/{series}/')")
    return wait_shown(page)


def wait_shown(page: Page) -> str:
    """Wait until the whole image is there; gives why it is not, else nothing."""
    page.wait_for_function(_SHOWN)
    return str(page.evaluate(f"() => {ACTIVE}.failure?.message ?? ''"))


def canvas_pixels(page: Page) -> NDArray[Any]:
    """Read the canvas back, at one of its pixels for each of the image: shape ``(rows, columns, 3)``."""
    page.keyboard.press("o")
    found = page.evaluate(_PIXELS)
    flat = np.frombuffer(base64.b64decode(found["pixels"]), np.uint8)
    return flat.reshape(found["rows"], found["columns"], 3).astype(int)


def click_points(page: Page, key: str, *points: tuple[float, float]) -> None:
    """Choose a tool by its key, and set points of the image, in columns and rows, by clicks."""
    page.keyboard.press(key)
    for point in points:
        page.mouse.click(*page.evaluate(_PLACE, list(point)))


def measured_texts(page: Page) -> list[str]:
    """Return the lines that are written beside measurements."""
    return page.locator("[data-active] svg text").all_text_contents()
