"""All that the API answers about what a server holds, to compare it with what it answers at another time."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from support.clients.dicomweb import root, session
from support.servers import ServerProcess

_QUERIES = ("studies", "series", "instances", "studies?includefield=all", "series?includefield=all")


def answers(server: ServerProcess, image_sets: dict[str, str]) -> dict[str, Any]:
    """Ask everything.

    Parameters
    ----------
    server : ServerProcess
        The server.
    image_sets : dict of str to str
        Data store of every image set there was, deleted ones too.
    """
    client = server.client()
    found: dict[str, Any] = {}
    for entry in client.get_paginator("list_datastores").paginate().build_full_result()["datastoreSummaries"]:
        name, arn = entry["datastoreId"], entry["datastoreArn"]
        if entry["datastoreStatus"] == "DELETED":
            found[name] = _plain(client.get_datastore, datastoreId=name)
            continue
        found[name] = {
            "datastore": _plain(client.get_datastore, datastoreId=name),
            "tags": _plain(client.list_tags_for_resource, resourceArn=arn),
            "jobs": _jobs(client, name),
            "search": _search(client, name),
            "image sets": {
                image_set: _image_set(client, name, image_set, arn)
                for image_set, datastore in sorted(image_sets.items())
                if datastore == name
            },
            "queries": {query: _query(server, name, query) for query in _QUERIES},
        }
    return found


def _plain(call: Any, **parameters: Any) -> Any:
    try:
        answer = call(**parameters)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    answer.pop("ResponseMetadata", None)
    return answer


def _jobs(client: Any, datastore: str) -> list[Any]:
    listed = client.get_paginator("list_dicom_import_jobs").paginate(datastoreId=datastore).build_full_result()
    return [
        _plain(client.get_dicom_import_job, datastoreId=datastore, jobId=entry["jobId"])
        for entry in listed["jobSummaries"]
    ]


def _search(client: Any, datastore: str) -> list[Any]:
    found: list[Any] = []
    for field in ("updatedAt", "createdAt", "DICOMStudyDateAndTime"):
        pages = client.get_paginator("search_image_sets").paginate(
            datastoreId=datastore, searchCriteria={"sort": {"sortOrder": "ASC", "sortField": field}}
        )
        found.append(pages.build_full_result()["imageSetsMetadataSummaries"])
    return found


def _image_set(client: Any, datastore: str, image_set: str, arn: str) -> dict[str, Any]:
    place = {"datastoreId": datastore, "imageSetId": image_set}
    listed = _plain(client.list_image_set_versions, **place)
    versions = [entry["versionId"] for entry in listed["imageSetPropertiesList"]] if isinstance(listed, dict) else []
    return {
        "versions": listed,
        "latest": _plain(client.get_image_set, **place),
        "each": [_plain(client.get_image_set, **place, versionId=version) for version in versions],
        "metadata": [_metadata(client, **place, versionId=version) for version in versions],
        "tags": _plain(client.list_tags_for_resource, resourceArn=f"{arn}/imageset/{image_set}"),
    }


def _metadata(client: Any, **place: str) -> Any:
    answer = _plain(client.get_image_set_metadata, **place)
    return answer if isinstance(answer, tuple) else answer["imageSetMetadataBlob"].read()


def _query(server: ServerProcess, datastore: str, query: str) -> Any:
    with session(server) as http:
        answer = http.get(f"{root(server, datastore)}/{query}", headers={"Accept": "application/dicom+json"})
    return answer.status_code, answer.json() if answer.status_code == 200 else answer.text
