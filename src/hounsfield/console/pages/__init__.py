"""The pages of the console, a module for each part of the navigation."""

from __future__ import annotations

from typing import Final

from hounsfield.console.page import Page
from hounsfield.console.pages import audit, datastores, image_set, imports, session, upload, usage

PAGES: Final[tuple[Page, ...]] = (
    *datastores.PAGES,
    *image_set.PAGES,
    *imports.PAGES,
    *upload.PAGES,
    *usage.PAGES,
    *audit.PAGES,
    *session.PAGES,
)
"""All pages; of two whose paths fit, the first is meant."""
