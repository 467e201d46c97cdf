"""Edits of the attributes of an image set (API operation UpdateImageSetMetadata).

type ─▶ review ─┬─▶ sent: the image set is LOCKED, its page shows how it ends
  ▲             └─▶ the version has moved: both are shown, and mine can be applied to the new one
  └──── change ─┘
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from string import hexdigits
from typing import Final

from starlette.responses import Response

from hounsfield.console.calls import ApiError, label
from hounsfield.console.imagesets.image_set import ImageSet, open_image_set, render_image_set
from hounsfield.console.imagesets.image_set_content import Difference, ImageSetContent, differences, read_content
from hounsfield.console.imagesets.other_image_sets import MOST_FOUND, find_others
from hounsfield.console.imagesets.typed_edits import CheckedEdit, TypedEdit, check_edit, duplicates, new_uid, updates_of
from hounsfield.console.navigation import may_on_image_set
from hounsfield.console.page import Page
from hounsfield.console.pages.image_set import IMAGE_SET
from hounsfield.console.visit import Visit
from hounsfield.dicom.healthimaging.edit_values import VRS, EditValueError, element_key
from hounsfield.dicom.healthimaging.editable_elements import UIDS, editable_element
from hounsfield.dicom.healthimaging.levels import Level, level_of
from hounsfield.dicom.values.dictionary import key_of, tag_of, tag_of_name

_USUAL: Final = {
    "PatientName": "Patient name",
    "PatientID": "Patient ID",
    "PatientBirthDate": "Birth date",
    "PatientSex": "Sex",
    "AccessionNumber": "Accession number",
    "StudyDescription": "Study description",
    "StudyDate": "Study date",
    "SeriesDescription": "Series description",
}
_MOST_DIFFERENCES: Final = 50
_TAG_DIGITS: Final = 8
_LOCKED: Final = ApiError(
    409,
    "ConflictException",
    "Another operation on this image set is under way. What you typed is still here: send it again when that has ended.",
    "",
)


@dataclass(frozen=True, slots=True)
class StudyChange:
    """What a change of values of the patient or the study means for the rest of the study, which keeps them too.

    Attributes
    ----------
    is_known : bool
        Whether the other image sets could be looked up.
    count : int
        How many primary image sets the study has, with this one.
    is_possible : bool
        Whether all of them can be changed in one update: no other level is changed.
    is_allowed : bool
        Whether who asks may change all of them.
    """

    is_known: bool
    count: int
    is_possible: bool
    is_allowed: bool

    @property
    def is_offered(self) -> bool:
        """Whether the whole study is to be changed unless somebody says otherwise."""
        return self.is_possible and self.is_allowed and (self.count > 1 or not self.is_known)

    @property
    def image_sets(self) -> str:
        """The image sets of the study in words."""
        if not self.is_known:
            return "all primary image sets of this study"
        return f"{self.count}{' or more' if self.count > MOST_FOUND else ''} image sets of this study"


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """What others changed since the form was opened.

    Attributes
    ----------
    version : str
        The version that the form was about.
    edits : sequence of CheckedEdit
        The edits beside what there was then.
    differences : sequence of Difference
        What changed since, the first of it.
    """

    version: str
    edits: Sequence[CheckedEdit]
    differences: Sequence[Difference]


async def ask_edits(visit: Visit) -> Response:
    """Show the form, with the attribute that the query names."""
    image_set = await open_image_set(visit)
    key = visit.query.get("key", "").strip()
    if key and (problem := _key_problem(_key(key))):
        return await _form(visit, image_set, (), key_problem=problem)
    value = new_uid() if visit.query.get("new-uid") == "yes" and _key(key) in UIDS else None
    typed = TypedEdit(_key(key), visit.query.get("remove") == "yes", value, visit.query.get("instance", ""))
    return await _form(visit, image_set, [typed] if key else (), opened=0)


async def take_edits(visit: Visit) -> Response:
    """Add an attribute to the form, review what was typed, or send it."""
    image_set = await open_image_set(visit)
    form = visit.form
    edits = _read(visit)
    wanted = form.text("do") or "next"
    key = wanted if wanted in _USUAL else form.text("key")
    if wanted == "add" or wanted in _USUAL or (wanted == "next" and key):
        problem = _key_problem(_key(key))
        if problem:
            return await _form(visit, image_set, edits, key_problem=problem)
        return await _form(visit, image_set, [*edits, TypedEdit(_key(key))], opened=len(edits))
    what, _, row = wanted.partition("-")
    if what == "drop":
        edits = [edit for number, edit in enumerate(edits) if str(number) != row]
    elif what == "uid":
        edits = [replace(edit, value=new_uid()) if str(number) == row else edit for number, edit in enumerate(edits)]
    if what in ("drop", "uid", "change"):
        return await _form(visit, image_set, edits)
    if wanted == "send":
        return await _send(visit, image_set, edits)
    return await _form(visit, image_set, edits, review=True)


def _key(typed: str) -> str:
    """Return the key of the attribute that was typed: a tag with or without its signs, or a name as people write it."""
    digits = typed.strip("()").replace(",", "").replace(" ", "")
    is_tag = len(digits) == _TAG_DIGITS and all(digit in hexdigits for digit in digits)
    if is_tag:
        return key_of(int(digits, 16))
    tag = tag_of_name(typed)
    return typed if tag is None else key_of(tag)


def _key_problem(key: str) -> str:
    """Return why an attribute cannot be changed; empty where it can."""
    if not key:
        return "Type the name or the tag of an attribute."
    if tag_of(key) is None:
        return "No attribute of DICOM has this name or tag. Type more of its name, and choose one of those that are suggested."
    try:
        editable_element(key, level_of(element_key(key).tag))
    except EditValueError as error:
        return f"{error}."
    return ""


def _read(visit: Visit) -> list[TypedEdit]:
    form = visit.form
    columns = (
        form.texts("edit-key"),
        form.texts("edit-what"),
        form.raws("edit-value"),
        form.texts("edit-instance"),
        form.texts("edit-vr"),
    )
    return [
        TypedEdit(key, what == "remove", value, instance, vr)
        for key, what, value, instance, vr in zip(*columns, strict=False)
    ]


async def _send(visit: Visit, image_set: ImageSet, edits: Sequence[TypedEdit]) -> Response:
    if image_set.latest.is_closed:
        return await _form(visit, image_set, edits)
    form = visit.form
    content = await read_content(visit.calls, image_set.datastore.id, image_set.id)
    checked = _checked(edits, content, image_set)
    objections = any(edit.objections for edit in checked)
    forced = "force" in form
    change = await _study_change(visit, image_set, content, checked)
    # A study is never split unseen: where it has other image sets, the review was to ask about them.
    unasked = change is not None and change.is_known and "study-asked" not in form
    stale = form.text("version") != image_set.latest.version
    wrong = not checked or any(edit.problem for edit in checked) or bool(duplicates(checked))
    if stale or wrong or unasked or (objections and not forced):
        unforced = not stale and not unasked and objections and not forced
        return await _form(visit, image_set, edits, content, review=True, force_problem=unforced)
    try:
        answer = await visit.calls.post(
            f"{image_set.api_path}/updateImageSetMetadata",
            {"DICOMUpdates": updates_of(checked, content)},
            query={
                "latestVersion": image_set.latest.version,
                "force": "true" if objections else None,
                "includeStudyImageSets": "true" if "study" in form else None,
            },
        )
    except ApiError as error:
        # It may be the version that moved just now: what is shown then is what is there then.
        return await _form(visit, await open_image_set(visit), edits, review=True, error=error)
    version = answer.json()["latestVersionId"]
    where = f", in {change.image_sets}" if change and "study" in form else ""
    split_from = form.text("split-from")
    path = f"{image_set.path}/after-split?from={label(split_from)}" if split_from else image_set.path
    return visit.redirect(path, f"The changes are on their way, as version {version}{where}.")


def _checked(edits: Sequence[TypedEdit], content: ImageSetContent, image_set: ImageSet) -> list[CheckedEdit]:
    return [check_edit(edit, content, is_primary=image_set.latest.is_primary) for edit in edits]


async def _study_change(
    visit: Visit, image_set: ImageSet, content: ImageSetContent, edits: Sequence[CheckedEdit]
) -> StudyChange | None:
    """Return what edits mean for the other primary image sets of the study; None where they mean nothing for them."""
    of_study = [edit.level in (Level.PATIENT, Level.STUDY) for edit in edits]
    if not image_set.latest.is_primary or not any(of_study):
        return None
    if not visit.may("medical-imaging:SearchImageSets", image_set.datastore.arn):
        return StudyChange(is_known=False, count=0, is_possible=all(of_study), is_allowed=True)
    found = await find_others(visit.calls, image_set.datastore.id, image_set.id, content)
    primary = [other.id for other in found if other.is_primary]
    if not primary:
        return None
    arns = [visit.place.image_set_arn(image_set.datastore.id, other) for other in primary]
    return StudyChange(
        is_known=True,
        count=len(primary) + 1,
        is_possible=all(of_study),
        is_allowed=all(may_on_image_set(visit, "UpdateImageSetMetadata", arn) for arn in arns),
    )


async def _form(
    visit: Visit,
    image_set: ImageSet,
    edits: Sequence[TypedEdit],
    content: ImageSetContent | None = None,
    *,
    review: bool = False,
    opened: int | None = None,
    key_problem: str = "",
    force_problem: bool = False,
    error: ApiError | None = None,
) -> Response:
    latest, given = image_set.latest, visit.form.text("version")
    content_version = None
    if latest.is_locked:
        if not given.isdecimal():
            return render_image_set(visit, "image_set/edit.html", image_set, "edit", edits=())
        # What was typed stays, and waits for the end of the other operation.
        error, review, content_version = error or _LOCKED, True, given
    elif latest.is_deleted:
        raise ApiError(404, "ResourceNotFoundException", "This image set was deleted.", "")
    if content is None:
        content = await read_content(visit.calls, image_set.datastore.id, image_set.id, content_version)
    checked = _checked(edits, content, image_set)
    twice = duplicates(checked)
    meanwhile, show_problems = None, review
    if given.isdecimal() and given != latest.version and not latest.is_locked:
        meanwhile = await _meanwhile(visit, image_set, edits, content, given)
    problems = bool(twice) or any(edit.problem for edit in checked)
    review = review and bool(checked) and not problems
    change = await _study_change(visit, image_set, content, checked) if review else None
    asked = "study-asked" in visit.form
    return render_image_set(
        visit,
        "image_set/edit.html",
        image_set,
        "edit",
        edits=checked,
        twice=twice,
        show_problems=show_problems,
        version=given if latest.is_locked else latest.version,
        opened=opened,
        content=content,
        review=review,
        meanwhile=meanwhile,
        key_problem=key_problem or ("Add an attribute first." if show_problems and not checked else ""),
        force_problem=force_problem,
        form=visit.form,
        error=error,
        vrs=sorted(VRS),
        uids=() if latest.is_primary else UIDS,
        split_from=visit.form.text("split-from") or visit.query.get("split-from", ""),
        usual={key: words for key, words in _USUAL.items() if key not in {edit.key for edit in checked}},
        study_change=change,
        whole_study="study" in visit.form if asked else change is not None and change.is_offered,
        objections=list(dict.fromkeys(text for edit in checked for text in edit.objections)),
    )


async def _meanwhile(
    visit: Visit, image_set: ImageSet, edits: Sequence[TypedEdit], now: ImageSetContent, version: str
) -> Meanwhile:
    try:
        then = await read_content(visit.calls, image_set.datastore.id, image_set.id, version)
    except ApiError:
        return Meanwhile(version, (), ())
    return Meanwhile(
        version,
        _checked(edits, then, image_set),
        list(islice(differences(then, now), _MOST_DIFFERENCES)),
    )


PAGES: Final = (
    Page(f"{IMAGE_SET}/edit", ask_edits),
    Page(f"{IMAGE_SET}/edit", take_edits, ("POST",)),
)
