"""The navigation: the parts of the console, each offered to who may look at it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hounsfield.console.visit import Visit


@dataclass(frozen=True, slots=True)
class Entry:
    """A part of the console, or a tab of a data store.

    Attributes
    ----------
    title : str
        What it is called.
    path : str
        Its address; that of a tab follows that of its data store.
    is_offered : callable
        Takes the visit, and the ARN of the data store for a tab; tells whether it is offered.
    """

    title: str
    path: str
    is_offered: Callable[[Visit, str], bool]


def _may(*actions: str) -> Callable[[Visit, str], bool]:
    return lambda visit, arn: all(visit.may(action, arn or "*") for action in actions)


ENTRIES: Final[tuple[Entry, ...]] = (
    Entry("Data stores", "/console/datastores", lambda _visit, _arn: True),
    Entry("Usage", "/console/usage", _may("hounsfield:GetUsage")),
    Entry("Users", "/console/users", _may("iam:ListUsers")),
    Entry("Roles", "/console/roles", _may("iam:ListRoles")),
    Entry("Policies", "/console/policies", _may("iam:ListPolicies")),
    Entry("Audit", "/console/audit", _may("cloudtrail:LookupEvents")),
)
"""Parts of the console, in the order of the navigation."""

TABS: Final[tuple[Entry, ...]] = (
    Entry("Studies", "studies", _may("medical-imaging:SearchDICOMStudies")),
    Entry("Image sets", "imagesets", _may("medical-imaging:SearchImageSets")),
    Entry("Imports", "imports", _may("medical-imaging:ListDICOMImportJobs")),
    Entry("Upload", "upload", _may("medical-imaging:StoreDICOM")),
    Entry("Details", "details", _may("medical-imaging:GetDatastore")),
    Entry("Tags", "tags", _may("medical-imaging:ListTagsForResource")),
    Entry("Access", "access", _may("hounsfield:ListDatastoreAccess")),
    Entry("Usage", "usage", _may("hounsfield:GetUsage")),
)
"""Tabs of a data store, in their order; the first that is offered is shown first."""

IMAGE_SET_TABS: Final[tuple[Entry, ...]] = (
    Entry("Overview", "", lambda _visit, _arn: True),
    Entry("Metadata", "metadata", lambda visit, arn: may_on_image_set(visit, "GetImageSetMetadata", arn)),
    Entry("Versions", "versions", lambda visit, arn: may_on_image_set(visit, "ListImageSetVersions", arn)),
    Entry("Tags", "tags", _may("medical-imaging:ListTagsForResource")),
)
"""Tabs of an image set, in their order."""


def may_on_image_set(visit: Visit, operation: str, arn: str) -> bool:
    """Return whether a visit is allowed an operation of HealthImaging on an image set, by its ARN, and on its data store."""
    return visit.may(f"medical-imaging:{operation}", arn.partition("/imageset/")[0], arn)


def image_set_tabs_of(visit: Visit, arn: str) -> Sequence[Entry]:
    """Return the tabs of an image set that a visit is offered, by its ARN."""
    return [entry for entry in IMAGE_SET_TABS if entry.is_offered(visit, arn)]


def entries_of(visit: Visit) -> Sequence[Entry]:
    """Return the parts of the console that a visit is offered."""
    return [entry for entry in ENTRIES if entry.is_offered(visit, "")]


def tabs_of(visit: Visit, datastore_arn: str) -> Sequence[Entry]:
    """Return the tabs of a data store that a visit is offered."""
    return [entry for entry in TABS if entry.is_offered(visit, datastore_arn)]
