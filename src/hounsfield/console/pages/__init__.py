"""The pages of the console, a module for each part of the navigation."""

from __future__ import annotations

from typing import Final

from hounsfield.console.page import Page
from hounsfield.console.pages import (
    access,
    audit,
    datastores,
    image_set,
    imports,
    policies,
    roles,
    session,
    upload,
    usage,
    users,
)

PAGES: Final[tuple[Page, ...]] = (
    *datastores.PAGES,
    *access.PAGES,
    *image_set.PAGES,
    *imports.PAGES,
    *upload.PAGES,
    *usage.PAGES,
    *users.PAGES,
    *roles.PAGES,
    *policies.PAGES,
    *audit.PAGES,
    *session.PAGES,
)
"""All pages; of two whose paths fit, the first is meant."""
