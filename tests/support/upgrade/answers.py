"""Every answer a server gives about the image sets of its data folder, as JSON values that can be compared.

The same code asks the version that makes a folder and, later, the version under test.
It uses public clients only, so it runs with any version of the server.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import numpy as np
import requests
from botocore.exceptions import ClientError
from PIL import Image

from support.clients.dicomweb import SignedRequests
from support.servers import ServerProcess

Answers = dict[str, Any]
Key = tuple[str, str]

CHANGED_BY_READING = {"lastAccessedAt"}
SEARCHES: dict[str, dict[str, Any]] = {
    "all": {},
    "of a patient": {"filters": [{"operator": "EQUAL", "values": [{"DICOMPatientId": "P-1"}]}]},
    "of a day": {
        "filters": [
            {
                "operator": "BETWEEN",
                "values": [
                    {"DICOMStudyDateAndTime": {"DICOMStudyDate": "20240102"}},
                    {"DICOMStudyDateAndTime": {"DICOMStudyDate": "20240102", "DICOMStudyTime": "235959"}},
                ],
            }
        ],
        "sort": {"sortOrder": "ASC", "sortField": "createdAt"},
    },
}
WEB_SEARCHES = (
    "studies?includefield=all",
    "studies?PatientName=roe*&StudyDate=20240101-20240131",
    "series?Modality=CT",
    "series?includefield=all",
    "instances?includefield=all",
)


def answers(server: ServerProcess, users: Mapping[str, Key]) -> Answers:
    """Ask for everything, as root, and for what each of the users may see."""
    client = server.client()
    found: Answers = {}
    stores = client.list_datastores()["datastoreSummaries"]
    found["data stores"] = _comparable(stores)
    for store in sorted(stores, key=lambda store: str(store["datastoreName"])):
        if store["datastoreStatus"] == "ACTIVE":
            asked = [*_healthimaging(client, store), *_dicomweb(server, store["datastoreId"])]
            found |= {f"{store['datastoreName']}: {question}": answer for question, answer in asked}
    for name, key in users.items():
        found |= {f"{name}: {question}": answer for question, answer in _seen_by(server, key, stores)}
    return found


def _healthimaging(client: Any, store: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    datastore = {"datastoreId": store["datastoreId"]}
    yield "GetDatastore", _comparable(client.get_datastore(**datastore))
    yield "tags", client.list_tags_for_resource(resourceArn=store["datastoreArn"])["tags"]
    for name, criteria in SEARCHES.items():
        yield f"search {name}", _comparable(client.search_image_sets(**datastore, searchCriteria=criteria))
    jobs = client.list_dicom_import_jobs(**datastore)["jobSummaries"]
    yield "import jobs", _comparable(jobs)
    for job in jobs:
        yield f"job {job['jobId']}", _comparable(client.get_dicom_import_job(**datastore, jobId=job["jobId"]))
    summaries = client.search_image_sets(**datastore, searchCriteria={})["imageSetsMetadataSummaries"]
    for image_set in sorted(summary["imageSetId"] for summary in summaries):
        arn = f"{store['datastoreArn']}/imageset/{image_set}"
        yield f"{image_set} tags", client.list_tags_for_resource(resourceArn=arn)["tags"]
        versions = client.list_image_set_versions(**datastore, imageSetId=image_set)["imageSetPropertiesList"]
        yield f"{image_set} versions", _comparable(versions)
        for version in (entry["versionId"] for entry in versions):
            which = {**datastore, "imageSetId": image_set, "versionId": version}
            yield f"{image_set} version {version}", _comparable(client.get_image_set(**which))
            yield from _contents(client, which)


def _contents(client: Any, which: dict[str, str]) -> Iterator[tuple[str, Any]]:
    """Read the metadata document of one version of an image set, byte by byte, and all its frames."""
    name = f"{which['imageSetId']} version {which['versionId']}"
    try:
        answer = client.get_image_set_metadata(**which)
    except ClientError as error:
        yield f"{name} metadata", error.response["Error"]
        return
    document = gzip.decompress(answer["imageSetMetadataBlob"].read())
    yield f"{name} metadata", document.decode()
    for series in json.loads(document)["Study"]["Series"].values():
        for instance in series["Instances"].values():
            for frame in (frame["ID"] for frame in instance["ImageFrames"]):
                got = client.get_image_frame(
                    datastoreId=which["datastoreId"],
                    imageSetId=which["imageSetId"],
                    imageFrameInformation={"imageFrameId": frame},
                )
                yield f"{name} frame {frame}", [got["contentType"], _digest(got["imageFrameBlob"].read())]


def _dicomweb(server: ServerProcess, datastore: str) -> Iterator[tuple[str, Any]]:
    root = f"{server.url}/datastore/{datastore}"
    with requests.Session() as session:
        session.auth = SignedRequests(server)

        def get(path: str, accept: str) -> requests.Response:
            return session.get(f"{root}/{path}", headers={"Accept": accept}, timeout=60)

        def read(path: str) -> Any:
            """Read JSON, in which the address of the server stands as if it were always the same."""
            answer = get(path, "application/dicom+json")
            return json.loads(answer.text.replace(server.url, "http://server")) if answer.content else None

        for search in WEB_SEARCHES:
            yield search, read(search)
        for item in read("instances?includefield=all") or ():
            study, series, instance = (item[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018"))
            path = f"studies/{study}/series/{series}/instances/{instance}"
            yield f"{path}/metadata", read(f"{path}/metadata")
            for syntax in ("1.2.840.10008.1.2.1", "*"):
                accept = f"application/dicom; transfer-syntax={syntax}"
                yield f"{path} {syntax}", _file(get(path, accept))
            if "00280010" in item:
                yield f"{path}/rendered", _picture(get(f"{path}/rendered", "image/png"))


def _seen_by(server: ServerProcess, key: Key, stores: list[dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Ask for each image set with the key of a user, and tell which are shown."""
    root, user = server.client(), server.client(key=key)
    for datastore in (store["datastoreId"] for store in stores if store["datastoreStatus"] == "ACTIVE"):
        found = root.search_image_sets(datastoreId=datastore, searchCriteria={})["imageSetsMetadataSummaries"]
        for image_set in sorted(entry["imageSetId"] for entry in found):
            try:
                user.get_image_set(datastoreId=datastore, imageSetId=image_set)
            except ClientError as error:
                yield image_set, error.response["Error"]
            else:
                yield image_set, "shown"


def _comparable(value: Any) -> Any:
    """Leave out what is no part of an answer or changes by asking, and write moments as text."""
    if isinstance(value, dict):
        left_out = {"ResponseMetadata", *CHANGED_BY_READING}
        return {name: _comparable(member) for name, member in value.items() if name not in left_out}
    if isinstance(value, list):
        return [_comparable(member) for member in value]
    return value.isoformat() if isinstance(value, datetime) else value


def _file(answer: requests.Response) -> list[Any]:
    return [answer.status_code, answer.headers["content-type"], _digest(answer.content)]


def _picture(answer: requests.Response) -> list[Any]:
    """Compare pictures by their pixels: the compression of PNG differs from one release of zlib to the next."""
    if answer.status_code != 200:
        return [answer.status_code]
    pixels = np.asarray(Image.open(io.BytesIO(answer.content)))
    return [answer.status_code, list(pixels.shape), _digest(pixels.tobytes())]


def _digest(content: bytes) -> str:
    return f"{len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}"
