"""Instances after updates, copies and new imports: what the metadata document shows is what the rebuilt file says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from support.clients.dicomweb import get, values
from support.files.synthetic import slice_of, uid
from support.imaging.rebuilt_files import differences
from support.imaging.retrieved import refused, retrieved
from support.imaging.stored_series import settled
from support.imaging.updates import Store, instance, patient, series, study

STUDY = f"studies/{uid(1)}"
SERIES = f"{STUDY}/series/{uid(1, 1)}"
Read = Callable[..., Dataset]


@pytest.fixture
def read(store: Store) -> Read:
    def one_slice(number: int = 1) -> Dataset:
        dataset = retrieved(store.server, store.id, uid(1, 1, number)).dataset()
        assert dataset.PixelData == slice_of(number=number).PixelData
        return dataset

    return one_slice


def changes(dataset: Dataset, number: int = 1, **elements: Any) -> list[str]:
    """Tell how a rebuilt slice differs from the one that was imported."""
    return differences(slice_of(number=number, **elements), dataset)


def instances_of(store: Store, path: str) -> list[str]:
    """Return the SOP Instance UIDs of a study or series in the order of its metadata."""
    return [values(model, "00080018")[0] for model in get(store.server, store.id, f"{path}/metadata").json()]


def test_an_untouched_instance_is_what_was_imported(store: Store, read: Read) -> None:
    store.series(2, SeriesDescription="Müller", SpecificCharacterSet="ISO_IR 100")
    for number in (1, 2):
        assert changes(read(number), number, SeriesDescription="Müller", SpecificCharacterSet="ISO_IR 100") == []


def test_edits_of_all_levels_are_in_the_file(store: Store, read: Read) -> None:
    image_set = store.series(2)
    store.updated(image_set, "1", update=patient(PatientName="Doe^John", PatientComments="seen"))
    store.updated(image_set, "2", update=study(StudyDescription="Neck"), remove=study(AccessionNumber=""))
    store.updated(image_set, "3", update=series(SeriesDescription="arterial"))
    store.updated(image_set, "4", update=instance(1, {"DICOM": {"WindowCenter": ["40"]}}), force=True)
    first, second = read(1), read(2)
    for dataset in (first, second):
        assert (dataset.PatientName, dataset.PatientComments, dataset.StudyDescription) == ("Doe^John", "seen", "Neck")
        assert dataset.SeriesDescription == "arterial"
        assert "AccessionNumber" not in dataset
    assert (first.WindowCenter, "WindowCenter" in second) == (40, False)
    touched = {"00100010", "00104000", "00081030", "00080050", "0008103E", "00281050"}
    assert {line[:8] for line in changes(first)} == touched
    assert {line[:8] for line in changes(second, 2)} == touched - {"00281050"}


def test_private_elements_sequences_and_removals_are_in_the_file(store: Store, read: Read) -> None:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator = "T-1", "SRT"
    private = pydicom.dataset.PrivateBlock((0x0019, "MINE"), (made := slice_of()), 0x10)
    made.add_new(0x00190010, "LO", "MINE")
    private.add_new(0x01, "FD", 0.25)
    private.add_new(0x02, "SQ", Sequence([code]))
    made.AnatomicRegionSequence = Sequence([code])
    image_set = store.imported(made)[0]
    edit = {
        "DICOM": {
            "00191001": 0.5,
            "00191003": "new",
            "AnatomicRegionSequence": [{"CodeValue": "T-2", "00211001": "inside", "00210010": "OTHER"}],
        },
        "DICOMVRs": {"00191003": "LO", "00211001": "SH", "00210010": "LO"},
    }
    store.updated(
        image_set, "1", update=instance(1, edit), remove=instance(1, {"DICOM": {"ImageType": ""}}), force=True
    )
    found = read()
    block = found.private_block(0x0019, "MINE")
    assert (block[1].VR, block[1].value, block[3].VR, block[3].value) == ("FD", 0.5, "LO", "new")
    assert block[2].value == Sequence([code])
    (item,) = found.AnatomicRegionSequence
    assert (item.CodeValue, item[0x00211001].VR, item[0x00211001].value) == ("T-2", "SH", "inside")
    assert "CodingSchemeDesignator" not in item
    assert "ImageType" not in found
    expected = {"00080008", "00082218", "00191001", "00191003"}
    assert {line[:8] for line in differences(made, found)} == expected


def test_a_text_beyond_the_character_set_makes_the_file_unicode(store: Store, read: Read) -> None:
    image_set = store.imported(slice_of(SpecificCharacterSet="ISO_IR 144", StationName="Север"))[0]
    store.updated(image_set, "1", update=patient(PatientName="山田^太郎"))
    found = read()
    assert found.SpecificCharacterSet == "ISO_IR 192"
    assert (str(found.PatientName), found.StationName) == ("山田^太郎", "Север")


def test_instances_keep_their_own_values_until_an_update_sets_them(store: Store, read: Read) -> None:
    image_set = store.imported(slice_of(number=1, PatientWeight="71"), slice_of(number=2, SeriesTime="101010"))[0]
    assert (read(1).PatientWeight, "PatientWeight" in read(2)) == (71, False)
    assert ("SeriesTime" in read(1), read(2).SeriesTime) == (False, "101010")
    store.updated(image_set, "1", update=study(PatientWeight="72"))
    assert [read(number).PatientWeight for number in (1, 2)] == [72, 72]
    assert "SeriesTime" not in read(1)
    store.updated(image_set, "2", revert="1")
    assert (read(1).PatientWeight, "PatientWeight" in read(2)) == (71, False)


def test_what_comes_after_an_update_has_what_it_came_with(store: Store, read: Read) -> None:
    image_set = store.series(1)
    store.updated(image_set, "1", update=patient(PatientName="Doe^John", PatientComments="kept"))
    assert store.imported(slice_of(number=2)) == [image_set]
    assert changes(read(2), 2) == []
    assert read(1).PatientComments == "kept"
    assert str(read(1).PatientName) == str(store.document(image_set)["Patient"]["DICOM"]["PatientName"])
    store.updated(image_set, "3", update=patient(PatientComments="both"))
    assert [read(number).PatientComments for number in (1, 2)] == ["both", "both"]


def test_a_replaced_instance_is_the_new_one(store: Store, read: Read) -> None:
    image_set = store.series(1)
    store.updated(image_set, "1", update=instance(1, {"DICOM": {"WindowCenter": ["40"]}}), force=True)
    store.imported(slice_of(InstanceNumber=9))
    assert changes(read(), InstanceNumber=9) == []


def test_instances_of_old_versions_come_back_with_a_revert(store: Store, read: Read) -> None:
    image_set = store.series(1)
    store.updated(image_set, "1", update=instance(1, {"DICOM": {"WindowCenter": ["40"]}}), force=True)
    assert read().WindowCenter == 40
    store.updated(image_set, "2", revert="1")
    assert changes(read()) == []
    store.updated(image_set, "3", revert="2")
    assert read().WindowCenter == 40


def test_uids_of_a_set_that_is_not_primary_are_changed_everywhere(store: Store) -> None:
    other = store.non_primary()
    edits = {"Study": {"DICOM": {"StudyInstanceUID": "1.2.9"}}}
    store.updated(other, "1", update=edits, force=True)
    store.updated(other, "2", update=instance(1, {"DICOM": {"SOPInstanceUID": "1.2.9.1"}}), force=True)
    found = retrieved(store.server, store.id, "1.2.9.1", study="1.2.9", image_set=other).dataset()
    assert (found.StudyInstanceUID, found.SOPInstanceUID, found.PatientID) == ("1.2.9", "1.2.9.1", "P-OTHER")
    elsewhere = retrieved(store.server, store.id, "1.2.9.1", image_set=other)
    refused(elsewhere.answer(), 404, f"no image set {other} of this Study and Series")
    refused(retrieved(store.server, store.id, "1.2.9.1", study="1.2.9").answer(), 404, "no primary image set")


def test_a_copy_of_a_corrected_set_is_corrected(store: Store, client: Any) -> None:
    """A set that conflicts is corrected and promoted: nothing of what was wrong may come back."""
    made = slice_of(number=2, PatientID="P-WRONG", PatientComments="wrong")
    store.series(1)
    other = store.imported(made)[0]
    store.updated(other, "1", update=patient(PatientID="P-1"), remove=patient(PatientComments=""))
    source = {"latestVersionId": "2"}
    answer = client.copy_image_set(
        datastoreId=store.id, sourceImageSetId=other, copyImageSetInformation={"sourceImageSet": source},
        promoteToPrimary=True,
    )  # fmt: skip
    into = answer["destinationImageSetProperties"]["imageSetId"]
    assert settled(client, store.id, into)["imageSetWorkflowStatus"] == "COPIED"
    assert settled(client, store.id, other)["imageSetState"] == "ACTIVE"
    for image_set in (None, other):
        assert changes(retrieved(store.server, store.id, uid(1, 1, 2), image_set=image_set).dataset(), 2) == []
    assert instances_of(store, SERIES) == [uid(1, 1, 1), uid(1, 1, 2)]


def test_a_forced_copy_belongs_to_its_new_series(store: Store, client: Any) -> None:
    source, into = store.series(1), None
    into = store.imported(slice_of(series=2, number=5, PatientID="P-2", StudyDate="20200101", study=1))[0]
    assert not store.get(into)["isPrimary"]
    client.copy_image_set(
        datastoreId=store.id, sourceImageSetId=source, force=True,
        copyImageSetInformation={"sourceImageSet": {"latestVersionId": "1"},
                                 "destinationImageSet": {"imageSetId": into, "latestVersionId": "1"}},
    )  # fmt: skip
    assert settled(client, store.id, into)["imageSetWorkflowStatus"] == "COPIED"
    found = retrieved(store.server, store.id, uid(1, 1, 1), series=uid(1, 2), image_set=into).dataset()
    assert (found.SeriesInstanceUID, found.PatientID, found.StudyDate) == (uid(1, 2), "P-2", "20200101")


def test_a_deleted_set_is_not_found(store: Store, client: Any) -> None:
    image_set = store.series(1)
    addressed = [retrieved(store.server, store.id, uid(1, 1, 1), image_set=named) for named in (None, image_set)]
    assert all(address.answer().status_code == 200 for address in addressed)
    client.delete_image_set(datastoreId=store.id, imageSetId=image_set)
    settled(client, store.id, image_set)
    for address in addressed:
        refused(address.answer(), 404, "image set")


def test_what_is_not_there_is_said(store: Store) -> None:
    image_set = store.series(1)
    sop = uid(1, 1, 1)
    refused(retrieved(store.server, "0" * 32, sop).answer(), 404, f"data store {'0' * 32} does not exist")
    other_series = retrieved(store.server, store.id, sop, series=uid(1, 9))
    refused(other_series.answer(), 404, "no primary image set of this Study and Series Instance UID")
    other_instance = retrieved(store.server, store.id, uid(1, 1, 9))
    refused(other_instance.answer(), 404, "no instance with this SOP Instance UID")
    other_study = get(store.server, store.id, f"studies/{uid(9)}/metadata")
    refused(other_study, 404, "no study with this Study Instance UID")
    for wrong in ("f" * 32, ""):
        refused(retrieved(store.server, store.id, sop, image_set=wrong).answer(), 404, "no image set")
    assert retrieved(store.server, store.id, sop, image_set=image_set).answer().status_code == 200


def test_series_and_studies_are_in_order(store: Store) -> None:
    numbers = [10, 2, 1, 30]
    store.imported(
        *(slice_of(number=n) for n in numbers),
        slice_of(number=5, InstanceNumber=None),
        *(slice_of(series=3, number=n) for n in (2, 1)),
    )
    found = instances_of(store, SERIES)
    assert found == [uid(1, 1, n) for n in (1, 2, 10, 30, 5)]
    assert instances_of(store, STUDY) == found + [uid(1, 3, n) for n in (1, 2)]


def test_metadata_follow_edits_though_they_are_kept(store: Store) -> None:
    image_set = store.series(3)
    second = retrieved(store.server, store.id, uid(1, 1, 2))

    def names() -> list[str]:
        found = get(store.server, store.id, f"{SERIES}/metadata").json()
        models = [Dataset.from_json(model) for model in found]
        assert [model.InstanceNumber for model in models] == [1, 2, 3]
        assert second.metadata() == found[1]
        return [str(model.PatientName) for model in models]

    assert names() == names() == ["Roe^Jane"] * 3
    store.updated(image_set, "1", update=patient(PatientName="Doe^John"))
    assert names() == ["Doe^John"] * 3


def test_an_edited_colour_stays_edited(store: Store) -> None:
    image_set = store.series(1)
    store.updated(image_set, "1", update=instance(1, {"DICOM": {"PhotometricInterpretation": "MONOCHROME1"}}))
    found = retrieved(store.server, store.id, uid(1, 1, 1))
    assert found.dataset().PhotometricInterpretation == "MONOCHROME1"
    assert found.dataset("*").PhotometricInterpretation == "MONOCHROME1"
    assert values(found.metadata(), "00280004") == ["MONOCHROME1"]
