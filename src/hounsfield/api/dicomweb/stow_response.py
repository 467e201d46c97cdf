"""The response of STOW-RS (PS3.18 section 10.5.3, Tables 10.5.3-1 and I.2-1).

all stored ─▶ 200    some stored ─▶ 202    none stored ─▶ 409

The answer is DICOM JSON, or a document of the native DICOM model where the client accepts that and no JSON; in parts only where
it accepts nothing but parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from hounsfield.api.dicomweb.content_negotiation import DICOM_JSON, DICOM_XML, JSON, MULTIPART, acceptable
from hounsfield.api.dicomweb.multipart import encode_parts, new_boundary
from hounsfield.api.dicomweb.request import Call
from hounsfield.api.dicomweb.resources import instance_path, study_path
from hounsfield.aws.protocol.response import WireResponse
from hounsfield.dicom.json.xml import write_native_model
from hounsfield.dicom.values.warnings import find_gravest
from hounsfield.imaging.errors import NotAcceptableError
from hounsfield.imaging.ingest.files import Failure, FileResult
from hounsfield.imaging.staged_instance import StagedInstance

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


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """Media type of the answer, and whether it comes in parts (as one)."""

    kind: str
    in_parts: bool = False


def answer_form(call: Call) -> AnswerForm:
    """Choose the form of the answer (PS3.18 section 8.7.4); to be asked before anything is stored.

    Raises
    ------
    NotAcceptableError
        The client accepts none.
    """
    ranges = call.accepts
    for kind in (DICOM_JSON, JSON, DICOM_XML):
        if acceptable(ranges, kind, parts=False):
            return AnswerForm(kind)
    if acceptable(ranges, DICOM_XML, parts=True):
        return AnswerForm(DICOM_XML, in_parts=True)
    raise NotAcceptableError(
        f"A request that stores is answered with {DICOM_JSON} or {DICOM_XML}, which the Accept header does not allow. "
        "Nothing was stored."
    )


def store_response(
    call: Call, form: AnswerForm, results: Sequence[FileResult], primary: Mapping[int, bool]
) -> WireResponse:
    """Make the answer.

    Parameters
    ----------
    call : Call
        The request.
    form : AnswerForm
        The form it must have.
    results : Sequence[FileResult]
        What became of each part, in their order.
    primary : Mapping of int to bool
        For each part that was stored, whether its image set is primary, and so addressed by the URLs of DICOMweb.
    """
    stored = [result for result in results if result.instance is not None]
    failed = [result for result in results if result.failure is not None]
    content: dict[str, Attribute] = {}
    studies = {result.instance.grouping.study_uid for result in stored if result.instance is not None}
    if len(studies) == 1:
        content[_RETRIEVE_URL] = {"vr": "UR", "Value": [f"{call.base}/{study_path(studies.pop())}"]}
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
    return _written(status, form, orjson.dumps(content, option=orjson.OPT_SORT_KEYS))


def _written(status: int, form: AnswerForm, json_text: bytes) -> WireResponse:
    body = write_native_model(json_text) if form.kind == DICOM_XML else json_text
    if not form.in_parts:
        return WireResponse(status, [("Content-Type", form.kind)], body)
    boundary = new_boundary()
    kind = f'{MULTIPART}; type="{form.kind}"; boundary={boundary}'
    parts = encode_parts(boundary, [([("Content-Type", form.kind)], [body])])
    return WireResponse(status, [("Content-Type", kind)], b"".join(parts))


def _stored(call: Call, instance: StagedInstance, *, addressed: bool) -> dict[str, Attribute]:
    grouping = instance.grouping
    item = _reference(instance.sop_class_uid, instance.sop_uid)
    if addressed:
        path = instance_path(grouping.study_uid, grouping.series_uid, instance.sop_uid)
        item[_RETRIEVE_URL] = {"vr": "UR", "Value": [f"{call.base}/{path}"]}
    code = find_gravest(instance.warnings)
    if code is not None:
        item[_WARNING_REASON] = {"vr": "US", "Value": [int(code)]}
        words = " ".join(warning.message for warning in instance.warnings)
        item[_ERROR_COMMENT] = {"vr": "LO", "Value": [words[:_LONGEST_COMMENT]]}
    return item


def _failed(failure: Failure) -> dict[str, Attribute]:
    item = _reference(failure.sop_class_uid, failure.sop_uid)
    item[_SOP_INSTANCE_UID] = item[_REFERENCED_SOP_INSTANCE_UID]
    return {**_reason(failure), **item}


def _reason(failure: Failure) -> dict[str, Attribute]:
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
