"""QIDO-RS through HTTP: keys, ranges, wildcards, fuzzy matching, included attributes, paging, orders, both databases."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from support.clients.dicomweb import part10, root, session, store, values, web_client
from support.examples import examples
from support.files.synthetic import noise, slice_of, uid
from support.search.random_studies import (
    DESCRIPTIONS,
    MODALITIES,
    NAMES,
    PHYSICIANS,
    SOP_CLASSES,
    modalities_of,
    population,
    predicate,
    seen,
)
from support.servers import ServerProcess, active_datastore, wait_for

STUDY_TAGS = {
    *("00080005", "00080020", "00080030", "00080050", "00080056", "00080061", "00080090", "00081030", "00081190"),
    *("00100010", "00100020", "00100030", "00100040", "0020000D", "00200010", "00201206", "00201208"),
}
SERIES_TAGS = {
    *("00080005", "00080056", "00080060", "00081190", "0020000D", "0020000E", "00200011", "00201209"),
}
INSTANCE_TAGS = {
    *("00080005", "00080016", "00080018", "00080056", "00081190", "00083002", "0020000D", "0020000E", "00200013"),
    *("00280010", "00280011", "00280100"),
}
LEVELS = {"study": "0020000D", "series": "0020000E", "instance": "00080018"}
UID_OF = {"study": "StudyInstanceUID", "series": "SeriesInstanceUID", "instance": "SOPInstanceUID"}


class World:
    """A server with a data store full of random studies."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.session = session(server)
        self.datastore = active_datastore(server.client())
        datasets = population()
        assert store(server, self.datastore, [part10(dataset) for dataset in datasets]).status_code == 200
        self.instances = [seen(dataset) for dataset in datasets]
        self.modalities = modalities_of(self.instances)

    def get(self, path: str, **parameters: Any) -> requests.Response:
        return self.session.get(f"{root(self.server, self.datastore)}/{path}", params=parameters, timeout=60)

    def uids(self, level: str, path: str, **parameters: Any) -> list[str]:
        answer = self.get(path, **parameters)
        assert answer.status_code == 200, answer.text
        return [values(item, LEVELS[level])[0] for item in answer.json()]


@pytest.fixture(scope="module", params=["embedded", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    if request.param == "embedded":
        yield World(request.getfixturevalue("server"))
        return
    environment = {"HOUNSFIELD_DATABASE_URL": request.getfixturevalue("postgresql_url")}
    process = ServerProcess(tmp_path_factory.mktemp("search-postgresql") / "data", environment).start()
    try:
        yield World(process)
    finally:
        process.stop()


def patterns(texts: tuple[str, ...]) -> st.SearchStrategy[str]:
    """Values as they are, cut, with wildcards in them, and in another case."""

    def changed(text: str, at: int, how: int) -> str:
        at = min(at, len(text))
        forms = (
            text,
            f"{text[:at]}*",
            f"*{text[at:]}",
            f"{text[:at]}?{text[at + 1 :]}",
            text.upper(),
            f"*{text[1:at]}*",
        )
        return forms[how % len(forms)]

    return st.builds(changed, st.sampled_from(texts), st.integers(0, 12), st.integers(0, 5))


DATES = st.sampled_from(("20240101", "20240315", "20240620", "20241231"))
TIMES = st.sampled_from(("00", "10", "1015", "101530", "101530.25", "17", "23", "0830"))


def ranges(ends: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        ends,
        ends.map(lambda end: f"{end}-"),
        ends.map(lambda end: f"-{end}"),
        st.tuples(ends, ends).map(sorted).map("-".join),
    )


STUDY_KEYS: dict[str, st.SearchStrategy[str]] = {
    "PatientName": patterns(NAMES),
    "ReferringPhysicianName": patterns(PHYSICIANS),
    "StudyDescription": patterns(DESCRIPTIONS),
    "PatientID": patterns(tuple(f"P{n}" for n in range(6))),
    "AccessionNumber": patterns(tuple(f"A{n}" for n in range(9))),
    "StudyID": patterns(tuple(f"S{n}" for n in range(5))),
    "StudyDate": ranges(DATES),
    "StudyTime": ranges(TIMES),
    "PatientBirthDate": st.sampled_from(("19700101", "19750101-", "-19751231", "")),
    "PatientBirthTime": st.sampled_from(("06", "05-07", "")),
    "ModalitiesInStudy": st.sampled_from((*MODALITIES, "CT,MR", "CT\\SR", "?R", "*T", "X")),
    "StudyInstanceUID": st.sampled_from((uid(1), f"{uid(2)},{uid(3)}", f"{uid(4)}\\{uid(5)}", "1.2")),
}
SERIES_KEYS = {
    "Modality": st.sampled_from((*MODALITIES, "CT,SR", "?R", "X")),
    "SeriesInstanceUID": st.sampled_from((uid(1, 1), f"{uid(2, 1)},{uid(3, 1)}")),
    "SeriesNumber": st.sampled_from(("1", "02", "10", "77")),
    "PerformedProcedureStepStartDate": st.sampled_from(("20240105", "20240601-", "-20240105")),
    "PerformedProcedureStepStartTime": st.sampled_from(("08", "17-18", "1730-")),
}
INSTANCE_KEYS = {
    "SOPClassUID": st.sampled_from((*SOP_CLASSES, ",".join(SOP_CLASSES))),
    "SOPInstanceUID": st.sampled_from((uid(1, 1, 1), f"{uid(2, 1, 1)},{uid(3, 1, 1)}")),
    "InstanceNumber": st.sampled_from(("1", "02", "9", "77")),
}
KEYS = {
    "study": STUDY_KEYS,
    "series": {**STUDY_KEYS, **SERIES_KEYS},
    "instance": {**STUDY_KEYS, **SERIES_KEYS, **INSTANCE_KEYS},
}
PATHS = {
    "study": ["studies"],
    "series": ["series", f"studies/{uid(2)}/series"],
    "instance": ["instances", f"studies/{uid(2)}/instances", f"studies/{uid(2)}/series/{uid(2, 1)}/instances"],
}


@st.composite
def searches(draw: st.DrawFn) -> tuple[str, str, dict[str, str], bool]:
    level = draw(st.sampled_from(sorted(KEYS)))
    keys = draw(st.lists(st.sampled_from(sorted(KEYS[level])), max_size=3, unique=True))
    return (
        level,
        draw(st.sampled_from(PATHS[level])),
        {key: draw(KEYS[level][key]) for key in keys},
        draw(st.booleans()),
    )


def number(text: str) -> float:
    return int(text) if text else math.inf


def order_of(level: str, values_: dict[str, str]) -> tuple[float, str]:
    keyword = "SeriesNumber" if level == "series" else "InstanceNumber"
    return number(values_[keyword]), values_[UID_OF[level]]


@settings(max_examples=examples(120), deadline=None, suppress_health_check=list(HealthCheck))
@given(searches())
def test_searches_find_what_a_plain_filter_finds(world: World, search: tuple[str, str, dict[str, str], bool]) -> None:
    level, path, keys, fuzzy = search
    tests = [predicate(key, value, fuzzy=fuzzy) for key, value in keys.items()]
    if path != PATHS[level][0]:
        tests.append(predicate("StudyInstanceUID", uid(2)))
    if "series/" in path:
        tests.append(predicate("SeriesInstanceUID", uid(2, 1)))
    matching = [
        one for one in world.instances if all(test(one, world.modalities[one["StudyInstanceUID"]]) for test in tests)
    ]
    found = world.uids(level, path, fuzzymatching=str(fuzzy).lower(), **keys)
    expected = {one[UID_OF[level]] for one in matching}
    assert len(found) == len(set(found))
    assert set(found) == expected
    if level != "study" and path != f"studies/{uid(2)}/instances":
        by_uid = {one[UID_OF[level]]: one for one in matching}
        assert found == sorted(found, key=lambda name: order_of(level, by_uid[name]))
    pages = [world.uids(level, path, limit=3, offset=at, fuzzymatching=str(fuzzy).lower(), **keys) for at in (0, 3)]
    assert pages[0] + pages[1] == found[:6]


def test_dicomweb_client_searches(world: World) -> None:
    client = web_client(world.server, world.datastore)
    assert {values(item, "0020000D")[0] for item in client.search_for_studies(limit=5, get_remaining=True)} == set(
        world.modalities
    )
    janes = client.search_for_studies(search_filters={"PatientName": "jane"}, fuzzymatching=True, fields=["PatientAge"])
    expected = {one["StudyInstanceUID"] for one in world.instances if "jane" in one["PatientName"].lower()}
    assert {values(item, "0020000D")[0] for item in janes} == expected
    series = client.search_for_series(uid(1), search_filters={"00080060": "CT"})
    assert {values(item, "00080060")[0] for item in series} <= {"CT"}
    assert len(client.search_for_instances(search_filters={"PatientID": "P*"}, limit=4, offset=1)) == 4
    assert client.search_for_instances(uid(1), uid(1, 1), search_filters={"SOPInstanceUID": uid(1, 1, 1)})
    assert client.search_for_instances(uid(1), search_filters={"SOPInstanceUID": "1.2.3"}) == []


def test_more_than_the_limit_is_told(world: World) -> None:
    count = len(world.modalities)
    assert "warning" not in world.get("studies", limit=count).headers
    warning = world.get("studies", limit=count - 1).headers["warning"]
    assert re.fullmatch(r'299 \S+ ".+"', warning)
    assert world.get("studies", offset=count).json() == []


@pytest.mark.parametrize("sign", ["", "-"])
def test_studies_come_in_the_order_that_is_asked_for(world: World, sign: str) -> None:
    for keyword, tag in (("StudyDate", "00080020"), ("PatientID", "00100020"), ("00081030", "00081030")):
        answer = world.get("studies", orderby=f"{sign}{keyword}")
        assert "warning" not in answer.headers
        found = ["".join(values(item, tag)) for item in answer.json()]
        assert len(found) == len(world.get("studies").json())
        assert found == sorted(found, reverse=bool(sign))
        pages = [world.uids("study", "studies", orderby=f"{sign}{keyword}", limit=2, offset=at) for at in (0, 2)]
        assert pages[0] + pages[1] == [values(item, "0020000D")[0] for item in answer.json()][:4]


@pytest.mark.parametrize("order", ["StudyTime", "Modality", "x", "", "StudyDate,PatientID", "--StudyDate"])
def test_an_order_that_there_is_not_is_told(world: World, order: str) -> None:
    answer = world.get("studies", orderby=order)
    assert "orderby" in answer.headers["warning"]
    assert answer.json() == world.get("studies").json()
    assert "orderby" in world.get("series", orderby="StudyDate").headers["warning"]


def test_study_instances_come_by_the_last_change_first(world: World) -> None:
    study = 90
    for series in (1, 2):
        dataset = slice_of(series, 1, study=study, pixels=noise(4, 4))
        assert store(world.server, world.datastore, [part10(dataset)]).status_code == 200
        if series == 1:
            assert world.uids("study", "studies", limit=1) == [uid(study)]
    assert world.uids("instance", f"studies/{uid(study)}/instances") == [uid(study, 2, 1), uid(study, 1, 1)]
    again = slice_of(1, 2, study=study, pixels=noise(4, 4))
    assert store(world.server, world.datastore, [part10(again)]).status_code == 200
    assert world.uids("instance", f"studies/{uid(study)}/instances") == [
        uid(study, 1, 1),
        uid(study, 1, 2),
        uid(study, 2, 1),
    ]
    delete_study(world, study)


def delete_study(world: World, study: int) -> None:
    client = world.server.client()
    filters = [{"operator": "EQUAL", "values": [{"DICOMStudyInstanceUID": uid(study)}]}]
    found = client.search_image_sets(datastoreId=world.datastore, searchCriteria={"filters": filters})
    for entry in found["imageSetsMetadataSummaries"]:
        client.delete_image_set(datastoreId=world.datastore, imageSetId=entry["imageSetId"])
    wait_for(lambda: world.uids("study", "studies", StudyInstanceUID=uid(study)) == [], "the study to be gone")


@pytest.mark.parametrize(
    ("path", "query", "message"),
    [
        ("studies", "Foo=1", "Foo is neither"),
        ("studies", "0008002=1", "neither"),
        ("studies", "InstitutionName=x", "no search key"),
        ("studies", "Modality=CT", "no search key"),
        ("series", "SOPClassUID=1.2", "no search key"),
        ("studies", "StudyDate=2024", "YYYYMMDD"),
        ("studies", "StudyDate=20241301", "YYYYMMDD"),
        ("studies", "StudyDate=-", "YYYYMMDD"),
        ("studies", "StudyDate=20240102-20240101", "ends before"),
        ("studies", "StudyDate=2024010*", "YYYYMMDD"),
        ("studies", "StudyTime=2500", "HHMMSS"),
        ("studies", "StudyTime=1010-0909", "ends before"),
        ("studies", "StudyInstanceUID=1.2.*", "wildcards"),
        ("studies", "PatientID=1&00100020=2", "more than once"),
        ("studies", "PatientID=" + "x" * 1025, "longer than"),
        ("studies", "PatientID=%00", "zero character"),
        ("studies", "PatientID=" + "*a" * 17, "wildcards"),
        ("studies", "ModalitiesInStudy=" + ",".join(f"M{n}" for n in range(51)), "1 to 50"),
        ("studies", "StudyInstanceUID=" + ",".join(f"1.{n}" for n in range(1001)), "1 to 1000"),
        ("studies", "StudyInstanceUID=,", "1 to 1000"),
        ("studies", "fuzzymatching=true&PatientName=" + "^".join(f"a{n}" for n in range(17)), "at most 16"),
        ("series", "SeriesNumber=one", "integer"),
        ("series", "SeriesNumber=99999999999", "integer"),
        ("instances", "InstanceNumber=1*", "integer"),
        ("series", "InstanceNumber=1", "InstanceNumber"),
        ("instances", "WarningReason=B000", "decimal"),
        ("studies", "limit=0", "1 or more"),
        ("studies", "limit=-1", "1 or more"),
        ("studies", "limit=many", "1 or more"),
        ("studies", "limit=5&limit=6", "only once"),
        ("studies", "offset=1000001", "0 to 1000000"),
        ("studies", "offset=x", "0 to 1000000"),
        ("studies", "fuzzymatching=maybe", "true or false"),
        ("studies", "includefield=" + ",".join(f"0010{n:04X}" for n in range(51)), "at most 50"),
        ("studies", "imageSetId=1", "neither"),
    ],
)
def test_bad_searches_are_refused(world: World, path: str, query: str, message: str) -> None:
    answer = world.get(f"{path}?{query}")
    assert answer.status_code == 400, answer.text
    assert answer.headers["x-amzn-errortype"] == "ValidationException"
    assert message in answer.json()["message"]


def test_what_may_look_bad_and_is_not(world: World) -> None:
    everything = world.uids("study", "studies")
    fifty = ",".join(f"0010{n:04X}" for n in range(50))
    for query in (
        {"PatientName": "*", "limit": "1000", "offset": "0"},
        {"InstitutionName": "", "00100020": ""},
        {"includefield": f"{fifty},{fifty}"},
        {"includefield": "NoSuchKeyword,00080000.x,0008."},
        {"fuzzymatching": "true", "PatientName": "^ "},
        {"ModalitiesInStudy": ",".join(["CT", "MR", "SR", *(f"M{n}" for n in range(47))])},
    ):
        assert world.uids("study", "studies", **query) == everything
    # Text that means something to a database means nothing here.
    for text in ("%", "_", "[a-z]*", "'; DROP TABLE studies; --", "\\", '"'):
        assert set(world.uids("study", "studies", StudyDescription=text)) <= set(everything)
        assert world.uids("study", "studies", PatientID=text) == []
    assert world.uids("study", "studies", PatientName='"nobody"', fuzzymatching="true") == []
    assert world.get("studies", offset=1_000_000).json() == []


def test_unknown_data_store_and_other_methods(world: World) -> None:
    unknown = world.session.get(f"{world.server.url}/datastore/{'0' * 32}/studies", timeout=60)
    assert unknown.status_code == 404
    assert unknown.headers["x-amzn-errortype"] == "ResourceNotFoundException"
    answer = world.session.delete(f"{root(world.server, world.datastore)}/series", timeout=60)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert world.get(f"studies/{uid(999)}/series").json() == []


@pytest.fixture(scope="module")
def rich(server: ServerProcess) -> World:
    """A study whose instances have sequences, private elements, a large value and two languages."""
    result = World.__new__(World)
    result.server, result.session, result.datastore = server, session(server), active_datastore(server.client())
    dataset = slice_of(pixels=noise(4, 4), SpecificCharacterSet="ISO_IR 192")
    dataset.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    dataset.SeriesDate, dataset.SeriesDescription, dataset.SliceThickness = "20240103", "Axial", "1.50"
    dataset.InstitutionName, dataset.PatientAge, dataset.TimezoneOffsetFromUTC = "St. Elsewhere", "054Y", "+0100"
    dataset.PerformedProcedureStepStartDate = "20240102"
    request = Dataset()
    request.RequestedProcedureID, request.ScheduledProcedureStepID = "R1", "S1"
    dataset.RequestAttributesSequence = Sequence([request])
    code = Dataset()
    code.CodeValue, code.CodeMeaning = "1", "One"
    outer = Dataset()
    outer.PurposeOfReferenceCodeSequence = Sequence([code])
    outer.ReferencedSOPInstanceUID = "1.2.3"
    dataset.ReferencedImageSequence = Sequence([outer])
    block = dataset.private_block(0x0019, "Philips", create=True)
    block.add_new(0x01, "LO", "secret sauce")
    block.add_new(0x02, "OB", np.arange(1 << 20, dtype="u1").tobytes() + b"\0\0")
    plain = slice_of(number=2, pixels=noise(6, 5, dtype="<u2"), SpecificCharacterSet="ISO_IR 192")
    plain.PatientName = dataset.PatientName
    files = [part10(dataset), part10(plain)]
    assert store(server, result.datastore, files).status_code == 200
    return result


INSTANCES = f"studies/{uid(1)}/series/{uid(1, 1)}/instances"


def test_default_attributes(rich: World) -> None:
    (study,) = rich.get("studies").json()
    assert study.keys() == STUDY_TAGS | {"00080201"}
    assert values(study, "00100010") == [
        {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}
    ]
    assert values(study, "00201208") == [2]
    assert study["00080090"] == {"vr": "PN"}
    base = root(rich.server, rich.datastore)
    assert values(study, "00081190") == [f"{base}/studies/{uid(1)}"]
    (series,) = rich.get(f"studies/{uid(1)}/series").json()
    more = {"0008103E", "00080201", "00400244", "00400275"}
    assert series.keys() == SERIES_TAGS | more
    assert values(values(series, "00400275")[0], "00401001") == ["R1"]
    (relational,) = rich.get("series").json()
    assert relational.keys() == SERIES_TAGS | STUDY_TAGS | more
    assert values(relational, "00081190") == [f"{base}/studies/{uid(1)}/series/{uid(1, 1)}"]
    first, second = rich.get(INSTANCES).json()
    assert first.keys() == INSTANCE_TAGS | {"00080201"}
    assert second.keys() == INSTANCE_TAGS
    assert [values(second, tag) for tag in ("00280010", "00280011", "00280100", "00200013")] == [[6], [5], [16], [2]]
    assert values(first, "00083002")[0] == "1.2.840.10008.1.2.4.202"
    assert rich.get(f"studies/{uid(1)}/instances").json()[1].keys() == INSTANCE_TAGS | SERIES_TAGS | more - {"00080201"}
    everything = INSTANCE_TAGS | SERIES_TAGS | STUDY_TAGS | more - {"00080201"}
    assert rich.get("instances").json()[1].keys() == everything
    for item in (study, series, first):
        assert list(item) == sorted(item)
        assert values(item, "00080005") == ["ISO_IR 192"]
        assert values(item, "00080056") == ["ONLINE"]


def extra(rich: World, path: str, **parameters: Any) -> dict[str, Any]:
    """Return what the first result has besides the default attributes."""
    usual = rich.get(path).json()[0]
    item = rich.get(path, **parameters).json()[0]
    assert usual.items() <= item.items()
    return {tag: member for tag, member in item.items() if tag not in usual}


def test_included_attributes_by_name(rich: World) -> None:
    assert values(extra(rich, INSTANCES, includefield="SliceThickness"), "00180050") == [1.5]
    assert extra(rich, INSTANCES, includefield=["00180050", "0008103e,PatientAge"]).keys() == {
        "00180050",
        "0008103E",
        "00101010",
    }
    assert values(extra(rich, INSTANCES, PatientName=""), "00100010")[0]["Ideographic"] == "山田^太郎"
    series = extra(rich, f"studies/{uid(1)}/series", includefield="00080021,00080031,0008103E,00200011,InstitutionName")
    assert series.keys() == {"00080021", "00080080"}
    assert values(extra(rich, f"studies/{uid(1)}/series", includefield="00180050"), "00180050") == [1.5]
    assert values(extra(rich, "studies", includefield="PatientAge"), "00101010") == ["054Y"]
    # A study has no modality of its own, and nothing that tells instances apart.
    assert extra(rich, "studies", includefield="00080060,SOPInstanceUID,0020000E,00020010,00201209") == {}


def test_included_attributes_of_items(rich: World) -> None:
    found = extra(rich, INSTANCES, includefield="00081140.0040A170.00080104")
    assert found == {
        "00081140": {
            "vr": "SQ",
            "Value": [{"0040A170": {"vr": "SQ", "Value": [{"00080104": {"vr": "LO", "Value": ["One"]}}]}}],
        }
    }
    both = ["00081140.0040A170.00080104", "ReferencedImageSequence.ReferencedSOPInstanceUID"]
    item = values(extra(rich, INSTANCES, includefield=both), "00081140")[0]
    assert item.keys() == {"0040A170", "00081155"}
    whole = extra(rich, INSTANCES, includefield=["00081140", *both])
    assert values(values(whole, "00081140")[0], "0040A170")[0].keys() == {"00080100", "00080104"}
    assert extra(rich, INSTANCES, includefield="00180050.00080100") == {}
    assert extra(rich, INSTANCES, includefield="00081140.00080060.00080100")["00081140"] == {"vr": "SQ", "Value": [{}]}


def test_included_private_attributes(rich: World) -> None:
    private = {"includefield": "00191001", "00190010": "Philips"}
    assert extra(rich, INSTANCES, **private) == {
        "00190010": {"vr": "LO", "Value": ["Philips"]},
        "00191001": {"vr": "LO", "Value": ["secret sauce"]},
    }
    assert extra(rich, INSTANCES, includefield="00191001") == {}
    assert extra(rich, INSTANCES, **{**private, "00190010": "Siemens"}) == {}
    # The block that a creator has is that of the data set, not that of the request.
    assert "00191001" in extra(rich, INSTANCES, **{"includefield": "00192001", "00190020": "Philips"})
    assert extra(rich, INSTANCES, includefield="00190010").keys() == {"00190010"}


def test_all_attributes(rich: World) -> None:
    original = set(rich.get(f"{INSTANCES}/{uid(1, 1, 1)}/metadata").json()[0]) - {"00020010"}
    item = rich.get(INSTANCES, includefield=["all", "00180050"]).json()[0]
    assert item.keys() == original | {"00080005", "00080056", "00081190", "00083002"}
    large = item["00191002"]
    assert large["vr"] == "OB"
    content = rich.session.get(large["BulkDataURI"], timeout=60).content
    assert len(content) == (1 << 20) + 2
    study = rich.get("studies", includefield="all").json()[0]
    assert study.keys() == STUDY_TAGS | {"00080201", "00101010", "00400244"}
    series = rich.get(f"studies/{uid(1)}/series", includefield="all").json()[0]
    assert {"00180050", "00080021", "00080080", "00100010"} <= series.keys()
    assert series.keys().isdisjoint({"00191001", "00080018", "00081140", "00280010"})


def test_both_groups_of_a_name_are_searched(rich: World) -> None:
    for name in (
        "YAMADA^TAROU",
        "yamada*",
        "=山田*",
        "Yamada^Tarou=山田^太郎",
        "==やまだ^たろう",
        "*tarou^^",
        "山田*",
        "*山田*",
    ):
        assert len(rich.get("studies", PatientName=name).json()) == 1, name
    for name in ("yamada", "=yamada*", "田*", "*山", "yamada*=田*", "*山田*=*"):
        assert rich.get("studies", PatientName=name).json() == [], name
    assert len(rich.get("studies", PatientName="太", fuzzymatching="true").json()) == 1


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/dicom+json", "application/dicom+json"),
        ("application/dicom+json, application/json", "application/dicom+json"),
        ('application/dicom+json, multipart/related; type="application/octet-stream"', "application/dicom+json"),
        ('multipart/related; type="application/octet-stream", application/dicom+json', "application/dicom+json"),
        ("application/json", "application/json"),
        ("*/*", "application/dicom+json"),
    ],
)
def test_json_wherever_it_is_accepted(rich: World, accept: str, kind: str) -> None:
    answer = rich.session.get(f"{root(rich.server, rich.datastore)}/studies", headers={"Accept": accept}, timeout=60)
    assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
    assert len(answer.json()) == 1


def test_xml_and_nothing_else(rich: World) -> None:
    url = f"{root(rich.server, rich.datastore)}/instances"
    accept = 'multipart/related; type="application/dicom+xml"'
    answer = rich.session.get(url, headers={"Accept": accept}, timeout=60)
    assert answer.headers["content-type"].startswith(accept)
    assert answer.text.count("<NativeDicomModel") == 2
    assert 'keyword="SOPInstanceUID"' in answer.text
    assert rich.session.get(url, headers={"Accept": "text/html"}, timeout=60).status_code == 406


def test_warnings_are_searched(server: ServerProcess, datastore: str) -> None:
    good, bad = slice_of(number=1, pixels=noise(4, 4)), slice_of(number=2, pixels=noise(4, 4), StationName="S" * 40)
    assert store(server, datastore, [part10(good), part10(bad)]).status_code == 200
    get = session(server).get
    url = f"{root(server, datastore)}/instances"
    for value in ("45570", "455*", "*", "?5570"):
        (item,) = get(url, params={"WarningReason": value}, timeout=60).json()
        assert (values(item, "00080018"), values(item, "00081196")) == ([uid(1, 1, 2)], [0xB202])
    for value in ("45056", "1*"):
        assert get(url, params={"WarningReason": value}, timeout=60).json() == []
