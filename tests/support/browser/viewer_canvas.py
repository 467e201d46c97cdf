"""The viewer's canvas, read back with all that lies over the image."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page
from pydicom.dataset import Dataset

from support.clients.dicomweb import part10, store
from support.files.synthetic import uid
from support.servers import ServerProcess

ACTIVE: Final = 'document.querySelector("[data-viewer]").viewer.active'
"""The viewport that is worked with, in a script of the page."""
_COMPLETE: Final = f"""index => {{
  const {{ stack, frame, image, layers }} = {ACTIVE}
  return frame === stack?.frames[index] && image?.isWhole && layers.every(({{ isComplete = true }}) => isComplete)
}}"""
_PIXELS: Final = f"""() => {{
  const viewport = {ACTIVE}
  viewport.set({{ zoom: "1:1", panX: 0, panY: 0 }})
  const {{ canvas, context, matrix }} = viewport
  const {{ columns, rows }} = viewport.frame
  const {{ data }} = context.getImageData(0, 0, canvas.width, canvas.height)
  let found = ""
  for (let row = 0; row < rows; row += 1) for (let column = 0; column < columns; column += 1) {{
    const place = matrix.transformPoint(new DOMPoint(column + 0.5, row + 0.5))
    const at = (Math.floor(place.y) * canvas.width + Math.floor(place.x)) * 4
    found += String.fromCharCode(data[at], data[at + 1], data[at + 2])
  }}
  return {{ columns, rows, pixels: btoa(found) }}
}}"""


def open_viewer(page: Page, server: ServerProcess, datastore: str, files: Sequence[Dataset]) -> None:
    """Store files of the first study, and open their first series."""
    answer = store(server, datastore, [part10(one) for one in files])
    assert answer.status_code == 200, answer.text
    page.goto(f"/console/datastores/{datastore}/view?study={uid(1)}&series={uid(1, 1)}")
    page.wait_for_function(f"() => {ACTIVE}.image?.isWhole")


def open_overlay(page: Page, series: int) -> None:
    """Choose a series of the strip, and wait until it lies over the images that it was made for."""
    page.locator(f"[data-series='{uid(1, series)}']").click()
    page.wait_for_function(f"uid => {ACTIVE}.layers.some((one) => one.series === uid)", arg=uid(1, series))


def show_image(page: Page, index: int) -> NDArray[Any]:
    """Go to an image of the stack, wait for it and what lies over it, and read one colour for each of its pixels."""
    page.evaluate(f"index => {ACTIVE}.stack.go(index)", index)
    page.wait_for_function(_COMPLETE, arg=index)
    return read_canvas(page)


def read_canvas(page: Page) -> NDArray[Any]:
    """Read the canvas where the middle of each pixel of the image lies, one to one: rows, columns, colours."""
    found = page.evaluate(_PIXELS)
    flat = np.frombuffer(base64.b64decode(found["pixels"]), np.uint8)
    return flat.reshape(found["rows"], found["columns"], 3).astype(int)
