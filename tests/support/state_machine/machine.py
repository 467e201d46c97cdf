"""A state machine of hypothesis that drives a server through boto3 and compares all it answers with `model`.

rule: draw an operation ─▶ the model says what must come of it ─▶ ask the server, wait for the end ─▶ compare
after each rule: every version of every image set, the lists of versions, the search, the frames
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import imagecodecs
import numpy as np
from botocore.exceptions import ClientError
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from pydicom.dataset import Dataset

from support.files.synthetic import noise, slice_of, uid
from support.imaging.import_folders import fill
from support.imaging.imports import document, frame, image_sets, outcome_of
from support.imaging.stored_series import pack_files, settled
from support.servers import ServerProcess, active_datastore, finished_job, start_import, wait_for
from support.state_machine.model import Change, Copy, Model, ModelSet, ModelVersion, Outcome, Slice, series_of, text
from support.state_machine.slices import slice_in

_numbers = itertools.count()
SIDE = 16
STUDIES, SERIES, INSTANCES = (1, 2), (1, 2), (1, 2, 3)
SOP_UIDS = tuple(uid(1, 1, number) for number in INSTANCES)
NO_OVERRIDES = None

_TAGS = {
    "DICOMPatientId": ("Patient", "PatientID"),
    "DICOMPatientName": ("Patient", "PatientName"),
    "DICOMPatientBirthDate": ("Patient", "PatientBirthDate"),
    "DICOMPatientSex": ("Patient", "PatientSex"),
    "DICOMStudyInstanceUID": ("Study", "StudyInstanceUID"),
    "DICOMStudyId": ("Study", "StudyID"),
    "DICOMStudyDescription": ("Study", "StudyDescription"),
    "DICOMAccessionNumber": ("Study", "AccessionNumber"),
    "DICOMStudyDate": ("Study", "StudyDate"),
    "DICOMStudyTime": ("Study", "StudyTime"),
    "DICOMSeriesInstanceUID": ("Series", "SeriesInstanceUID"),
    "DICOMSeriesModality": ("Series", "Modality"),
    "DICOMSeriesBodyPart": ("Series", "BodyPartExamined"),
    "DICOMSeriesNumber": ("Series", "SeriesNumber"),
}
_SEARCHED = (
    "DICOMPatientId",
    "DICOMAccessionNumber",
    "DICOMStudyId",
    "DICOMStudyInstanceUID",
    "DICOMSeriesInstanceUID",
)


def mostly(value: Any, *others: Any, times: int = 4) -> st.SearchStrategy[Any]:
    """Draw the first value so many times as often as each of the others."""
    return st.sampled_from([value] * times + list(others))


USUALLY = st.integers(0, 4).map(bool)
SELDOM = USUALLY.map(lambda drawn: not drawn)


@dataclass(frozen=True)
class File:
    """A file to be imported: one or two small frames."""

    study: int
    series: int
    number: int
    seed: int
    frames: int
    elements: dict[str, Any]

    def dataset(self) -> Dataset:
        pictures = [noise(SIDE, SIDE, seed=self.seed + 10 * n) for n in range(self.frames)]
        pixels = np.stack(pictures) if self.frames > 1 else pictures[0]
        return slice_of(self.series, self.number, study=self.study, pixels=pixels, **self.elements)


FILES = st.lists(
    st.builds(
        File,
        study=mostly(*STUDIES),
        series=mostly(*SERIES, times=2),
        number=st.sampled_from(INSTANCES),
        seed=st.integers(0, 3),
        frames=mostly(1, 2),
        elements=st.fixed_dictionaries(
            {
                "PatientID": mostly("P-1", "P-2", times=30),
                "AccessionNumber": mostly("A-1", "A-2", times=30),
                "PatientName": mostly("Roe^Jane", "Doe^John"),
                "PatientSex": mostly("F", ""),
                "BodyPartExamined": mostly("HEAD", "NECK"),
                "AcquisitionNumber": st.integers(1, 12),
            }
        ),
    ),
    min_size=1,
    max_size=5,
)

PATIENT_VALUES = {
    "PatientID": ["P-1", "P-2"],
    "PatientName": ["Roe^Jane", "Doe^John"],
    "PatientComments": ["seen", "seen twice"],
    "PatientSex": ["M"],
}
STUDY_VALUES = {
    "StudyDescription": ["Head", "Neck"],
    "AccessionNumber": ["A-1", "A-2"],
    "StudyID": ["S1", "S2"],
    "StudyDate": ["20240102", "20250607"],
}
SERIES_VALUES = {"BodyPartExamined": ["HEAD", "CHEST"], "SeriesDescription": ["axial"], "SeriesNumber": ["1", "9"]}
INSTANCE_VALUES = {
    "InstanceNumber": ["22", "333"],
    "WindowCenterWidthExplanation": [["WIDE"], ["WIDE", "NARROW"]],
    "ImageType": [["DERIVED", "SECONDARY"]],
    "Rows": [SIDE + 1],
    "001910F9": ["97"],
}
PRIVATE_VRS = {"001910F9": "DS"}
GROUPING = (
    ("Patient", "PatientID"),
    ("Study", "StudyDate"),
    ("Study", "AccessionNumber"),
    ("Study", "StudyID"),
    ("Series", "SeriesNumber"),
)
LEVEL_VALUES = {"Patient": PATIENT_VALUES, "Study": STUDY_VALUES, "Series": SERIES_VALUES}


class ArchiveMachine(RuleBasedStateMachine):
    """One data store and its model; a test gives ``server`` in a subclass, and ``seen`` counts what happened."""

    server: ClassVar[ServerProcess]
    client: ClassVar[Any]
    seen: ClassVar[Counter[str]]

    def __init__(self) -> None:
        super().__init__()
        self.datastore = active_datastore(self.client)
        self.model = Model()
        self.sound = True
        self._touched: set[ModelSet] = set()
        self._first_answers: dict[tuple[str, int], dict[str, Any]] = {}

    def teardown(self) -> None:
        """Delete everything; nothing must be left of it."""
        try:
            if self.sound:
                self._check_the_rest()
            for target in self.model.live:
                self.client.delete_image_set(datastoreId=self.datastore, imageSetId=target.id)
            for target in self.model.live:
                settled(self.client, self.datastore, target.id)
            self.client.delete_datastore(datastoreId=self.datastore)
            wait_for(lambda: not pack_files(self.server, self.datastore), "the packs of deleted image sets to go")
        except Exception:
            if self.sound:
                raise

    # The operations

    @initialize(files=FILES)
    def import_first(self, files: list[File]) -> None:
        self._import(files)

    @rule(files=FILES)
    def import_files(self, files: list[File]) -> None:
        self._import(files)

    @precondition(lambda self: self.model.live)
    @rule(data=st.data(), force=st.booleans())
    def update_levels(self, data: st.DataObject, force: bool) -> None:
        target = self._draw_set(data)
        self._update(target, self._draw_change(data, LEVEL_VALUES), force=force)

    @precondition(lambda self: self.model.primaries)
    @rule(data=st.data(), force=st.booleans())
    def update_study(self, data: st.DataObject, force: bool) -> None:
        target = data.draw(st.sampled_from(self.model.live), label="image set")
        values = {level: LEVEL_VALUES[level] for level in ("Patient", "Study")}
        self._update(target, self._draw_change(data, values), force=force, whole_study=True)

    @precondition(lambda self: self.model.live)
    @rule(data=st.data(), force=USUALLY)
    def update_instances(self, data: st.DataObject, force: bool) -> None:
        target = self._draw_set(data)
        uids = sorted(target.latest.instances)
        some = data.draw(st.sets(st.sampled_from(uids), min_size=1, max_size=2), label="instances") if uids else set()
        self._update(target, self._draw_change(data, dict.fromkeys(some, INSTANCE_VALUES)), force=force)

    @precondition(lambda self: self.model.live)
    @rule(data=st.data(), force=USUALLY)
    def remove_instances(self, data: st.DataObject, force: bool) -> None:
        target = self._draw_set(data)
        uids = sorted(target.latest.instances)
        if uids:
            some = data.draw(st.sets(st.sampled_from(uids), min_size=1, max_size=2), label="instances")
            self._update(target, Change(removed_instances=frozenset(some)), force=force)

    @precondition(lambda self: self.model.live)
    @rule(data=st.data(), force=USUALLY)
    def change_uids(self, data: st.DataObject, force: bool) -> None:
        others = [entry for entry in self.model.live if not entry.latest.primary]
        target = data.draw(st.sampled_from(others or self.model.live), label="image set")
        values: dict[tuple[str, str], Any] = {}
        if data.draw(st.booleans(), label="study"):
            values["Study", "StudyInstanceUID"] = data.draw(st.sampled_from([uid(n) for n in (1, 2)]))
        if data.draw(st.booleans(), label="series"):
            values["Series", "SeriesInstanceUID"] = data.draw(st.sampled_from([uid(1, n) for n in SERIES]))
        uids = sorted(target.latest.instances)
        if uids and (not values or data.draw(st.booleans(), label="instance")):
            place = data.draw(st.sampled_from(uids), label="instance")
            values[place, "SOPInstanceUID"] = data.draw(st.sampled_from([*SOP_UIDS, "2.25.99"]))
        self._update(target, Change(values), force=force)

    @precondition(lambda self: self.model.live)
    @rule(data=st.data())
    def go_back(self, data: st.DataObject) -> None:
        target = self._draw_set(data)
        version = data.draw(st.integers(1, len(target.versions) + 1), label="version")
        latest = len(target.versions)
        outcome = self.model.revert(target, version)
        what = {"revertToVersionId": str(version)}
        self._ask(outcome, lambda: self._call_update(target, latest, what), "revert")
        self._settle(target)

    @precondition(lambda self: self.model.live)
    @rule(data=st.data(), force=SELDOM)
    def copy_to_new(self, data: st.DataObject, force: bool) -> None:
        source = self._draw_set(data)
        self._copy(Copy(source, None, self._draw_subset(data, source), force=force))

    @precondition(lambda self: len(self.model.live) > 1)
    @rule(data=st.data(), force=st.booleans())
    def copy_into(self, data: st.DataObject, force: bool) -> None:
        source = self._draw_set(data)
        alike = [e for e in self.model.live if series_of(e.latest.levels) == series_of(source.latest.levels)]
        into = data.draw(st.sampled_from([*alike, *self.model.live]), label="destination")
        promote = data.draw(SELDOM, label="promote")
        self._copy(Copy(source, into, self._draw_subset(data, source), force=force, promote=promote))

    @precondition(lambda self: self.model.live)
    @rule(data=st.data())
    def promote(self, data: st.DataObject) -> None:
        others = [entry for entry in self.model.live if not entry.latest.primary]
        source = data.draw(st.sampled_from(others or self.model.live), label="image set")
        self._copy(Copy(source, None, self._draw_subset(data, source), promote=True))

    @precondition(lambda self: self._with_primary())
    @rule(data=st.data())
    def resolve_and_promote(self, data: st.DataObject) -> None:
        """Bring an image set into agreement with the primary set of its series, then promote what that lacks."""
        source, primary = data.draw(st.sampled_from(self._with_primary()), label="image set and primary one")
        wanted = primary.latest.levels
        values = {
            (level, key): text(wanted[level].get(key)) or None
            for level, key in GROUPING
            if text(wanted[level].get(key)) != text(source.latest.levels[level].get(key))
        }
        if values:
            self._update(source, Change(values), force=True)
        lacking = frozenset(source.latest.instances.keys() - primary.latest.instances.keys())
        self._copy(Copy(source, None, lacking or None, promote=True))

    def _with_primary(self) -> list[tuple[ModelSet, ModelSet]]:
        """Return the image sets that are not primary and have instances, with the primary set of their series."""
        others = [e for e in self.model.live if not e.latest.primary and e.latest.instances]
        pairs = [(entry, self.model.primary_of(series_of(entry.latest.levels))) for entry in others]
        return [(entry, primary) for entry, primary in pairs if primary is not None]

    @precondition(lambda self: len(self.model.live) > 2)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        target = self._draw_set(data)
        self.sound = False
        self.client.delete_image_set(datastoreId=self.datastore, imageSetId=target.id)
        self.model.delete(target)
        self._touched.add(target)
        self.seen["delete"] += 1
        assert settled(self.client, self.datastore, target.id)["imageSetState"] == "DELETED"
        self._check_all_frames()

    @precondition(lambda self: self.model.live)
    @rule(data=st.data(), off=st.sampled_from([-1, 1]))
    def name_an_outdated_version(self, data: st.DataObject, off: int) -> None:
        target = self._draw_set(data)
        latest = len(target.versions) + off
        blob = json.dumps({"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientName": "Nobody"}}}).encode()
        self.sound = False
        calls: list[Callable[[], Any]] = [
            lambda: self._call_update(target, latest, {"DICOMUpdates": {"updatableAttributes": blob}}),
            lambda: self._call_copy(Copy(target), latest, None),
        ]
        for call in calls:
            assert self._error(call) == "ResourceNotFoundException"
        self.seen["outdated"] += 1

    # Drawing

    def _draw_set(self, data: st.DataObject) -> ModelSet:
        return data.draw(st.sampled_from(self.model.live), label="image set")

    def _draw_subset(self, data: st.DataObject, source: ModelSet) -> frozenset[str] | None:
        uids = sorted(source.latest.instances)
        if not uids or data.draw(st.booleans(), label="all"):
            return None
        some: set[str] = data.draw(st.sets(st.sampled_from(uids), min_size=1), label="instances")
        return frozenset(some) | data.draw(mostly(frozenset(), {uid(9, 9, 9)}, times=12), label="unknown")

    def _draw_change(self, data: st.DataObject, choice: dict[str, dict[str, Any]]) -> Change:
        """Draw values to set and keys to remove; one of them may not be there."""
        keys = [(place, key) for place, values in choice.items() for key in values]
        some = data.draw(st.sets(st.sampled_from(keys), min_size=1, max_size=4), label="keys") if keys else set()
        values, removed = {}, set()
        for place, key in sorted(some):
            if data.draw(SELDOM, label=f"remove {key}"):
                removed.add((place, key))
            else:
                values[place, key] = data.draw(st.sampled_from(choice[place][key]), label=key)
        return Change(values, frozenset(removed), vrs=PRIVATE_VRS)

    # Doing

    def _import(self, files: list[File]) -> None:
        self.sound = False
        folder = f"machine-{next(_numbers)}"
        path = fill(self.server, folder, [file.dataset() for file in files])
        self.server.bucket("results")
        job_id = start_import(self.client, self.datastore, f"s3://input/{folder}/", "s3://results/")
        job = finished_job(self.client, self.datastore, job_id)
        assert job["jobStatus"] == "COMPLETED", job
        self._check_import([slice_in(file) for file in sorted(path.iterdir())], outcome_of(self.server, job))

    def _check_import(self, files: list[Slice], outcome: Any) -> None:
        assert outcome.failure == []
        told = sorted(outcome.success, key=lambda line: line["inputFile"])
        answers = [line["importResponse"] for line in told]
        assert len(answers) == len(files)
        known = {entry.id for entry in self.model.sets}
        for target, numbers in self.model.import_(files):
            (image_set_id,) = {answers[number]["imageSetId"] for number in numbers}
            self._touched.add(target)
            if not target.id:
                assert image_set_id not in known
                target.id = image_set_id
            assert image_set_id == target.id
            for number in numbers:
                assert answers[number]["isPrimary"] is target.latest.primary
                assert answers[number]["imageSetVersion"] == len(target.versions)
            self.seen[f"import {target.latest.status}{'' if target.latest.primary else ' non-primary'}"] += 1

    def _update(self, target: ModelSet, change: Change, *, force: bool, whole_study: bool = False) -> None:
        latest = len(target.versions)
        series = series_of(target.latest.levels).series_uid
        outcome = self.model.update(target, change, force=force, whole_study=whole_study)
        updates = {"DICOMUpdates": _blobs(change, series)}
        flags = {"force": force} | ({"includeStudyImageSets": True} if whole_study else {})
        kind = "study update" if whole_study else "update"
        self._ask(outcome, lambda: self._call_update(target, latest, updates, **flags), kind)
        for entry in self.model.live if whole_study else [target]:
            self._settle(entry)

    def _copy(self, copy: Copy) -> None:
        latest = len(copy.source.versions), len(copy.into.versions) if copy.into else None
        outcome, into = self.model.copy(copy)
        kind = "promotion" if copy.promote else "copy"
        answer = self._ask(outcome, lambda: self._call_copy(copy, *latest), kind)
        if into is not None:
            told = answer["destinationImageSetProperties"]
            if not into.id:
                assert told["imageSetId"] not in {entry.id for entry in self.model.sets}
                into.id = told["imageSetId"]
            assert (told["imageSetId"], told["latestVersionId"]) == (into.id, str(len(into.versions)))
            assert (told["imageSetState"], told["imageSetWorkflowStatus"]) == ("LOCKED", "COPYING")
            assert answer["sourceImageSetProperties"]["latestVersionId"] == str(len(copy.source.versions))
            self._settle(into)
        self._settle(copy.source)

    def _ask(self, outcome: Outcome, call: Callable[[], Any], kind: str) -> Any:
        self.sound = False
        self.seen[f"{kind} {outcome.name}"] += 1
        if outcome is not Outcome.REFUSED:
            return call()
        assert self._error(call) in {"ValidationException", "ResourceNotFoundException"}
        return None

    def _settle(self, target: ModelSet) -> None:
        self._touched.add(target)
        settled(self.client, self.datastore, target.id)

    def _error(self, call: Callable[[], Any]) -> str:
        try:
            answer = call()
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        raise AssertionError(f"not refused: {answer}")

    def _call_update(self, target: ModelSet, latest: int, updates: dict[str, Any], **flags: bool) -> Any:
        answer = self.client.update_image_set_metadata(
            datastoreId=self.datastore,
            imageSetId=target.id,
            latestVersionId=str(latest),
            updateImageSetMetadataUpdates=updates,
            **flags,
        )
        assert answer["latestVersionId"] == str(latest + 1)
        return answer

    def _call_copy(self, copy: Copy, latest: int, latest_into: int | None) -> Any:
        information: dict[str, Any] = {"sourceImageSet": {"latestVersionId": str(latest)}}
        if copy.into is not None:
            information["destinationImageSet"] = {"imageSetId": copy.into.id, "latestVersionId": str(latest_into)}
        if copy.only is not None:
            series = series_of(copy.source.latest.levels).series_uid
            chosen = {"Study": {"Series": {series: {"Instances": {name: {} for name in sorted(copy.only)}}}}}
            information["sourceImageSet"]["DICOMCopies"] = {"copiableAttributes": json.dumps(chosen)}
        return self.client.copy_image_set(
            datastoreId=self.datastore,
            sourceImageSetId=copy.source.id,
            copyImageSetInformation=information,
            force=copy.force,
            promoteToPrimary=copy.promote,
        )

    # Comparing

    @invariant()
    def everything_is_as_the_model_says(self) -> None:
        """Compare all documents and the search, and what else was touched; the rest is compared at the end."""
        self._check_properties_of(self._touched)
        self._touched = set()
        for target in self.model.live:
            for number, version in enumerate(target.versions, 1):
                self._check_document(target, number, version)
        self._check_listed()
        self._check_primaries()
        self.sound = True

    def _check_the_rest(self) -> None:
        self._check_properties_of(self.model.sets)
        self._check_searches()
        self._check_all_frames()

    def _check_properties_of(self, targets: Iterable[ModelSet]) -> None:
        for target in targets:
            (self._check_deleted if target.deleted else self._check_versions)(target)

    def _check_versions(self, target: ModelSet) -> None:
        latest = dict(self.client.get_image_set(datastoreId=self.datastore, imageSetId=target.id))
        pages = self.client.get_paginator("list_image_set_versions").paginate(
            datastoreId=self.datastore, imageSetId=target.id, PaginationConfig={"PageSize": 3}
        )
        listed = [entry for page in pages for entry in page["imageSetPropertiesList"]]
        assert [entry["versionId"] for entry in listed] == [str(n) for n in range(len(target.versions), 0, -1)]
        assert (latest["versionId"], latest["imageSetState"]) == (listed[0]["versionId"], "ACTIVE")
        for number, (entry, version) in enumerate(zip(reversed(listed), target.versions, strict=True), 1):
            self._check_properties(target, number, entry, version)

    def _check_properties(self, target: ModelSet, number: int, entry: dict[str, Any], version: ModelVersion) -> None:
        assert (entry["imageSetState"], entry["ImageSetWorkflowStatus"]) == ("ACTIVE", version.status), (target, number)
        assert entry["isPrimary"] is version.primary
        assert entry.get("overrides") == ({"forced": True} if version.forced else NO_OVERRIDES)
        assert ("message" in entry) is version.failed, entry
        assert self._first_answers.setdefault((target.id, number), entry) == entry, "a version changed"

    def _check_document(self, target: ModelSet, number: int, version: ModelVersion) -> None:
        found = document(self.client, self.datastore, target.id, versionId=str(number))
        series_uid = series_of(version.levels).series_uid
        ((found_series, series),) = found["Study"]["Series"].items()
        assert found_series == series_uid
        assert found["Patient"]["DICOM"] == version.levels["Patient"], (target, number)
        assert found["Study"]["DICOM"] == version.levels["Study"], (target, number)
        assert series["DICOM"] == version.levels["Series"], (target, number)
        assert series["Instances"].keys() == version.instances.keys(), (target, number)
        for name, instance in version.instances.items():
            told = series["Instances"][name]
            assert told["DICOM"] == instance.attributes, (target, number, name)
            assert told["DICOMVRs"] == instance.vrs
            ids = tuple(entry["ID"] for entry in told["ImageFrames"])
            if not instance.pixels.ids:
                self._first_frames(target, instance.pixels, ids)
            assert ids == instance.pixels.ids, (target, number, name)

    def _first_frames(self, target: ModelSet, pixels: Any, ids: tuple[str, ...]) -> None:
        """Read frames that were never seen before; their ids must be new too."""
        assert len(ids) == len(set(ids)) == len(pixels.samples)
        assert set(ids).isdisjoint(self._known_ids())
        for frame_id, samples in zip(ids, pixels.samples, strict=True):
            data, _ = frame(self.client, self.datastore, target.id, frame_id)
            assert np.array_equal(imagecodecs.htj2k_decode(data), samples)
            pixels.data[frame_id] = data
        if pixels.copied_from is not None:
            assert list(pixels.data.values()) == list(pixels.copied_from.data.values())
        pixels.ids = ids

    def _known_ids(self) -> set[str]:
        return {name for entry in self.model.sets for name in self._frames(entry)}

    def _frames(self, target: ModelSet) -> dict[str, bytes]:
        """Return all frames of all versions of an image set."""
        found: dict[str, bytes] = {}
        for version in target.versions:
            for instance in version.instances.values():
                found |= instance.pixels.data
        return found

    def _check_all_frames(self) -> None:
        for target in self.model.sets:
            for frame_id, data in self._frames(target).items():
                if target.deleted:
                    code = self._error(lambda t=target, f=frame_id: frame(self.client, self.datastore, t.id, f))
                    assert code == "ResourceNotFoundException"
                else:
                    assert frame(self.client, self.datastore, target.id, frame_id)[0] == data

    def _check_deleted(self, target: ModelSet) -> None:
        named = {"datastoreId": self.datastore, "imageSetId": target.id}
        assert self.client.get_image_set(**named)["imageSetState"] == "DELETED"
        calls = [
            lambda: self.client.get_image_set_metadata(**named),
            lambda: self.client.delete_image_set(**named),
        ]
        for call in calls:
            assert self._error(call) == "ResourceNotFoundException"

    def _check_listed(self) -> None:
        told = {
            entry["imageSetId"]: (entry["version"], entry["isPrimary"], _tags(entry["DICOMTags"]))
            for entry in image_sets(self.client, self.datastore)
        }
        assert told == {entry.id: _summary(entry) for entry in self.model.live}

    def _check_searches(self) -> None:
        wanted = {entry.id: _summary(entry) for entry in self.model.live}
        for member in _SEARCHED:
            for value in {tags[member] for _, _, tags in wanted.values() if member in tags}:
                matching = {name for name, (_, _, tags) in wanted.items() if tags.get(member) == value}
                assert self._search(member, value) == matching, (member, value)
        primary = {entry.id for entry in self.model.primaries}
        assert self._search("isPrimary", value=True) == primary
        assert self._search("isPrimary", value=False) == wanted.keys() - primary

    def _search(self, member: str, value: Any) -> set[str]:
        criteria = {"filters": [{"operator": "EQUAL", "values": [{member: value}]}]}
        answer = self.client.search_image_sets(datastoreId=self.datastore, searchCriteria=criteria, maxResults=50)
        return {entry["imageSetId"] for entry in answer["imageSetsMetadataSummaries"]}

    def _check_primaries(self) -> None:
        series = [series_of(entry.latest.levels) for entry in self.model.primaries]
        assert len(set(series)) == len(series), "two primary image sets of one series"
        uids = Counter(name for entry in self.model.primaries for name in entry.latest.instances)
        assert all(count == 1 for count in uids.values()), "an instance in two primary image sets"


def _tags(tags: dict[str, Any]) -> dict[str, Any]:
    return {name: str(value) for name, value in tags.items()}


def _summary(target: ModelSet) -> tuple[int, bool, dict[str, str]]:
    levels = target.latest.levels
    tags = {member: text(levels[level].get(key)) for member, (level, key) in _TAGS.items()}
    counts = {
        "DICOMNumberOfStudyRelatedSeries": "1",
        "DICOMNumberOfStudyRelatedInstances": str(len(target.latest.instances)),
    }
    return len(target.versions), target.latest.primary, {k: v for k, v in {**tags, **counts}.items() if v}


def _blobs(change: Change, series_uid: str) -> dict[str, bytes]:
    """Write a change as the two blobs of DICOMUpdates."""
    set_, removed = _Tree(series_uid), _Tree(series_uid)
    for (place, key), value in change.values.items():
        set_.dicom(place)[key] = value
        if key in change.vrs:
            set_.instance(place).setdefault("DICOMVRs", {})[key] = change.vrs[key]
    for place, key in change.removed:
        removed.dicom(place)[key] = None
    for place in change.removed_instances:
        removed.instance(place)
    trees = {"updatableAttributes": set_.content, "removableAttributes": removed.content}
    return {name: json.dumps({"SchemaVersion": 1.1, **tree}).encode() for name, tree in trees.items() if tree} or {
        "updatableAttributes": b'{"SchemaVersion": 1.1}'
    }


class _Tree:
    def __init__(self, series_uid: str) -> None:
        self.content: dict[str, Any] = {}
        self._series_uid = series_uid

    def _series(self) -> dict[str, Any]:
        study = self.content.setdefault("Study", {})
        found: dict[str, Any] = study.setdefault("Series", {}).setdefault(self._series_uid, {})
        return found

    def instance(self, place: str) -> dict[str, Any]:
        found: dict[str, Any] = self._series().setdefault("Instances", {}).setdefault(place, {})
        return found

    def dicom(self, place: str) -> dict[str, Any]:
        holder = {
            "Patient": lambda: self.content.setdefault("Patient", {}),
            "Study": lambda: self.content.setdefault("Study", {}),
            "Series": self._series,
        }.get(place, lambda: self.instance(place))()
        found: dict[str, Any] = holder.setdefault("DICOM", {})
        return found
