"""The files an import job leaves in its output location (developer guide, "Understanding import jobs").

<output>/job-output-manifest.json
<output>/SUCCESS/success.ndjson    FAILURE/failure.ndjson    WARNING/warning.ndjson (only with lines)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import orjson

from hounsfield.dicom.values.warnings import ImportWarning
from hounsfield.imaging.imports.files import FileErrorType, FileOutcome, FileRecord
from hounsfield.imaging.imports.jobs import ImportJob
from hounsfield.imaging.ingest.grouping import Destination
from hounsfield.storage.buckets.bucket_access import BucketAction, BucketUse
from hounsfield.storage.buckets.buckets import Buckets, S3Uri

MANIFEST = "job-output-manifest.json"


class ResultKind(StrEnum):
    """What became of a file, by the name of the folder that tells of it."""

    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    WARNING = "WARNING"


RESULT_FILES: Final[Mapping[ResultKind, str]] = {
    ResultKind.SUCCESS: "SUCCESS/success.ndjson",
    ResultKind.FAILURE: "FAILURE/failure.ndjson",
    ResultKind.WARNING: "WARNING/warning.ndjson",
}
"""The file of each kind, below the output location of a job."""


def list_output_uses(output_uri: str) -> list[BucketUse]:
    """Return what writing the output files below an output location does with its bucket."""
    uri = S3Uri.parse(output_uri)
    return [BucketUse(BucketAction.WRITE, uri.bucket, uri.key + name) for name in (*RESULT_FILES.values(), MANIFEST)]


def write_outputs(
    buckets: Buckets, job: ImportJob, records: Sequence[FileRecord], destinations: Sequence[Destination]
) -> None:
    """Write all output files of a job, the manifest last; raises `BucketError`."""
    uri = S3Uri.parse(job.output_uri)
    bucket = buckets.open(uri.bucket)
    by_ordinal = {o: d for d in destinations for o in (*d.ordinals, *d.superseded)}
    imported = [record for record in records if record.file.ordinal in by_ordinal]
    failed = [record for record in records if record.outcome is FileOutcome.FAILED]
    success, failure, warning = (uri.key + name for name in RESULT_FILES.values())
    bucket.put(success, _lines(_success(r, by_ordinal[r.file.ordinal]) for r in imported))
    bucket.put(failure, _lines(_failure(record) for record in failed))
    warned = [r for r in imported if r.instance is not None and r.instance.warnings]
    if warned:
        bucket.put(warning, _lines(_warning(r, by_ordinal[r.file.ordinal]) for r in warned))
    summary = {"jobSummary": _summary(job, records, imported, failed, destinations)}
    bucket.put(f"{uri.key}{MANIFEST}", orjson.dumps(summary, option=orjson.OPT_INDENT_2))


def _summary(
    job: ImportJob,
    records: Sequence[FileRecord],
    imported: Sequence[FileRecord],
    failed: Sequence[FileRecord],
    destinations: Sequence[Destination],
) -> dict[str, Any]:
    server = sum(1 for record in failed if record.error_type is FileErrorType.SERVER)
    return {
        "jobId": job.id,
        "datastoreId": job.datastore_id,
        "inputS3Uri": job.input_uri,
        "outputS3Uri": job.output_uri,
        "successOutputS3Uri": f"{job.output_uri}SUCCESS/",
        "failureOutputS3Uri": f"{job.output_uri}FAILURE/",
        "warningsOutputS3Uri": f"{job.output_uri}WARNING/",
        "numberOfScannedFiles": sum(1 for record in records if record.outcome is not FileOutcome.SKIPPED),
        "numberOfImportedFiles": len(imported),
        "numberOfFilesWithCustomerError": len(failed) - server,
        "numberOfFilesWithServerError": server,
        "numberOfGeneratedImageSets": len(destinations),
        "imageSetsSummary": [
            {
                "imageSetId": d.image_set_id,
                "imageSetVersion": d.version,
                "isPrimary": d.is_primary,
                "numberOfMatchedSOPInstances": len(d.ordinals),
            }
            for d in destinations
        ],
    }


def _success(record: FileRecord, destination: Destination) -> dict[str, Any]:
    return {"inputFile": record.file.content.key, "importResponse": _response(destination)}


def _failure(record: FileRecord) -> dict[str, Any]:
    exception = {"exceptionType": record.error_type, "message": record.message}
    return {"inputFile": record.file.content.key, "exception": exception}


def _warning(record: FileRecord, destination: Destination) -> dict[str, Any]:
    warnings = record.instance.warnings if record.instance is not None else ()
    response = {**_response(destination), "warnings": [_warning_entry(warning) for warning in warnings]}
    return {"inputFile": record.file.content.key, "importResponse": response}


def _response(destination: Destination) -> dict[str, Any]:
    return {
        "imageSetId": destination.image_set_id,
        "imageSetVersion": destination.version,
        "isPrimary": destination.is_primary,
    }


def _warning_entry(warning: ImportWarning) -> dict[str, Any]:
    return {"warning_reason_code": int(warning.code), "type": warning.code.type_name, "message": warning.message}


def _lines(entries: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE) for entry in entries)
