"""importConfiguration: metadata files in DICOM JSON are put over the instances of a study or series while they come in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from botocore.exceptions import ClientError

from hounsfield.dicom.json.metadata_file import MOST_BYTES
from support.files.bad_files import written
from support.files.synthetic import noise, slice_of, uid
from support.imaging.import_folders import INPUT, check_counters, fill, primaries_by_series, sop_instances, start_job
from support.imaging.imports import Outcome, document, outcome_of
from support.imaging.retrieved import retrieved
from support.imaging.stored_frames import decoded_frame
from support.servers import ServerProcess, finished_job

SECRET = "GEHEIM"


def mapping(path: str, study: str, series: str | None = None) -> dict[str, str]:
    return {"studyInstanceUID": study, "metadataFilePath": path} | ({"seriesInstanceUID": series} if series else {})


def configuration(*mappings: dict[str, str]) -> dict[str, Any]:
    return {"dicomJsonMetadataImportConfiguration": {"dicomMetadataMappings": list(mappings)}}


def text(vr: str, *values: object) -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)}


def put_json(folder: Path, name: str, content: object) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def ended(server: ServerProcess, client: Any, datastore: str, folder: str, *mappings: dict[str, str]) -> Outcome:
    job_id = start_job(server, client, datastore, folder, importConfiguration=configuration(*mappings))
    job = finished_job(client, datastore, job_id)
    assert job["jobStatus"] == "COMPLETED", job
    return outcome_of(server, job)


def test_metadata_of_study_series_and_instance(server: ServerProcess, client: Any, datastore: str) -> None:
    slices = [slice_of(series, number, study=701) for series in (1, 2) for number in (1, 2)]
    other = slice_of(study=702)
    folder = fill(server, "layers", [*slices, other])
    put_json(
        folder,
        "meta/study.json",
        {
            "00080005": text("CS", "ISO_IR 100"),
            "0020000D": text("UI", uid(701)),
            "00100010": text("PN", {"Alphabetic": "Müller^Jürgen", "Ideographic": "山田^太郎"}),
            "00080080": text("LO", "Clinic"),
            "0008103E": text("LO", "of the study"),
        },
    )
    put_json(
        folder,
        "meta/series.json",
        [
            {"0008103E": text("LO", "of the series"), "00204000": text("LT", "all")},
            {"00080018": text("UI", uid(701, 2, 2)), "00204000": text("LT", "second"), "00090010": text("LO", "Own")}
            | {"00091001": text("US", 77)},
            {"00080018": text("UI", uid(9, 9, 9)), "00204000": text("LT", "nobody")},
        ],
    )
    mappings = mapping("meta/study.json", uid(701)), mapping("meta/series.json", uid(701), uid(701, 2))
    outcome = ended(server, client, datastore, "layers", *mappings)
    assert outcome.job["importConfiguration"] == configuration(*mappings)
    check_counters(outcome)
    assert (outcome.summary["numberOfScannedFiles"], outcome.failure, outcome.warning) == (5, [], [])
    sets = primaries_by_series(client, datastore)
    first, second = (document(client, datastore, sets[uid(701), uid(701, n)]["imageSetId"]) for n in (1, 2))
    for found in (first, second):
        assert found["Patient"]["DICOM"]["PatientName"] == "Müller^Jürgen=山田^太郎"
        assert found["Patient"]["DICOM"]["PatientID"] == "P-1"
    series = [next(iter(found["Study"]["Series"].values())) for found in (first, second)]
    assert [entry["DICOM"]["InstitutionName"] for entry in series] == ["Clinic", "Clinic"]
    assert [entry["DICOM"]["SeriesDescription"] for entry in series] == ["of the study", "of the series"]
    one, two = (series[1]["Instances"][uid(701, 2, n)] for n in (1, 2))
    assert (one["DICOM"]["ImageComments"], two["DICOM"]["ImageComments"]) == ("all", "second")
    assert (two["DICOM"]["00091001"], two["DICOMVRs"]) == (77, {"00090010": "LO", "00091001": "US"})
    assert "WarningReason" not in two["DICOM"]
    pixels = decoded_frame(client, datastore, sets[uid(701), uid(701, 2)]["imageSetId"], two["ImageFrames"][0])
    assert np.array_equal(pixels, noise(64, 64, seed=2))
    untouched = document(client, datastore, sets[uid(702), uid(702, 1)]["imageSetId"])
    assert untouched["Patient"]["DICOM"]["PatientName"] == "Roe^Jane"
    criteria = {"filters": [{"values": [{"DICOMStudyInstanceUID": uid(701)}], "operator": "EQUAL"}]}
    found = client.search_image_sets(datastoreId=datastore, searchCriteria=criteria)["imageSetsMetadataSummaries"]
    assert {entry["DICOMTags"]["DICOMPatientName"] for entry in found} == {"Müller^Jürgen=山田^太郎"}
    file = retrieved(server, datastore, uid(701, 2, 2), study=uid(701), series=uid(701, 2)).dataset()
    assert (str(file.PatientName), file.ImageComments) == ("Müller^Jürgen=山田^太郎", "second")
    assert (file.SpecificCharacterSet, file[0x00091001].value, file.Rows) == ("ISO_IR 192", 77, 64)
    file = retrieved(server, datastore, uid(702, 1, 1), study=uid(702), series=uid(702, 1)).dataset()
    assert file.PatientName == "Roe^Jane"


def test_grouping_goes_by_the_metadata_files(server: ServerProcess, client: Any, datastore: str) -> None:
    fill(server, "grouping-1", [slice_of(number=1, study=703)])
    folder = fill(server, "grouping-2", [slice_of(number=1, study=703, PatientID="WRONG")])
    put_json(folder, "fix.json", {"00100020": text("LO", "P-1"), "00204000": text("LT", "mended")})
    ended(server, client, datastore, "grouping-1", mapping("not-there.json", uid(799)))
    outcome = ended(server, client, datastore, "grouping-2", mapping("fix.json", uid(703)))
    (entry,) = outcome.summary["imageSetsSummary"]
    assert (entry["isPrimary"], entry["imageSetVersion"]) == (True, 2)
    (instance,) = sop_instances(client, datastore, entry["imageSetId"]).values()
    assert instance["DICOM"]["ImageComments"] == "mended"


def test_a_file_shared_by_all_workers(server: ServerProcess, client: Any, datastore: str) -> None:
    frames = np.zeros((25, 1024, 1024), "<u2")
    frames[:, 5, 7] = np.arange(25)
    folder = fill(server, "large", [slice_of(study=704, pixels=frames)])
    put_json(folder, "large.json", {"00204000": text("LT", "of a large file")})
    outcome = ended(server, client, datastore, "large", mapping("large.json", uid(704)))
    (entry,) = outcome.summary["imageSetsSummary"]
    (instance,) = sop_instances(client, datastore, entry["imageSetId"]).values()
    assert instance["DICOM"]["ImageComments"] == "of a large file"
    assert len(instance["ImageFrames"]) == 25
    assert np.array_equal(
        decoded_frame(client, datastore, entry["imageSetId"], instance["ImageFrames"][24]), frames[24]
    )


BAD: dict[str, tuple[object, str]] = {
    "text.json": (f"{SECRET} is no JSON", "it is not JSON"),
    "array.json": ([[SECRET]], "must be a data set or a list"),
    "keyword.json": ({"PatientName": text("PN", SECRET)}, "eight hexadecimal digits"),
    "vr.json": ({"00100010": text("LO", SECRET)}, "the dictionary says PN"),
    "bulk.json": ({"00420011": {"vr": "OB", "BulkDataURI": f"http://{SECRET}"}}, "BulkDataURI"),
    "rows.json": ({"00280010": text("US", 63)}, "Rows (0028,0010) cannot be overridden: it describes the pixel data"),
    "study.json": ({"0020000D": text("UI", "1.2.3")}, "StudyInstanceUID (0020,000D) cannot be overridden"),
    "pixels.json": ({"7FE00010": {"vr": "OW", "InlineBinary": "AAAA"}}, "PixelData"),
    "meta.json": ({"00020010": text("UI", "1.2.840.10008.1.2")}, "file meta information"),
    "long.json": ({"00100020": text("LO", SECRET * 50)}, "at most 256"),
    "large.json": (None, f"at most {MOST_BYTES}"),
}


def test_a_bad_metadata_file_fails_its_instances_and_no_others(
    server: ServerProcess, client: Any, datastore: str
) -> None:
    names = [*BAD, "missing.json"]
    folder = fill(server, "bad-metadata", [slice_of(series, study=705) for series in range(1, len(names) + 1)])
    (folder / "good.dcm").write_bytes(written(slice_of(99, study=705)))
    (folder / "mixed-1.dcm").write_bytes(written(slice_of(98, 1, study=705)))
    (folder / "mixed-2.dcm").write_bytes(written(slice_of(98, 2, study=705)))
    for name, (content, _) in BAD.items():
        put_json(folder, name, content)
    (folder / "text.json").write_text(f"{SECRET} is no JSON")
    with (folder / "large.json").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    put_json(folder, "mixed.json", [{"00080018": text("UI", uid(705, 98, 2)), "00280011": text("US", 1)}])
    mappings = [mapping(name, uid(705), uid(705, series)) for series, name in enumerate(names, 1)]
    outcome = ended(server, client, datastore, "bad-metadata", *mappings, mapping("mixed.json", uid(705), uid(705, 98)))
    check_counters(outcome)
    assert {line["inputFile"].rpartition("/")[2] for line in outcome.success} == {"good.dcm", "mixed-1.dcm"}
    failed = {line["inputFile"].rpartition("/")[2]: line["exception"] for line in outcome.failure}
    assert {exception["exceptionType"] for exception in failed.values()} == {"ValidationException"}
    said = {name: failed[f"{place:05d}.dcm"]["message"] for place, name in enumerate(names)}
    assert "does not exist below the input location" in said.pop("missing.json")
    for name, message in said.items():
        assert BAD[name][1] in message
        assert name in message or name == "long.json"
    assert "Columns (0028,0011) cannot be overridden" in failed["mixed-2.dcm"]["message"]
    assert SECRET not in json.dumps([outcome.failure, outcome.job], default=str)
    assert SECRET not in server.log_text()


def test_values_that_break_their_vr_are_warned_of_as_in_a_file(
    server: ServerProcess, client: Any, datastore: str
) -> None:
    folder = fill(server, "warned-metadata", [slice_of(study=706)])
    put_json(folder, "long.json", {"00080080": text("LO", "x" * 65), "00200052": text("UI", "1.2.3..4")})
    outcome = ended(server, client, datastore, "warned-metadata", mapping("long.json", uid(706)))
    (line,) = outcome.warning
    warnings = line["importResponse"]["warnings"]
    assert [entry["warning_reason_code"] for entry in warnings] == [0xB201, 0xB202]


def test_only_metadata_files_are_nothing_to_import(server: ServerProcess, client: Any, datastore: str) -> None:
    put_json(server.bucket(INPUT), "only-json/a.json", {})
    options = {"importConfiguration": configuration(mapping("a.json", "1.2"))}
    job = finished_job(client, datastore, start_job(server, client, datastore, "only-json", **options))
    assert (job["jobStatus"], "no objects" in job["message"]) == ("FAILED", True)
    assert job["importConfiguration"] == options["importConfiguration"]


REFUSED: dict[str, tuple[list[dict[str, str]], str]] = {
    "none": ([], "dicomMetadataMappings"),
    "too-many": ([mapping(f"{n}.json", f"1.{n}") for n in range(1001)], "dicomMetadataMappings"),
    "uid": ([mapping("a.json", "1.2.x")], "studyInstanceUID"),
    "empty-study": ([mapping("a.json", "")], "studyInstanceUID"),
    "absolute": ([mapping("a.json", "1.2"), mapping("/a.json", "1.3")], "dicomMetadataMappings[1].metadataFilePath"),
    "parent": ([mapping("../a.json", "1.2")], "without '..'"),
    "twice": ([mapping("a.json", "1.2", "1.3"), mapping("b.json", "1.2", "1.3")], "same study and series"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_mappings_that_cannot_be_are_refused_at_once(server: ServerProcess, datastore: str, name: str) -> None:
    mappings, words = REFUSED[name]
    client = server.client(parameter_validation=False)
    with pytest.raises(ClientError) as caught:
        start_job(server, client, datastore, "layers", importConfiguration=configuration(*mappings))
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert words in caught.value.response["Error"]["Message"]
    assert client.list_dicom_import_jobs(datastoreId=datastore)["jobSummaries"] == []


def test_a_client_token_stands_for_its_configuration_too(server: ServerProcess, client: Any, datastore: str) -> None:
    fill(server, "token", [slice_of(study=707)])
    options = {"clientToken": "one", "importConfiguration": configuration(mapping("a.json", "1.2"))}
    job_id = start_job(server, client, datastore, "token", **options)
    assert start_job(server, client, datastore, "token", **options) == job_id
    options["importConfiguration"] = configuration(mapping("b.json", "1.2"))
    with pytest.raises(ClientError) as caught:
        start_job(server, client, datastore, "token", **options)
    assert caught.value.response["Error"]["Code"] == "ConflictException"
    finished_job(client, datastore, job_id)
