"""StartDICOMImportJob, GetDICOMImportJob, ListDICOMImportJobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hounsfield.api.healthimaging.context import Context
from hounsfield.api.healthimaging.pagination import Listing
from hounsfield.api.healthimaging.parameters import optional_text, structure, structures, text
from hounsfield.aws.protocol.model import Parameters
from hounsfield.iam.sessions.import_job_roles import JobRole
from hounsfield.imaging.client_tokens import retry_if_raced
from hounsfield.imaging.errors import InvalidRequestError
from hounsfield.imaging.imports import jobs as domain
from hounsfield.imaging.imports.jobs import ImportJob, JobStatus, NewImportJob, UnusableLocationError
from hounsfield.imaging.imports.output_files import list_output_uses
from hounsfield.imaging.ingest.metadata_mappings import MetadataMapping
from hounsfield.storage.buckets.bucket_access import BucketAction, BucketUse
from hounsfield.storage.buckets.buckets import S3Uri

UNKNOWN_ID = "0" * 32
"""Stands for the id of a job that is not there yet."""


def start_import_job(context: Context, parameters: Parameters) -> Mapping[str, object]:
    """API operation StartDICOMImportJob."""
    new = NewImportJob(
        datastore_id=text(parameters, "datastoreId"),
        client_token=text(parameters, "clientToken"),
        data_access_role_arn=text(parameters, "dataAccessRoleArn"),
        input_uri=text(parameters, "inputS3Uri"),
        output_uri=text(parameters, "outputS3Uri"),
        name=optional_text(parameters, "jobName"),
        input_owner_account_id=optional_text(parameters, "inputOwnerAccountId"),
        metadata_mappings=_mappings(parameters),
        starter_rights=context.access.kept(),
    )
    new = replace(new, role_id=_admitted(context, new).id)
    try:
        job = retry_if_raced(lambda: domain.start_import_job(context.image_store, new))
    except UnusableLocationError as error:
        member = "outputS3Uri" if error.is_output else "inputS3Uri"
        raise InvalidRequestError(f"{member} cannot be used: {error.reason}") from error
    return {
        "datastoreId": job.datastore_id,
        "jobId": job.id,
        "jobStatus": job.status,
        "submittedAt": job.submitted_at,
    }


def _admitted(context: Context, new: NewImportJob) -> JobRole:
    """Let the role of a job be what decides about its buckets; raises as `JobRoles.admit` does."""
    if context.caller is None:
        raise TypeError("an import job is started by somebody")
    source, target = S3Uri.parse(new.input_uri), f"{new.output_folder}{new.datastore_id}-DicomImport-"
    return context.job_roles.admit(
        context.caller,
        new.data_access_role_arn,
        context.image_store.datastore_arn(new.datastore_id),
        [BucketUse(BucketAction.LIST, source.bucket, source.key), *list_output_uses(f"{target}{UNKNOWN_ID}/")],
    )


def get_import_job(context: Context, parameters: Parameters) -> Mapping[str, object]:
    """API operation GetDICOMImportJob."""
    job = domain.get_import_job(context.image_store, text(parameters, "datastoreId"), text(parameters, "jobId"))
    locations = {"inputS3Uri": job.input_uri, "outputS3Uri": job.output_uri}
    return {"jobProperties": {**_summary(job), **locations, "importConfiguration": _configuration(job)}}


def list_import_jobs(context: Context, parameters: Parameters) -> Mapping[str, object]:
    """API operation ListDICOMImportJobs."""
    listing = Listing(context.tokens, "ListDICOMImportJobs", parameters)
    status = optional_text(parameters, "jobStatus")
    page = domain.list_import_jobs(
        context.image_store,
        text(parameters, "datastoreId"),
        status=JobStatus(status) if status else None,
        after=listing.after,
        limit=listing.limit,
    )
    return {"jobSummaries": [_summary(job) for job in page.entries], "nextToken": listing.token(page.end)}


def _mappings(parameters: Parameters) -> tuple[MetadataMapping, ...]:
    """Read the union ImportConfiguration, which has one member."""
    if "importConfiguration" not in parameters:
        return ()
    configuration = structure(structure(parameters["importConfiguration"])["dicomJsonMetadataImportConfiguration"])
    return tuple(
        MetadataMapping(
            text(mapping, "studyInstanceUID"),
            optional_text(mapping, "seriesInstanceUID"),
            text(mapping, "metadataFilePath"),
        )
        for mapping in structures(configuration["dicomMetadataMappings"])
    )


def _configuration(job: ImportJob) -> dict[str, object] | None:
    if not job.metadata_mappings:
        return None
    mappings = []
    for mapping in job.metadata_mappings:
        series = {} if mapping.series_uid is None else {"seriesInstanceUID": mapping.series_uid}
        mappings.append({"studyInstanceUID": mapping.study_uid, **series, "metadataFilePath": mapping.path})
    return {"dicomJsonMetadataImportConfiguration": {"dicomMetadataMappings": mappings}}


def _summary(job: ImportJob) -> dict[str, object]:
    return {
        "jobId": job.id,
        # The model requires a name in answers though not in requests; the real service answers null, SDKs read "".
        "jobName": job.name or job.id,
        "jobStatus": job.status,
        "datastoreId": job.datastore_id,
        "dataAccessRoleArn": job.data_access_role_arn,
        "submittedAt": job.submitted_at,
        "endedAt": job.ended_at,
        "message": job.message,
    }
