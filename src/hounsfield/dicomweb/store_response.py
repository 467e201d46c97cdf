"""What a request that stores is answered (PS3.18 section 10.5.3, Tables 10.5.3-1 and I.2-1).

all stored ─▶ 200    some stored ─▶ 202    none stored ─▶ 409
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import orjson

from hounsfield.aws.response import WireResponse
from hounsfield.dicom.warnings import gravest
from hounsfield.dicomweb.calls import Call
from hounsfield.dicomweb.negotiation import DICOM_JSON
from hounsfield.imaging.receiving import ReceivedResult, StoreFailure
from hounsfield.imaging.staging import StagedInstance

_RETRIEVE_URL = "00081190"
_FAILED_SOP_SEQUENCE = "00081198"
_REFERENCED_SOP_SEQUENCE = "00081199"
_OTHER_FAILURES_SEQUENCE = "0008119A"
_REFERENCED_SOP_CLASS_UID = "00081150"
_REFERENCED_SOP_INSTANCE_UID = "00081155"
_WARNING_REASON = "00081196"
_FAILURE_REASON = "00081197"
_SOP_INSTANCE_UID = "00080018"
_ERROR_COMMENT = "00000902"
_LONGEST_COMMENT = 1024

Attribute = dict[str, Any]


def store_response(call: Call, results: Sequence[ReceivedResult], primary: Mapping[int, bool]) -> WireResponse:
    """Make the answer.

    Parameters
    ----------
    call : Call
        The request.
    results : Sequence[ReceivedResult]
        What became of each part, in their order.
    primary : Mapping of int to bool
        For each part that was stored, whether its image set is primary, and so addressed by the URLs of DICOMweb.
    """
    stored = [result for result in results if result.instance is not None]
    failed = [result for result in results if result.failure is not None]
    content: dict[str, Attribute] = {}
    studies = {result.instance.grouping.study_uid for result in stored if result.instance is not None}
    if len(studies) == 1:
        content[_RETRIEVE_URL] = {"vr": "UR", "Value": [f"{call.base}/studies/{_segment(studies.pop())}"]}
    named = [result.failure for result in failed if result.failure is not None and result.failure.sop_uid]
    others = [result.failure for result in failed if result.failure is not None and not result.failure.sop_uid]
    if named:
        content[_FAILED_SOP_SEQUENCE] = {"vr": "SQ", "Value": [_failed(failure) for failure in named]}
    if stored:
        content[_REFERENCED_SOP_SEQUENCE] = {
            "vr": "SQ",
            "Value": [
                _stored(call, result.instance, addressed=primary.get(result.ordinal, False))
                for result in stored
                if result.instance is not None
            ],
        }
    if others:
        content[_OTHER_FAILURES_SEQUENCE] = {"vr": "SQ", "Value": [_reason(failure) for failure in others]}
    status = 409 if not stored else 202 if failed else 200
    return WireResponse(status, [("Content-Type", DICOM_JSON)], orjson.dumps(content))


def _stored(call: Call, instance: StagedInstance, *, addressed: bool) -> dict[str, Attribute]:
    grouping = instance.grouping
    item = _reference(instance.sop_class_uid, instance.sop_uid)
    if addressed:
        path = (
            f"studies/{_segment(grouping.study_uid)}/series/{_segment(grouping.series_uid)}"
            f"/instances/{_segment(instance.sop_uid)}"
        )
        item[_RETRIEVE_URL] = {"vr": "UR", "Value": [f"{call.base}/{path}"]}
    code = gravest(instance.warnings)
    if code is not None:
        item[_WARNING_REASON] = {"vr": "US", "Value": [int(code)]}
    return item


def _failed(failure: StoreFailure) -> dict[str, Attribute]:
    item = _reference(failure.sop_class_uid, failure.sop_uid)
    item[_SOP_INSTANCE_UID] = item[_REFERENCED_SOP_INSTANCE_UID]
    return {**_reason(failure), **item}


def _reason(failure: StoreFailure) -> dict[str, Attribute]:
    return {
        _ERROR_COMMENT: {"vr": "LO", "Value": [failure.message[:_LONGEST_COMMENT]]},
        _FAILURE_REASON: {"vr": "US", "Value": [int(failure.reason)]},
    }


def _reference(sop_class_uid: str, sop_uid: str) -> dict[str, Attribute]:
    item: dict[str, Attribute] = {_REFERENCED_SOP_CLASS_UID: {"vr": "UI"}}
    if sop_class_uid:
        item[_REFERENCED_SOP_CLASS_UID]["Value"] = [sop_class_uid]
    item[_REFERENCED_SOP_INSTANCE_UID] = {"vr": "UI", "Value": [sop_uid]}
    return item


def _segment(uid: str) -> str:
    return quote(uid, safe="")
