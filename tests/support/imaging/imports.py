"""Running an import in a test and reading everything it made."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.servers import ServerProcess, finished_job, start_import


@dataclass
class Outcome:
    """What an import job left in its output location."""

    job: dict[str, Any]
    summary: dict[str, Any]
    success: list[dict[str, Any]]
    failure: list[dict[str, Any]]
    warning: list[dict[str, Any]]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def run_import(server: ServerProcess, client: Any, datastore_id: str, folder: str, seconds: float = 240.0) -> Outcome:
    """Import the folder ``folder`` of the bucket ``input`` and return what came of it."""
    server.bucket("output")
    job_id = start_import(client, datastore_id, f"s3://input/{folder}", "s3://output/")
    job = finished_job(client, datastore_id, job_id, seconds)
    return outcome_of(server, job)


def outcome_of(server: ServerProcess, job: dict[str, Any]) -> Outcome:
    output = server.data / "buckets" / job["outputS3Uri"].removeprefix("s3://")
    return Outcome(
        job,
        json.loads((output / "job-output-manifest.json").read_bytes())["jobSummary"],
        lines(output / "SUCCESS/success.ndjson"),
        lines(output / "FAILURE/failure.ndjson"),
        lines(output / "WARNING/warning.ndjson"),
    )


def document(client: Any, datastore_id: str, image_set_id: str, **version: str) -> dict[str, Any]:
    """Read the metadata document of an image set."""
    answer = client.get_image_set_metadata(datastoreId=datastore_id, imageSetId=image_set_id, **version)
    assert answer["contentEncoding"] == "gzip"
    return json.loads(gzip.decompress(answer["imageSetMetadataBlob"].read()))


def instances(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for series in document["Study"]["Series"].values():
        yield from series["Instances"].items()


def frame(client: Any, datastore_id: str, image_set_id: str, frame_id: str) -> tuple[bytes, str]:
    """Read one frame and its content type."""
    answer = client.get_image_frame(
        datastoreId=datastore_id, imageSetId=image_set_id, imageFrameInformation={"imageFrameId": frame_id}
    )
    return answer["imageFrameBlob"].read(), answer["contentType"]


def image_sets(client: Any, datastore_id: str) -> list[dict[str, Any]]:
    """List all image sets of a data store, page by page."""
    pages = client.get_paginator("search_image_sets").paginate(datastoreId=datastore_id, searchCriteria={})
    return [entry for page in pages for entry in page["imageSetsMetadataSummaries"]]
