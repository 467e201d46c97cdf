"""The permission of every DICOMweb route: its action, the data store, and the UIDs of the path as condition keys."""

from __future__ import annotations

import pytest

from hounsfield.api.dicomweb.permissions import SERIES, STUDY, permission_of
from hounsfield.api.dicomweb.resources import ROUTES
from hounsfield.iam.authorization import Permission
from hounsfield.iam.policies.condition_context import UnsettledValue
from hounsfield.imaging.image_store import ImageStore
from support.requests.route_tables import route_table

STORE = "a" * 32
ARN = f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{STORE}"

TABLE = {
    # operation: action, condition keys that are there (for AWS's own those of the Service Authorization Reference)
    "RetrieveCapabilities": ("GetDatastore", ""),
    "StoreDICOM": ("StoreDICOM", ""),
    "StoreDICOMStudy": ("StoreDICOMStudy", "study"),
    "SearchDICOMStudies": ("SearchDICOMStudies", ""),
    "SearchDICOMAllSeries": ("SearchDICOMAllSeries", ""),
    "SearchDICOMAllInstances": ("SearchDICOMAllInstances", ""),
    "SearchDICOMSeries": ("SearchDICOMSeries", "study"),
    "SearchDICOMStudyInstances": ("SearchDICOMStudyInstances", "study"),
    "SearchDICOMInstances": ("SearchDICOMInstances", "study series"),
    "RetrieveStudy": ("GetDICOMInstance", "study all-series"),
    "RetrieveStudyMetadata": ("GetDICOMSeriesMetadata", "study all-series"),
    "RetrieveSeries": ("GetDICOMInstance", "study series"),
    "GetDICOMSeriesMetadata": ("GetDICOMSeriesMetadata", "study series"),
    "GetDICOMInstance": ("GetDICOMInstance", "study series"),
    "GetDICOMInstanceMetadata": ("GetDICOMInstanceMetadata", "study series"),
    "GetDICOMInstanceFrames": ("GetDICOMInstanceFrames", "study series"),
    "GetDICOMBulkdata": ("GetDICOMBulkdata", "study series"),
    "RetrieveStudyBulkdata": ("GetDICOMInstance", "study all-series"),
    "RetrieveSeriesBulkdata": ("GetDICOMInstance", "study series"),
    "RetrieveInstanceBulkdata": ("GetDICOMInstance", "study series"),
    "RetrieveStudyPixelData": ("GetDICOMInstanceFrames", "study all-series"),
    "RetrieveSeriesPixelData": ("GetDICOMInstanceFrames", "study series"),
    "RetrieveInstancePixelData": ("GetDICOMInstanceFrames", "study series"),
    "RetrieveRenderedStudy": ("GetDICOMInstanceFrames", "study all-series"),
    "RetrieveRenderedSeries": ("GetDICOMInstanceFrames", "study series"),
    "RetrieveRenderedInstance": ("GetDICOMInstanceFrames", "study series"),
    "RetrieveRenderedFrames": ("GetDICOMInstanceFrames", "study series"),
    "RetrieveStudyThumbnail": ("GetDICOMInstanceFrames", "study all-series"),
    "RetrieveSeriesThumbnail": ("GetDICOMInstanceFrames", "study series"),
    "RetrieveInstanceThumbnail": ("GetDICOMInstanceFrames", "study series"),
    "RetrieveFrameThumbnail": ("GetDICOMInstanceFrames", "study series"),
    "DeleteStudy": ("DeleteImageSet", "study all-series"),
    "DeleteSeries": ("DeleteImageSet", "study series"),
    "DeleteInstance": ("DeleteImageSet", "study series"),
}
VALUES = {"study": (STUDY, "1.2"), "series": (SERIES, "1.3"), "all-series": (SERIES, UnsettledValue.CAUTIOUS)}


def needed(image_store: ImageStore, method: str, path: str, *, by_classic: bool = False) -> Permission:
    filled = path.format(study="1.2", series="1.3", instance="1.4", frames="1", digest="c" * 32)
    match = route_table().find(method, f"/datastore/{STORE}/{filled}".rstrip("/").encode())
    assert match.route is not None
    return permission_of(match.route, match.labels, image_store, by_classic=by_classic)


def test_every_route_has_its_permission(image_store: ImageStore) -> None:
    assert TABLE.keys() == {name for _, _, name in ROUTES}
    for method, path, name in ROUTES:
        action, keys = TABLE[name]
        expected = Permission(f"medical-imaging:{action}", [ARN], dict(VALUES[key] for key in keys.split()))
        assert needed(image_store, method, path) == expected, name


@pytest.mark.parametrize(
    ("path", "classic"),
    [
        ("series", "SearchDICOMSeries"),
        ("instances", "SearchDICOMInstances"),
        ("studies/{study}/instances", "SearchDICOMInstances"),
    ],
)
def test_the_classic_action_grants_a_search_across_only_where_that_is_set(
    image_store: ImageStore, path: str, classic: str
) -> None:
    assert needed(image_store, "GET", path).instead is None
    instead = needed(image_store, "GET", path, by_classic=True).instead
    assert instead is not None
    assert instead.action == f"medical-imaging:{classic}"
    # What the path does not name may be what a policy denies.
    assert instead.context[SERIES] is UnsettledValue.CAUTIOUS
    assert instead.context[STUDY] == ("1.2" if "study" in path else UnsettledValue.CAUTIOUS)
    assert needed(image_store, "GET", "studies/{study}/series", by_classic=True).instead is None
