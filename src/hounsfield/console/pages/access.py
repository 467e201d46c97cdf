"""Access: who may do what in a data store, and why (API operations ListDatastoreAccess, SimulatePrincipalPolicy)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlette.responses import Response

from hounsfield.console.calls import ApiError
from hounsfield.console.datastore import Datastore, open_datastore
from hounsfield.console.identities.identity import path_of
from hounsfield.console.identities.managed_policies import policy_path
from hounsfield.console.page import Page
from hounsfield.console.studies.study_search import is_image_set_id
from hounsfield.console.visit import Visit
from hounsfield.iam.identities.records import IdentityKind

A_PAGE: Final = 50
GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "See": ("GetDatastore",),
    "Search": (
        "SearchImageSets",
        "SearchDICOMStudies",
        "SearchDICOMSeries",
        "SearchDICOMInstances",
        "SearchDICOMStudyInstances",
        "SearchDICOMAllSeries",
        "SearchDICOMAllInstances",
    ),
    "Read metadata": (
        "GetImageSet",
        "GetImageSetMetadata",
        "ListImageSetVersions",
        "GetDICOMInstanceMetadata",
        "GetDICOMSeriesMetadata",
    ),
    "Read images": ("GetImageFrame", "GetDICOMInstance", "GetDICOMInstanceFrames", "GetDICOMBulkdata"),
    "Store": ("StoreDICOM", "StoreDICOMStudy"),
    "Import": ("StartDICOMImportJob", "GetDICOMImportJob", "ListDICOMImportJobs"),
    "Change": ("UpdateImageSetMetadata", "CopyImageSet"),
    "Delete images": ("DeleteImageSet",),
    "Tag": ("TagResource", "UntagResource", "ListTagsForResource"),
    "Delete data store": ("DeleteDatastore",),
}
"""Actions on a data store, by what a person would call them; each is a column."""
WORDS: Final = {"allowed": "yes", "partly": "partly", "conditional": "depends", "denied": "no"}
_ON_IMAGE_SETS: Final = frozenset(
    {
        "GetImageSet",
        "GetImageSetMetadata",
        "ListImageSetVersions",
        "GetImageFrame",
        "UpdateImageSetMetadata",
        "CopyImageSet",
        "DeleteImageSet",
    }
)
"""Actions that are asked for on the data store and on the image set."""
_CHOSEN: Final = "GetImageFrame"


async def show_access(visit: Visit) -> Response:
    """Show who may do what, and the answer to a question where one is asked."""
    datastore = await open_datastore(visit)
    everybody, wanted = bool(visit.query.get("everybody")), visit.query.get("name", "")
    found = await visit.calls.administration(
        "ListDatastoreAccess",
        DatastoreId=datastore.id,
        MaxItems=A_PAGE,
        NameContains=wanted or None,
        Marker=visit.query.get("page") or None,
    )
    rows = [_row(one) for one in found["Principals"]]
    result, error = await _simulated(visit, datastore)
    return visit.render(
        "datastores/access.html",
        datastore=datastore,
        tab="access",
        groups=list(GROUPS),
        rows=[row for row in rows if everybody or row["may_something"]],
        hidden=0 if everybody else sum(not row["may_something"] for row in rows),
        is_restricted=found["Restricted"],
        everybody=everybody,
        wanted=wanted,
        next_page=found.get("Marker"),
        words=WORDS,
        principals=[(row["arn"], f"{row['name']} ({row['kind']})") for row in rows],
        actions=list(GROUPS.items()),
        asked=_asked(visit),
        result=result,
        error=error,
    )


def _row(found: Mapping[str, Any]) -> dict[str, Any]:
    decisions = found["Decisions"]
    kind = IdentityKind(found["Type"].lower())
    cells = [
        (group, _together([decisions[name] for name in names]), _telling(names, decisions))
        for group, names in GROUPS.items()
    ]
    return {
        "arn": found["Arn"],
        "name": found["Name"],
        "kind": kind.value,
        "path": path_of(kind, found["Name"]),
        "cells": cells,
        "may_something": any(decision != "denied" for decision in decisions.values()),
    }


def _together(decisions: Sequence[str]) -> str:
    """Return one word for several decisions."""
    different = set(decisions)
    if len(different) == 1:
        return decisions[0]
    return "conditional" if "denied" not in different else "partly"


def _telling(names: Sequence[str], decisions: Mapping[str, str]) -> str:
    """Return the action of a group that tells why its word is not yes; the first where it is."""
    return next((name for word in ("denied", "conditional") for name in names if decisions[name] == word), names[0])


def _asked(visit: Visit) -> dict[str, str]:
    query = visit.query
    return {
        "principal": query.get("principal", ""),
        "action": query.get("action", _CHOSEN),
        "image_set": query.get("image_set", "").strip(),
        "address": query.get("address", "").strip(),
    }


async def _simulated(visit: Visit, datastore: Datastore) -> tuple[Mapping[str, Any] | None, ApiError | None]:
    """Return whether the one who is asked about may do what is asked, and why; or what is wrong with the question."""
    asked = _asked(visit)
    if not asked["principal"]:
        return None, None
    try:
        resources = _resources(visit, datastore, asked)
        answer = await visit.calls.administration(
            "SimulatePrincipalPolicy",
            PolicySourceArn=asked["principal"],
            ActionNames=[f"medical-imaging:{asked['action']}"],
            ResourceArns=resources,
            ContextEntries=[{"ContextKeyName": "aws:SourceIp", "ContextKeyValues": [asked["address"]]}]
            if asked["address"]
            else None,
        )
    except ApiError as error:
        return None, error
    results = [_result(one) for one in answer["EvaluationResults"]]
    return {
        "action": asked["action"],
        "name": asked["principal"].rpartition("/")[2],
        "is_allowed": all(one["is_allowed"] for one in results),
        "results": results,
    }, None


def _resources(visit: Visit, datastore: Datastore, asked: Mapping[str, str]) -> list[str]:
    image_set = asked["image_set"]
    if image_set and not is_image_set_id(image_set):
        raise ApiError(400, "ValidationException", "The id of an image set is 32 digits and lower-case letters.", "")
    if asked["action"] not in _ON_IMAGE_SETS:
        return [datastore.arn]
    return [datastore.arn, visit.place.image_set_arn(datastore.id, image_set or "*")]


def _result(found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "resource": found["EvalResourceName"],
        "is_allowed": found["EvalDecision"] == "allowed",
        "is_denied": found["EvalDecision"] == "explicitDeny",
        "reason": found["EvalDecisionReason"],
        "statements": [
            {
                "policy": one["SourcePolicyId"].rpartition("/")[2],
                "path": policy_path(one["SourcePolicyId"]) if one["SourcePolicyId"].startswith("arn:") else "",
                "source": one["SourcePolicyType"],
                "number": one["StatementNumber"],
                "sid": one.get("Sid", ""),
            }
            for one in found["MatchedStatements"]
        ],
        "missing": found["MissingContextValues"],
    }


PAGES: Final = (Page("/console/datastores/{datastore}/access", show_access),)
