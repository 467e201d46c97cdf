"""What the public samples of AWS for HealthImaging ask and rely on, pattern by pattern."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
import subprocess
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from struct import unpack_from
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import imagecodecs
import numpy as np
import pytest
from pydicom.uid import SegmentationStorage

from support.clients.signed_http import send_signed, signature
from support.files.synthetic import noise, save, slice_of, uid
from support.imaging.imports import document, frame, image_sets, instances, run_import
from support.required_tools import required_tool
from support.servers import ServerProcess, active_datastore, finished_job, start_import, wait_for


@dataclass(frozen=True)
class Sample:
    """A data store with one series of three slices."""

    datastore_id: str
    image_set_id: str
    frame_ids: list[str]
    pixels: list[Any]

    @property
    def path(self) -> str:
        return f"/datastore/{self.datastore_id}/imageSet/{self.image_set_id}"


@pytest.fixture(scope="module")
def sample(server: ServerProcess, client: Any) -> Sample:
    datastore_id = active_datastore(client)
    pixels = [noise(320, 256, number) for number in range(3)]
    for number, picture in enumerate(pixels):
        save(slice_of(study=931, number=number, pixels=picture), server.bucket("input") / f"samples/{number}.dcm")
    outcome = run_import(server, client, datastore_id, "samples/")
    (entry,) = outcome.summary["imageSetsSummary"]
    found = dict(instances(document(client, datastore_id, entry["imageSetId"])))
    frame_ids = [found[uid(931, 1, number)]["ImageFrames"][0]["ID"] for number in range(3)]
    return Sample(datastore_id, entry["imageSetId"], frame_ids, pixels)


def test_the_viewer_reads_by_presigned_urls(client: Any, sample: Sample) -> None:
    """The sample viewer signs every GET in the query, so that the browser sends no header of its own."""
    arn = client.get_image_set(datastoreId=sample.datastore_id, imageSetId=sample.image_set_id)["imageSetArn"]
    reads = [
        ("list_datastores", {}, "datastoreSummaries"),
        ("get_datastore", {"datastoreId": sample.datastore_id}, "datastoreProperties"),
        ("list_dicom_import_jobs", {"datastoreId": sample.datastore_id, "maxResults": 50}, "jobSummaries"),
        ("list_tags_for_resource", {"resourceArn": arn}, "tags"),
    ]
    for operation, parameters, member in reads:
        with urlopen(client.generate_presigned_url(operation, Params=parameters), timeout=30) as answer:
            assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
            assert member in json.loads(answer.read())


def test_the_viewer_says_things_twice(server: ServerProcess, sample: Sample) -> None:
    """Its POSTs have in the body what is in the query, and the other way round; what does not belong there is ignored."""

    def posted(path: str, body: dict[str, Any]) -> bytes:
        answer = send_signed(server, "POST", sample.path + path, json.dumps(body).encode())
        assert answer.status == 200, answer.body
        return answer.body

    frame_id = sample.frame_ids[0]
    data = posted(f"/getImageFrame?imageFrameId={frame_id}", {"imageFrameId": frame_id})
    np.testing.assert_array_equal(imagecodecs.htj2k_decode(data), sample.pixels[0])
    found = json.loads(posted("/getImageSet?version=1", {"version": "1", "versionId": "1"}))
    assert found["versionId"] == "1"
    (version,) = json.loads(posted("/listImageSetVersions?maxResults=10", {"maxResults": 10}))["imageSetPropertiesList"]
    # The capital letter is that of the API.
    assert version["ImageSetWorkflowStatus"] == "CREATED"
    assert isinstance(version["createdAt"], float | int)


def test_the_viewer_lets_the_browser_inflate_the_metadata(server: ServerProcess, sample: Sample) -> None:
    """The metadata is gzip and says so, also to those who ask for none; grand-challenge.org sends the version in the body."""
    for headers in ({}, {"Accept-Encoding": "identity"}, {"Accept-Encoding": "gzip, br"}):
        path = f"{sample.path}/getImageSetMetadata"
        answer = send_signed(server, "POST", path, b'{"versionId":"1"}', headers)
        assert (answer.headers["content-type"], answer.headers["content-encoding"]) == ("application/json", "gzip")
        assert json.loads(gzip.decompress(answer.body))["ImageSetID"] == sample.image_set_id


def test_the_viewer_searches_page_by_page(server: ServerProcess, client: Any) -> None:
    """An empty body finds everything; there is always a list; tokens travel encoded in the query."""
    datastore_id = active_datastore(client)
    path = f"/datastore/{datastore_id}/searchImageSets"

    def page(query: str = "", body: bytes = b"{}") -> dict[str, Any]:
        answer = send_signed(server, "POST", path + query, body)
        assert answer.status == 200, answer.body
        return dict(json.loads(answer.body))

    assert page()["imageSetsMetadataSummaries"] == []
    for number in range(3):
        save(slice_of(number, study=932), server.bucket("input") / f"pages/{number}.dcm")
    run_import(server, client, datastore_id, "pages/")
    found, token = [], ""
    while len(found) < 3:
        answer = page(f"?maxResults=1{token}")
        found += [entry["imageSetId"] for entry in answer["imageSetsMetadataSummaries"]]
        token = f"&nextToken={quote(answer.get('nextToken', ''), safe='')}"
    assert set(found) == {entry["imageSetId"] for entry in image_sets(client, datastore_id)}
    assert len(page("?maxResults=50")["imageSetsMetadataSummaries"]) == 3


def test_the_viewer_tags_by_an_encoded_arn(server: ServerProcess, client: Any, sample: Sample) -> None:
    arn = client.get_image_set(datastoreId=sample.datastore_id, imageSetId=sample.image_set_id)["imageSetArn"]
    path = f"/tags/{quote(arn, safe='')}"
    body = b'{"tags": {"a": "1", "b": "2", "c": "3"}}'
    assert send_signed(server, "POST", path, body, {"Content-Type": "application/json"}).status == 204
    assert send_signed(server, "DELETE", f"{path}?tagKeys=a&tagKeys=b").status == 204
    assert json.loads(send_signed(server, "GET", path).body) == {"tags": {"c": "3"}}


def tile_parts(data: bytes) -> Iterator[int]:
    """Return where each tile-part of a boxed codestream ends (ISO 15444-1 A.4.2: SOT marker, Psot)."""
    position = data.index(b"\xff\x4f\xff\x51")
    position = data.index(b"\xff\x90\x00\x0a", position)
    while data[position : position + 2] == b"\xff\x90":
        (length,) = unpack_from(">I", data, position + 6)
        position += length
        yield position
    assert data[position:] == b"\xff\xd9"


def test_the_tile_level_proxy_cuts_frames_at_tile_parts(client: Any, sample: Sample) -> None:
    """Each resolution is a tile-part of its own; the bytes up to its end are a smaller image with the published checksum."""
    ((_, instance),) = [
        entry
        for entry in instances(document(client, sample.datastore_id, sample.image_set_id))
        if entry[0] == uid(931, 1, 0)
    ]
    data, _ = frame(client, sample.datastore_id, sample.image_set_id, sample.frame_ids[0])
    ends = list(tile_parts(data))
    assert len(ends) > 2
    (entry,) = instance["ImageFrames"]
    levels = {(level["Height"], level["Width"]): level["Checksum"]
              for level in entry["PixelDataChecksumFromBaseToFullResolution"]}  # fmt: skip
    compared = 0
    for skipped, end in enumerate(reversed(ends)):
        samples = imagecodecs.htj2k_decode(data[:end], skipres=skipped)
        if samples.shape in levels:
            assert zlib.crc32(np.ascontiguousarray(samples)) == levels[samples.shape]
            compared += 1
    assert compared == len(levels) == 2


def test_the_ingestion_finds_its_output(server: ServerProcess, client: Any, datastore: str) -> None:
    """It puts the path together by itself, from the folder that it asked for, with or without a slash."""
    save(slice_of(study=933), server.bucket("input") / "ingestion/one.dcm")
    server.bucket("output")
    for folder in ("s3://output/ingestion", "s3://output/ingestion/"):
        job_id = start_import(client, datastore, "s3://input/ingestion/", folder)
        assert finished_job(client, datastore, job_id)["jobStatus"] == "COMPLETED"
        path = server.data / f"buckets/output/ingestion/{datastore}-DicomImport-{job_id}/SUCCESS/success.ndjson"
        (line,) = [json.loads(line) for line in path.read_text().splitlines()]
        assert line["importResponse"]["imageSetId"] == image_sets(client, datastore)[0]["imageSetId"]


def test_the_metadata_index_has_the_frame_id_as_its_key(client: Any, sample: Sample) -> None:
    """Frame ids are at most 32 characters, and unique over all image sets, copies too."""
    copied = client.copy_image_set(
        datastoreId=sample.datastore_id,
        sourceImageSetId=sample.image_set_id,
        copyImageSetInformation={"sourceImageSet": {"latestVersionId": "1"}},
    )
    copy = copied["destinationImageSetProperties"]["imageSetId"]

    def copied_document() -> dict[str, Any] | None:
        found = client.get_image_set(datastoreId=sample.datastore_id, imageSetId=copy)
        return document(client, sample.datastore_id, copy) if found["imageSetState"] == "ACTIVE" else None

    of_copy = instances(wait_for(copied_document, "the copy"))
    ids = [*sample.frame_ids, *(entry["ID"] for _, instance in of_copy for entry in instance["ImageFrames"])]
    assert len(set(ids)) == 6
    assert all(len(identifier) <= 32 for identifier in ids)


@pytest.mark.parametrize("protocol", ["--http1.1", "--http2-prior-knowledge"])
def test_the_batch_retriever_signs_with_libcurl(
    server: ServerProcess, sample: Sample, protocol: str, tmp_path: Path
) -> None:
    """libcurl's signature, and its content type for forms around a JSON body."""
    required_tool(shutil.which("curl") is not None, "curl is not installed")
    signing = ["--aws-sigv4", "aws:amz:us-east-1:medical-imaging", "--user", ":".join(server.key())]
    asked = ["--data", json.dumps({"imageFrameId": sample.frame_ids[0]}), f"{server.url}{sample.path}/getImageFrame"]
    command = ["curl", "--silent", "--fail", "--max-time", "60", protocol, "--output", tmp_path / "frame"]
    subprocess.run([*command, *signing, *asked], check=True, timeout=90)
    np.testing.assert_array_equal(imagecodecs.htj2k_decode((tmp_path / "frame").read_bytes()), sample.pixels[0])


MANY_STREAMS = """
import { connect } from "node:http2";
const { url, path, requests } = JSON.parse(process.argv[1]);
const session = connect(url);
const answers = requests.map(({ headers, body }) => new Promise((resolve, reject) => {
  const stream = session.request({ ":method": "POST", ":path": path, ...headers });
  const parts = [];
  stream.on("data", (part) => parts.push(part));
  stream.on("end", () => resolve(Buffer.concat(parts).toString("base64")));
  stream.on("error", reject);
  stream.end(body);
}));
console.log(JSON.stringify(await Promise.all(answers)));
session.close();
"""


def test_the_batch_retriever_asks_for_many_frames_in_one_connection(server: ServerProcess, sample: Sample) -> None:
    """HTTP/2 with its streams side by side (by Node: Debian's curl cannot use such a connection a second time)."""
    required_tool(shutil.which("node") is not None, "Node.js (Debian package nodejs) is not installed")
    path = f"{sample.path}/getImageFrame"
    requests = []
    for frame_id in sample.frame_ids * 10:
        body = json.dumps({"imageFrameId": frame_id})
        headers = signature(server, "POST", path, body.encode(), {"Content-Type": "application/x-www-form-urlencoded"})
        requests.append({"headers": headers, "body": body})
    asked = json.dumps({"url": server.url, "path": path, "requests": requests})
    command = ["node", "--input-type=module", "--eval", MANY_STREAMS, asked]
    run = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert run.returncode == 0, run.stderr
    answers = [base64.b64decode(answer) for answer in json.loads(run.stdout)]
    for data, pixels in zip(answers, sample.pixels * 10, strict=True):
        np.testing.assert_array_equal(imagecodecs.htj2k_decode(data), pixels)


def test_the_dicomweb_proxy_takes_binary_segments_as_they_are(
    server: ServerProcess, client: Any, datastore: str
) -> None:
    """Frames of a binary segmentation are raw bits; every value comes from the instance or the one series of the set."""
    bits = np.random.default_rng(5).integers(0, 256, (3, 8 * 16 // 8), dtype="u1")
    segments = slice_of(
        study=934, SOPClassUID=SegmentationStorage, Modality="SEG", Rows=8, Columns=16, NumberOfFrames=3,
        BitsAllocated=1, BitsStored=1, HighBit=0, PixelRepresentation=0, PixelData=bits.tobytes(),
    )  # fmt: skip
    segments.file_meta.MediaStorageSOPClassUID = SegmentationStorage
    save(segments, server.bucket("input") / "segments/one.dcm")
    (entry,) = run_import(server, client, datastore, "segments/").summary["imageSetsSummary"]
    found = document(client, datastore, entry["imageSetId"])
    (series,) = found["Study"]["Series"].values()
    (instance,) = series["Instances"].values()
    assert (series["DICOM"]["Modality"], instance["DICOM"]["BitsAllocated"], instance["DICOMVRs"]) == ("SEG", 1, {})
    frames = [frame(client, datastore, entry["imageSetId"], item["ID"])[0] for item in instance["ImageFrames"]]
    assert frames == [row.tobytes() for row in bits]


def test_cloudfront_needs_a_content_type_of_every_answer(server: ServerProcess, client: Any, sample: Sample) -> None:
    """A page cached at the edge without a type is refused there; only answers without a body have none."""
    named = {"datastoreId": sample.datastore_id, "imageSetId": sample.image_set_id}
    arn = client.get_image_set(**named)["imageSetArn"]
    answers = [
        client.list_datastores(),
        client.get_datastore(datastoreId=sample.datastore_id),
        client.list_dicom_import_jobs(datastoreId=sample.datastore_id),
        client.search_image_sets(datastoreId=sample.datastore_id),
        client.get_image_set(**named),
        client.list_image_set_versions(**named),
        client.get_image_set_metadata(**named),
        client.get_image_frame(**named, imageFrameInformation={"imageFrameId": sample.frame_ids[0]}),
        client.list_tags_for_resource(resourceArn=arn),
    ]
    kinds = [answer["ResponseMetadata"]["HTTPHeaders"].get("content-type") for answer in answers]
    assert kinds == ["application/json"] * 7 + ["image/jph", "application/json"]
