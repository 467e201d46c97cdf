"""Requests to every operation that reads or changes image sets, with all its options, aimed at one image set: the target.

    target: series 2 of a study, marked in everything that can be told of it (texts, frames, the form of its pictures)
    model of the service, routes of DICOMweb ─▶ trials ─▶ what is told of the target, and whether it is as before

What it takes to aim an operation is written down here. One that is not, or that has a member which no trial gives, is found by
`uncovered`; a parameter of DICOMweb without a value is none that can be tried.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from typing import Any, Final
from uuid import uuid4

import numpy as np
import PIL.Image
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from pydicom.dataset import Dataset

from hounsfield.api.dicomweb.resources import ROUTES
from hounsfield.dicom.values.decode import BULK_DATA_THRESHOLD
from hounsfield.gateway.route_table import Route
from hounsfield.imaging.search.search_keys import SearchLevel, keys_of
from support.clients.dicomweb import BOUNDARY, multipart, part10, store
from support.clients.signed_http import Answer
from support.files.synthetic import save, slice_of, uid
from support.requests.every_route import Stranger, Trial, signed
from support.requests.shape_samples import MODEL, sent
from support.servers import ServerProcess, active_datastore, wait_for

MARKER: Final = "ZQ-MARKER"
INPUT: Final = "touched"
ROLE: Final = "arn:aws:iam::000000000000:role/importing"
STUDY, OWN, TARGET = uid(1), uid(1, 1), uid(1, 2)
_MARKED: Final = (
    "PatientName",
    "StudyDescription",
    "SeriesDescription",
    "ReferringPhysicianName",
    "InstitutionName",
    "ImageComments",
    "ProtocolName",
)
_ROWS, _COLUMNS = 24, 40
_ACCEPTS: Final = (
    "*/*",
    "application/dicom+json",
    'multipart/related; type="application/dicom+xml"',
    'multipart/related; type="application/dicom"; transfer-syntax=*',
    'multipart/related; type="application/octet-stream"; transfer-syntax=1.2.840.10008.1.2.1',
    'multipart/related; type="image/png"',
    "image/jpeg",
)
_LABEL: Final = re.compile(r"\{(\w+)\}")


def marked(number: int, **elements: Any) -> Dataset:
    """A slice of the target."""
    pixels = np.random.default_rng(number).integers(0, 2000, (_ROWS, _COLUMNS)).astype("<i2")
    made = slice_of(2, number, pixels=pixels, Modality="MR", **{**dict.fromkeys(_MARKED, MARKER), **elements})
    if number == 1:
        made.add_new(0x00091001, "OB", MARKER.encode() * (BULK_DATA_THRESHOLD // len(MARKER) + 1))
    return made


@dataclass(frozen=True)
class Place:
    """A data store with a study of two primary image sets, the second of which is the target, and one that is not primary.

    The third one is of the series of the target too, so that it can be promoted into it. There is another data store, empty.
    """

    server: ServerProcess
    client: Any
    datastore: str
    own: str
    target: str
    third: str
    other: str
    root: Stranger = field(repr=False)

    @classmethod
    def make(cls, server: ServerProcess) -> Place:
        client = server.client()
        datastore = active_datastore(client)
        dark = np.zeros((64, 64), "<i2")
        for slices in (
            # The target comes first in the order of the study, so that it would stand for it.
            [slice_of(1, number, pixels=dark, SeriesNumber=5) for number in (1, 2)],
            [marked(1), marked(2)],
            [slice_of(2, 9, pixels=dark, PatientID="P-2")],
        ):
            assert store(server, datastore, [part10(entry) for entry in slices]).status_code == 200
        found = client.search_image_sets(datastoreId=datastore)["imageSetsMetadataSummaries"]
        ids = {
            (entry["DICOMTags"]["DICOMSeriesInstanceUID"], entry["isPrimary"]): entry["imageSetId"] for entry in found
        }
        place = cls(
            server,
            client,
            datastore,
            ids[OWN, True],
            ids[TARGET, True],
            ids[TARGET, False],
            active_datastore(client),
            signed(Credentials(*server.key())),
        )
        client.tag_resource(resourceArn=place.arn, tags={"Ward": "3"})
        return place

    @property
    def datastore_arns(self) -> list[str]:
        """The ARNs of both data stores."""
        prefix = "arn:aws:medical-imaging:us-east-1:000000000000:datastore/"
        return [prefix + self.datastore, prefix + self.other]

    def arn_of(self, image_set: str) -> str:
        return f"{self.datastore_arns[0]}/imageset/{image_set}"

    @property
    def arn(self) -> str:
        """The ARN of the target."""
        return self.arn_of(self.target)

    def version(self, image_set: str) -> str:
        return str(self.client.get_image_set(datastoreId=self.datastore, imageSetId=image_set)["versionId"])

    @cached_property
    def frames(self) -> list[str]:
        """The ids of the frames of the target."""
        answer = self.client.get_image_set_metadata(datastoreId=self.datastore, imageSetId=self.target)
        document = json.loads(gzip.decompress(answer["imageSetMetadataBlob"].read()))
        (series,) = document["Study"]["Series"].values()
        return [frame["ID"] for instance in series["Instances"].values() for frame in instance["ImageFrames"]]

    @cached_property
    def digest(self) -> str:
        """What its bulk data is found by."""
        path = f"/datastore/{self.datastore}/studies/{STUDY}/series/{TARGET}/instances/{uid(1, 2, 1)}/metadata"
        (model,) = json.loads(self.root(self.server, Trial(_NO_ROUTE, "GET", path)).body)
        return str(model["00091001"]["BulkDataURI"]).partition("?")[0].rpartition("/")[2]

    @cached_property
    def needles(self) -> list[bytes]:
        """What is in the target alone, wherever it is sent."""
        stored = [
            self.client.get_image_frame(
                datastoreId=self.datastore, imageSetId=self.target, imageFrameInformation={"imageFrameId": frame}
            )["imageFrameBlob"].read()[-200:]
            for frame in self.frames
        ]
        return [MARKER.encode(), *stored, *(bytes(marked(number).PixelData)[:400] for number in (1, 2))]

    def told(self, answer: Answer) -> bool:
        """Return whether an answer tells anything of the target."""
        body = answer.body
        with suppress(OSError):
            body = gzip.decompress(body)
        shown = answer.headers.get("content-type", "")
        pictures = _pictures(body) if "image/" in shown else ()
        return any(needle in body for needle in self.needles) or any(width != height for width, height in pictures)

    def state(self) -> Any:
        """Everything about the target that an operation could change."""
        place = {"datastoreId": self.datastore, "imageSetId": self.target}
        versions = self.client.list_image_set_versions(**place)["imageSetPropertiesList"]
        try:
            properties = self.client.get_image_set(**place)
            document = self.client.get_image_set_metadata(**place)["imageSetMetadataBlob"].read()
            tags = self.client.list_tags_for_resource(resourceArn=self.arn)["tags"]
        except ClientError as error:
            return versions, error.response["Error"]["Code"]
        return versions, {**properties, "ResponseMetadata": None}, gzip.decompress(document), tags

    def settle(self) -> None:
        """Wait until nothing is under way."""

        def done() -> bool:
            sets = self.client.search_image_sets(datastoreId=self.datastore)["imageSetsMetadataSummaries"]
            states = {
                self.client.get_image_set(datastoreId=self.datastore, imageSetId=entry["imageSetId"])["imageSetState"]
                for entry in sets
            }
            jobs = self.client.list_dicom_import_jobs(datastoreId=self.datastore)["jobSummaries"]
            return "LOCKED" not in states and all(job["jobStatus"] in {"COMPLETED", "FAILED"} for job in jobs)

        wait_for(done, "all operations to end")


_NO_ROUTE: Final = Route("", "", "")


def _pictures(body: bytes) -> Iterator[tuple[int, int]]:
    """Return the sizes of the pictures in an answer."""
    for begin in (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8"):
        for found in re.finditer(re.escape(begin), body):
            with suppress(OSError, SyntaxError):
                yield PIL.Image.open(BytesIO(body[found.start() :])).size


# ---- the native API

Parameters = Mapping[str, Any]


def _blob(**content: Any) -> bytes:
    return json.dumps({"SchemaVersion": 1.1, **content}).encode()


def _updates(place: Place) -> Iterator[Parameters]:
    study = {"Study": {"DICOM": {"StudyDescription": "changed"}}}
    change = {"DICOMUpdates": {"updatableAttributes": _blob(**study)}}
    removal = {"DICOMUpdates": {"removableAttributes": _blob(Study={"DICOM": {"StudyDescription": ""}})}}
    for image_set, more in (
        (place.target, {}),
        (place.own, {"includeStudyImageSets": True}),
        (place.own, {"includeStudyImageSets": True, "force": True}),
    ):
        for updates in (change, removal):
            named = {"imageSetId": image_set, "latestVersionId": place.version(image_set)}
            yield {**named, **more, "updateImageSetMetadataUpdates": updates}
    latest = {"imageSetId": place.target, "latestVersionId": place.version(place.target)}
    yield {**latest, "updateImageSetMetadataUpdates": {"revertToVersionId": "1"}}


def _copies(place: Place) -> Iterator[Parameters]:
    def given(image_set: str) -> dict[str, Any]:
        return {"latestVersionId": place.version(image_set)}

    def copy(source: str, into: str | None = None, **more: Any) -> Parameters:
        information: dict[str, Any] = {"sourceImageSet": given(source)}
        if into is not None:
            information["destinationImageSet"] = {"imageSetId": into, **given(into)}
        return {"sourceImageSetId": source, "copyImageSetInformation": information, **more}

    subset = {"Study": {"Series": {TARGET: {"Instances": {uid(1, 2, 9): {}}}}}}
    some = copy(place.third, promoteToPrimary=True)
    some["copyImageSetInformation"]["sourceImageSet"]["DICOMCopies"] = {
        "copiableAttributes": json.dumps({"SchemaVersion": "1.1", **subset})
    }
    yield from (
        copy(place.third, promoteToPrimary=True),
        some,
        copy(place.third, place.target, promoteToPrimary=True),
        copy(place.third, place.target),
        copy(place.target),
        copy(place.target, place.third, force=True),
    )


def _searches(place: Place) -> Iterator[Parameters]:
    yield {}
    yield {"maxResults": 1}
    first = place.client.search_image_sets(datastoreId=place.datastore, maxResults=1)
    yield {"maxResults": 1, "nextToken": first["nextToken"]}
    now = {"createdAt": "2020-01-01T00:00:00Z"}, {"createdAt": "2100-01-01T00:00:00Z"}
    changed = {"updatedAt": "2020-01-01T00:00:00Z"}, {"updatedAt": "2100-01-01T00:00:00Z"}
    moment = {"DICOMStudyDateAndTime": {"DICOMStudyDate": "20240102", "DICOMStudyTime": "101112"}}
    for values in (
        [{"DICOMPatientId": "P-1"}],
        [{"DICOMAccessionNumber": "A-1"}],
        [{"DICOMStudyId": "S1"}],
        [{"DICOMStudyInstanceUID": STUDY}],
        [{"DICOMSeriesInstanceUID": TARGET}],
        [{"isPrimary": True}],
        [moment],
        list(now),
        list(changed),
    ):
        operator = "EQUAL" if len(values) == 1 else "BETWEEN"
        yield {"searchCriteria": {"filters": [{"values": values, "operator": operator}]}}
    for by in ("updatedAt", "createdAt", "DICOMStudyDateAndTime"):
        for order in ("ASC", "DESC"):
            yield {"searchCriteria": {"sort": {"sortField": by, "sortOrder": order}}}


def _imports(place: Place) -> Iterator[Parameters]:
    folder = place.server.bucket(INPUT) / place.datastore
    place.server.bucket("results")
    # One that replaces an instance of the target, and one that comes to be of it by a metadata file.
    save(marked(1, ImageComments="replaced"), folder / "plain" / "1.dcm")
    save(slice_of(2, 7), folder / "mapped" / "1.dcm")
    (folder / "mapped" / "metadata.json").write_text(json.dumps([{"00104000": {"vr": "LT", "Value": ["mapped"]}}]))
    mapping = {"studyInstanceUID": STUDY, "seriesInstanceUID": TARGET, "metadataFilePath": "metadata.json"}
    configuration = {"dicomJsonMetadataImportConfiguration": {"dicomMetadataMappings": [mapping]}}
    common = {"dataAccessRoleArn": ROLE, "outputS3Uri": "s3://results/"}
    for name, more in (("plain", {}), ("mapped", {"importConfiguration": configuration})):
        named = {"jobName": name, "clientToken": uuid4().hex, "inputOwnerAccountId": "000000000000"}
        yield {**common, **named, **more, "inputS3Uri": f"s3://{INPUT}/{place.datastore}/{name}/"}


def _target(place: Place) -> dict[str, Any]:
    return {"imageSetId": place.target}


NATIVE: Final[Mapping[str, Callable[[Place], Iterable[Parameters]]]] = {
    "CopyImageSet": _copies,
    "DeleteImageSet": lambda place: [_target(place)],
    "GetImageFrame": lambda place: [
        {"imageSetId": image_set, "imageFrameInformation": {"imageFrameId": frame}}
        for frame in place.frames
        for image_set in (place.target, place.own)
    ],
    "GetImageSet": lambda place: [_target(place), {**_target(place), "versionId": "1"}],
    "GetImageSetMetadata": lambda place: [_target(place), {**_target(place), "versionId": "1"}],
    "ListImageSetVersions": lambda place: [
        _target(place),
        {**_target(place), "maxResults": 1},
        {**_target(place), "nextToken": "none"},
    ],
    "ListTagsForResource": lambda place: [{"resourceArn": place.arn}],
    "SearchImageSets": _searches,
    "StartDICOMImportJob": _imports,
    "TagResource": lambda place: [{"resourceArn": place.arn, "tags": {"Ward": "4"}}],
    "UntagResource": lambda place: [{"resourceArn": place.arn, "tagKeys": ["Ward"]}],
    "UpdateImageSetMetadata": _updates,
}
"""Parameters that aim each operation at the target, but for its data store."""

PROPERTIES: Final = frozenset({"GetImageSet", "ListImageSetVersions", "ListTagsForResource"})
"""Operations whose answers have nothing marked: that they are let in tells that they would be answered."""

ELSEWHERE: Final = frozenset(
    {
        "CreateDatastore",
        "GetDatastore",
        "ListDatastores",
        "DeleteDatastore",  # of a data store without image sets
        "GetDICOMImportJob",
        "ListDICOMImportJobs",
        "RetrieveCapabilities",
    }
)
"""Operations that touch no image set."""


def native_trial(operation: str, place: Place, parameters: Parameters) -> Trial:
    shape = MODEL.operation_model(operation).input_shape
    whole = {"datastoreId": place.datastore, **parameters}
    if "datastoreId" not in shape.members:
        whole.pop("datastoreId")
    request = sent(operation, whole)
    headers = {name.decode(): value.decode() for name, value in request.headers if name == b"content-type"}
    query = f"?{request.query_string.decode()}" if request.query_string else ""
    route = Route(request.method, request.raw_path.decode(), operation)
    return Trial(route, request.method, request.raw_path.decode() + query, request.body, headers)


def members(shape: Any, prefix: str = "") -> Iterator[str]:
    """Return the paths of everything that can be said in a shape of the model."""
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            yield from members(member, f"{prefix}/{name}")
    elif shape.type_name == "list":
        yield from members(shape.member, prefix)
    else:
        yield prefix


def said(value: Any, prefix: str = "") -> Iterator[str]:
    """Return the paths of what is said in parameters; keys of maps are values."""
    if isinstance(value, dict) and not prefix.endswith("/tags"):
        for name, member in value.items():
            yield from said(member, f"{prefix}/{name}")
    elif isinstance(value, list):
        for member in value:
            yield from said(member, prefix)
    else:
        yield prefix


# ---- DICOMweb

VALUES: Final[Mapping[str, Callable[[Place], Sequence[str]]]] = {
    "imageSetId": lambda place: [place.target, place.third],
    "annotation": lambda _: ["patient,technique"],
    "iccprofile": lambda _: ["no"],
    "quality": lambda _: ["50"],
    "viewport": lambda _: ["32,32"],
    "window": lambda _: ["40,400,linear"],
    "includefield": lambda _: ["all", "SeriesDescription,StudyDescription,ImageComments,00091001", "PatientComments"],
    "fuzzymatching": lambda _: ["true"],
    "limit": lambda _: ["1"],
    "offset": lambda _: ["1"],
}
"""Values of the parameters that operations have; a parameter that is not here is found by `uncovered`."""

SEARCHED: Final[Mapping[str, Sequence[str]]] = {
    "StudyDate": ["20240102"],
    "StudyTime": ["101112"],
    "AccessionNumber": ["A-1"],
    "ModalitiesInStudy": ["MR", "CT"],
    "ReferringPhysicianName": [MARKER, "ZQ*"],
    "StudyDescription": [MARKER, "ZQ*", "Head"],
    "PatientName": [MARKER, "*ZQ*", "Roe*"],
    "PatientID": ["P-1"],
    "PatientBirthDate": ["19700101-"],
    "PatientBirthTime": ["10-12"],
    "StudyInstanceUID": [STUDY],
    "StudyID": ["S1"],
    "Modality": ["MR"],
    "SeriesInstanceUID": [TARGET],
    "SeriesNumber": ["2"],
    "PerformedProcedureStepStartDate": ["20240102"],
    "PerformedProcedureStepStartTime": ["101112"],
    "SOPClassUID": ["1.2.840.10008.5.1.4.1.1.2"],
    "SOPInstanceUID": [uid(1, 2, 1)],
    "InstanceNumber": ["1"],
    "WarningReason": ["*"],
}
"""Values that search keys have in the target."""

STOWED: Final = (marked(1, ImageComments="replaced"), marked(5))
"""An instance that would replace one of the target, and one that would be added to it."""


def web_route(operation: str) -> Route:
    """Return the route of a DICOMweb operation."""
    ((method, path),) = [(method, path) for method, path, name in ROUTES if name == operation]
    return Route(method, f"/datastore/{{datastoreId}}/{path}".rstrip("/"), operation)


def web_trials(route: Route, place: Place) -> Iterator[Trial]:
    """Return the requests of a DICOMweb operation that are aimed at the target."""
    labels = {
        "datastoreId": place.datastore,
        "study": STUDY,
        "series": TARGET,
        "instance": uid(1, 2, 1),
        "frames": "1",
        "digest": place.digest,
    }
    path = _LABEL.sub(lambda label: labels[label[1]], route.path)
    if route.method == "POST":
        headers = {"Accept": "application/dicom+json"}
        several = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
        parts = [part10(entry) for entry in STOWED]
        yield Trial(route, "POST", path, multipart(parts), {**headers, "Content-Type": several})
        for part in parts:
            yield Trial(route, "POST", path, part, {**headers, "Content-Type": "application/dicom"})
        return
    if route.method != "GET":
        yield Trial(route, route.method, path)
        return
    for accept in _ACCEPTS:
        yield Trial(route, "GET", path, headers={"Accept": accept})
    for name, values in _parameters(route, place, path):
        for value in values:
            yield Trial(route, "GET", f"{path}?{name}={value}", headers={"Accept": "*/*"})


def _parameters(route: Route, place: Place, path: str) -> Iterator[tuple[str, Sequence[str]]]:
    """Return the query parameters of a route, as the server tells them to whoever gives one that it does not know."""
    refused = place.root(place.server, Trial(route, "GET", f"{path}?no-such-parameter=1")).message
    found = re.search(r"(?:Known are|nor one of) (.+?)\.$", refused)
    assert found is not None, f"{route.operation} does not tell its parameters: {refused}"
    for name in found[1].split(", "):
        if name != "accept":
            yield name, VALUES[name](place)
    if "Search" in route.operation:
        levels = {"Studies": SearchLevel.STUDY, "Series": SearchLevel.SERIES, "Instances": SearchLevel.INSTANCE}
        (level,) = (level for end, level in levels.items() if route.operation.endswith(end))
        for key in keys_of(level):
            yield key.keyword, SEARCHED[key.keyword]


# ---- both

CHANGING: Final = (
    "TagResource",
    "UntagResource",
    "UpdateImageSetMetadata",
    "CopyImageSet",
    "StoreDICOM",
    "StoreDICOMStudy",
    "StartDICOMImportJob",
    "DeleteInstance",
    "DeleteSeries",
    "DeleteStudy",
    "DeleteImageSet",
)
"""Operations that change image sets; those that delete them come last."""


def trials(operation: str, place: Place) -> Iterable[Trial]:
    """Return the requests of an operation that are aimed at the target."""
    if operation in NATIVE:
        return _native_trials(operation, place)
    return web_trials(web_route(operation), place)


def _native_trials(operation: str, place: Place) -> Iterator[Trial]:
    for parameters in NATIVE[operation](place):
        yield native_trial(operation, place, parameters)
    if operation not in CHANGING:
        # The target by the name of another data store, in which no policy denies anything.
        for parameters in NATIVE[operation](place):
            yield native_trial(operation, place, {**parameters, "datastoreId": place.other})


def uncovered(routes: Iterable[Route], place: Place) -> list[str]:
    """List operations, and members of their parameters, that no trial is made of."""
    found = []
    for operation in dict.fromkeys(route.operation for route in routes):
        if operation in ELSEWHERE:
            continue
        if operation in MODEL.operation_names:
            given = {
                path for parameters in NATIVE.get(operation, lambda _: [])(place) for path in said(dict(parameters))
            }
            whole = set(members(MODEL.operation_model(operation).input_shape)) - {"/datastoreId"}
            found += [f"{operation}{path}" for path in sorted(whole - given)]
        elif operation not in {name for _, _, name in ROUTES}:
            found.append(operation)
    return found
