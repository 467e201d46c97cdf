"""The pages of the console, a module for each part of the navigation."""

from __future__ import annotations

from typing import Final

from hounsfield.console.page import Page
from hounsfield.console.pages import (
    access,
    attributes,
    audit,
    datastores,
    image_set,
    image_set_copies,
    image_set_deletions,
    image_set_edits,
    image_set_metadata,
    image_set_removals,
    image_set_revert,
    image_set_search,
    image_set_versions,
    imports,
    ohif,
    policies,
    roles,
    session,
    studies,
    tags,
    upload,
    usage,
    users,
    viewer,
)

PAGES: Final[tuple[Page, ...]] = (
    *access.PAGES,
    *attributes.PAGES,
    *audit.PAGES,
    *datastores.PAGES,
    *image_set_deletions.PAGES,
    *image_set.PAGES,
    *image_set_copies.PAGES,
    *image_set_edits.PAGES,
    *image_set_metadata.PAGES,
    *image_set_removals.PAGES,
    *image_set_revert.PAGES,
    *image_set_search.PAGES,
    *image_set_versions.PAGES,
    *imports.PAGES,
    *ohif.PAGES,
    *policies.PAGES,
    *roles.PAGES,
    *session.PAGES,
    *studies.PAGES,
    *tags.PAGES,
    *upload.PAGES,
    *usage.PAGES,
    *users.PAGES,
    *viewer.PAGES,
)
"""All pages; of two whose paths fit, the first is meant."""
