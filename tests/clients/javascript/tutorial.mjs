// Walks through all operations of AWS HealthImaging with the AWS SDK for JavaScript, from an empty data store to a deleted one.
//
//   node tutorial.mjs s3://incoming/study-1/ s3://results/
//
// The endpoint, the credentials and the region come from the environment: AWS_ENDPOINT_URL_MEDICAL_IMAGING,
// AWS_SHARED_CREDENTIALS_FILE, AWS_REGION. Prints what it saw as one JSON object.

import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { gunzipSync } from "node:zlib";
import * as imaging from "@aws-sdk/client-medical-imaging";
import OpenJPH from "@cornerstonejs/codec-openjph";
import CRC32 from "crc-32";

const [inputS3Uri, outputS3Uri] = process.argv.slice(2);

// disableHostPrefix: without it the SDK sends half of the operations to the host "runtime-<host of the endpoint>".
const client = new imaging.MedicalImagingClient({ disableHostPrefix: true });
const send = (operation, input) => client.send(new imaging[`${operation}Command`](input));

async function until(ask, done) {
  for (let tries = 0; tries < 600; tries += 1) {
    const answer = await ask();
    if (done(answer)) return answer;
    await pause(100);
  }
  throw new Error("what was waited for did not happen within a minute");
}

// A data store is ready when it is ACTIVE.
const created = await send("CreateDatastore", { datastoreName: "javascript", tags: { course: "tutorial" } });
assert.equal(created.datastoreStatus, "CREATING");
const { datastoreId } = created;
const { datastoreProperties } = await until(
  () => send("GetDatastore", { datastoreId }),
  (answer) => answer.datastoreProperties.datastoreStatus === "ACTIVE",
);
assert.ok(datastoreProperties.createdAt instanceof Date);
const { datastoreSummaries } = await send("ListDatastores", { datastoreStatus: "ACTIVE" });
assert.ok(datastoreSummaries.some((summary) => summary.datastoreId === datastoreId));

// Import; the output lies in a folder of its own below outputS3Uri.
const started = await send("StartDICOMImportJob", {
  datastoreId,
  jobName: "tutorial",
  dataAccessRoleArn: "arn:aws:iam::000000000000:role/import",
  inputS3Uri,
  outputS3Uri,
});
const { jobId } = started;
assert.equal(started.jobStatus, "SUBMITTED");
const { jobProperties: job } = await until(
  () => send("GetDICOMImportJob", { datastoreId, jobId }),
  (answer) => ["COMPLETED", "FAILED"].includes(answer.jobProperties.jobStatus),
);
assert.equal(job.jobStatus, "COMPLETED", job.message);
assert.equal(job.outputS3Uri, `${outputS3Uri}${datastoreId}-DicomImport-${jobId}/`);
const jobs = [];
for await (const page of imaging.paginateListDICOMImportJobs({ client }, { datastoreId, jobStatus: "COMPLETED" }))
  jobs.push(...page.jobSummaries);
assert.deepEqual(jobs.map((summary) => summary.jobId), [jobId]);

// Search, page by page; times travel with their milliseconds.
const searchCriteria = {
  filters: [
    { operator: "BETWEEN", values: [{ createdAt: job.submittedAt }, { createdAt: new Date(Date.now() + 60_000) }] },
  ],
  sort: { sortField: "createdAt", sortOrder: "ASC" },
};
const found = [];
for await (const page of imaging.paginateSearchImageSets({ client, pageSize: 1 }, { datastoreId, searchCriteria }))
  found.push(...page.imageSetsMetadataSummaries);
assert.ok(found.length > 0);
const { imageSetId } = found[0];
const moments = [{ operator: "EQUAL", values: [{ createdAt: found[0].createdAt }] }];
const exact = await send("SearchImageSets", { datastoreId, searchCriteria: { filters: moments } });
assert.ok(exact.imageSetsMetadataSummaries.some((summary) => summary.imageSetId === imageSetId));

const properties = await send("GetImageSet", { datastoreId, imageSetId });
assert.equal(properties.imageSetState, "ACTIVE");
assert.equal(properties.versionId, "1");
assert.ok(properties.imageSetArn.endsWith(`datastore/${datastoreId}/imageset/${imageSetId}`));

// The metadata is gzip, which the SDK hands over as it came.
async function metadataOf(id, versionId) {
  const answer = await send("GetImageSetMetadata", { datastoreId, imageSetId: id, versionId });
  assert.equal(answer.contentType, "application/json");
  assert.equal(answer.contentEncoding, "gzip");
  return JSON.parse(gunzipSync(await answer.imageSetMetadataBlob.transformToByteArray()));
}

// A frame is decoded by OpenJPH; the checksum of the last level is that of its samples.
const { HTJ2KDecoder } = await OpenJPH();
async function samplesOf(id, frame) {
  const information = { datastoreId, imageSetId: id, imageFrameInformation: { imageFrameId: frame.ID } };
  const answer = await send("GetImageFrame", information);
  assert.equal(answer.contentType, "image/jph");
  const encoded = await answer.imageFrameBlob.transformToByteArray();
  const decoder = new HTJ2KDecoder();
  decoder.getEncodedBuffer(encoded.length).set(encoded);
  decoder.decode();
  const samples = Buffer.from(decoder.getDecodedBuffer());
  decoder.delete();
  assert.equal(CRC32.buf(samples) >>> 0, frame.PixelDataChecksumFromBaseToFullResolution.at(-1).Checksum);
  return samples;
}

const metadata = await metadataOf(imageSetId);
const [[seriesUid, series]] = Object.entries(metadata.Study.Series);
const frames = {};
for (const [sopUid, instance] of Object.entries(series.Instances)) {
  frames[sopUid] = [];
  for (const frame of instance.ImageFrames) frames[sopUid].push((await samplesOf(imageSetId, frame)).toString("base64"));
}

// Correct the metadata: a new version, the old one stays readable.
const settled = (id) =>
  until(() => send("GetImageSet", { datastoreId, imageSetId: id }), (answer) => answer.imageSetState !== "LOCKED");
const attributes = { SchemaVersion: 1.1, Patient: { DICOM: { PatientName: "ROE^JOHN" } } };
const updated = await send("UpdateImageSetMetadata", {
  datastoreId,
  imageSetId,
  latestVersionId: "1",
  updateImageSetMetadataUpdates: {
    DICOMUpdates: { updatableAttributes: new TextEncoder().encode(JSON.stringify(attributes)) },
  },
});
assert.equal(updated.latestVersionId, "2");
assert.equal((await settled(imageSetId)).imageSetWorkflowStatus, "UPDATED");
assert.equal((await metadataOf(imageSetId)).Patient.DICOM.PatientName, "ROE^JOHN");
assert.deepEqual(await metadataOf(imageSetId, "1"), metadata);
const versions = [];
for await (const page of imaging.paginateListImageSetVersions({ client }, { datastoreId, imageSetId }))
  versions.push(...page.imageSetPropertiesList);
assert.deepEqual(versions.map((version) => version.versionId), ["2", "1"]);

// Copy it, whole.
const copied = await send("CopyImageSet", {
  datastoreId,
  sourceImageSetId: imageSetId,
  copyImageSetInformation: { sourceImageSet: { latestVersionId: "2" } },
});
const { sourceImageSetProperties: source, destinationImageSetProperties: destination } = copied;
assert.equal(source.imageSetWorkflowStatus, "COPYING_WITH_READ_ONLY_ACCESS");
assert.equal(destination.imageSetWorkflowStatus, "COPYING");
assert.deepEqual([source.imageSetState, destination.imageSetState], ["LOCKED", "LOCKED"]);
assert.ok(destination.imageSetArn.endsWith(destination.imageSetId));
assert.equal((await settled(destination.imageSetId)).imageSetWorkflowStatus, "COPIED");
const copy = await metadataOf(destination.imageSetId);
const [[sopUid, instance]] = Object.entries(copy.Study.Series[seriesUid].Instances);
assert.equal((await samplesOf(destination.imageSetId, instance.ImageFrames[0])).toString("base64"), frames[sopUid][0]);
assert.equal((await settled(imageSetId)).imageSetState, "ACTIVE");

// Tags.
const resourceArn = properties.imageSetArn;
const tagging = await send("TagResource", { resourceArn, tags: { project: "head-ct", "team:cost+centre": "42/7 b" } });
assert.equal(tagging.$metadata.httpStatusCode, 204);
const untagging = await send("UntagResource", { resourceArn, tagKeys: ["team:cost+centre", "never-there"] });
assert.equal(untagging.$metadata.httpStatusCode, 204);
const { tags } = await send("ListTagsForResource", { resourceArn });
assert.deepEqual(tags, { project: "head-ct" });

// Errors have the classes of the SDK.
const missing = send("GetImageSet", { datastoreId, imageSetId: "0".repeat(32) });
await assert.rejects(missing, imaging.ResourceNotFoundException);
await assert.rejects(send("DeleteDatastore", { datastoreId }), imaging.ConflictException);

// Delete everything.
for (const id of [...found.map((summary) => summary.imageSetId), destination.imageSetId]) {
  const deleted = await send("DeleteImageSet", { datastoreId, imageSetId: id });
  assert.deepEqual([deleted.imageSetState, deleted.imageSetWorkflowStatus], ["LOCKED", "DELETING"]);
  await until(() => send("GetImageSet", { datastoreId, imageSetId: id }), (answer) => answer.imageSetState === "DELETED");
}
assert.equal((await send("DeleteDatastore", { datastoreId })).datastoreStatus, "DELETING");
await until(
  () => send("GetDatastore", { datastoreId }),
  (answer) => answer.datastoreProperties.datastoreStatus === "DELETED",
);

console.log(JSON.stringify({ imageSets: found.length, seriesUid, frames, patient: metadata.Patient.DICOM }));
