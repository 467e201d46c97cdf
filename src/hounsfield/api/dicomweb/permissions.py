"""The permission each DICOMweb operation needs: the IAM action of its name on the data store.

Source: Service Authorization Reference, AWS HealthImaging.

/datastore/<id>/studies/1.2/series/1.3/… ─▶ action · data store · medical-imaging:StudyInstanceUID 1.2 · SeriesInstanceUID 1.3

An operation that is about a whole study, which HealthImaging does not have, is about series that its path does not name: what
denies one of them denies it, what allows some of them does not allow it.

Image sets are decided when they are found, see `hounsfield.imaging.image_set_access`: what denies one leaves it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from hounsfield.gateway.route_table import Route
from hounsfield.iam.authorization import ContextValue, Permission
from hounsfield.iam.policies.condition_context import UnsettledValue
from hounsfield.imaging.image_store import ImageStore

PREFIX: Final = "medical-imaging:"
STUDY: Final = "medical-imaging:studyinstanceuid"
SERIES: Final = "medical-imaging:seriesinstanceuid"
ON_IMAGE_SETS: Final = frozenset({f"{PREFIX}DeleteImageSet"})
"""Actions that are those of HealthImaging on image sets, and must be allowed on each of them, not on the data store alone."""
WHOLE_STUDY: Final = frozenset(
    {
        "DeleteStudy",
        "RetrieveRenderedStudy",
        "RetrieveStudy",
        "RetrieveStudyBulkdata",
        "RetrieveStudyMetadata",
        "RetrieveStudyPixelData",
        "RetrieveStudyThumbnail",
    }
)
"""Operations about all series of a study."""
CLASSIC: Final = {
    "SearchDICOMStudyInstances": "SearchDICOMInstances",
    "SearchDICOMAllSeries": "SearchDICOMSeries",
    "SearchDICOMAllInstances": "SearchDICOMInstances",
}
"""For each search across studies or series the one within: the action that there was before June 2026."""


def permission_of(
    route: Route, labels: Mapping[str, str], image_store: ImageStore, *, by_classic: bool = False
) -> Permission:
    """Name what a request needs.

    Parameters
    ----------
    route : Route
        The route of the operation.
    labels : Mapping of str to str
        The labels of its path.
    image_store : ImageStore
        The image store, for the account and region of ARNs.
    by_classic : bool
        Whether the action of the search within a study or series also grants the one across them.
    """
    context: dict[str, ContextValue] = {}
    if "study" in labels:
        context[STUDY] = labels["study"]
    if "series" in labels:
        context[SERIES] = labels["series"]
    elif route.operation in WHOLE_STUDY:
        context[SERIES] = UnsettledValue.CAUTIOUS
    action = PREFIX + route.action
    permission = Permission(action, [image_store.datastore_arn(labels["datastoreId"])], context)
    classic = CLASSIC.get(route.operation) if by_classic else None
    if classic is None:
        return permission
    wider: dict[str, ContextValue] = {STUDY: UnsettledValue.CAUTIOUS, SERIES: UnsettledValue.CAUTIOUS, **context}
    return replace(permission, instead=replace(permission, action=PREFIX + classic, context=wider))
