"""Results of import jobs: the output files that they left in a bucket, read back.

Whoever may see the job and read the object may read them (``medical-imaging:GetDICOMImportJob``, ``s3:GetObject``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from hounsfield.api.administration.buckets import bucket_arn
from hounsfield.api.administration.context import Call, Context
from hounsfield.api.administration.members import Form, Member
from hounsfield.api.administration.operation import Answer, Operation, Permissions, Source, on_datastore
from hounsfield.api.administration.tokens import LONGEST_TOKEN, NextPage
from hounsfield.aws.protocol.members import optional_integer, optional_text, text
from hounsfield.iam.authorization import Permission
from hounsfield.iam.sessions.import_job_roles import JobRole
from hounsfield.imaging.errors import NotFoundError
from hounsfield.imaging.imports.jobs import ImportJob, get_import_job
from hounsfield.imaging.imports.output_files import ResultKind
from hounsfield.imaging.imports.results import manifest_uri, read_manifest, read_results, result_uri
from hounsfield.storage.buckets.buckets import Buckets, S3Uri

DEFAULT_RESULTS: Final = 100
MOST_RESULTS: Final = 1000
_DATASTORE: Final = Member("DatastoreId", required=True, most=32)
_JOB: Final = Member("JobId", required=True, most=32)


def _permissions(uri_of: Callable[[Call, ImportJob], S3Uri]) -> Permissions:
    def permissions(context: Context, call: Call, action: str) -> Sequence[Permission]:
        needed = on_datastore(context, call, "medical-imaging:GetDICOMImportJob")
        try:
            uri = uri_of(call, _job(context, call))
        except NotFoundError:
            # Whoever may not see the jobs of the data store is not told that there is none.
            return needed
        return [*needed, Permission(action, (f"{bucket_arn(context, uri.bucket)}/{uri.key}",))]

    return permissions


def _manifest(context: Context, call: Call) -> Answer:
    job = _job(context, call)
    return {"JobSummary": read_manifest(_buckets(context, job), job)}


def _results(context: Context, call: Call) -> Answer:
    parameters, job = call.parameters, _job(context, call)
    following = NextPage(context, call, "ListImportJobResults")
    page = read_results(
        _buckets(context, job),
        job,
        _kind(call),
        contains=optional_text(parameters, "Contains") or "",
        after=following.start_number(),
        limit=optional_integer(parameters, "MaxResults") or DEFAULT_RESULTS,
    )
    return {"Results": page.results, "NextToken": following.token(page.end)}


def _job(context: Context, call: Call) -> ImportJob:
    return get_import_job(context.image_store, text(call.parameters, "DatastoreId"), text(call.parameters, "JobId"))


def _kind(call: Call) -> ResultKind:
    return ResultKind(text(call.parameters, "Kind"))


def _buckets(context: Context, job: ImportJob) -> Buckets:
    """Return the buckets with the credentials that wrote the output."""
    role = JobRole(job.data_access_role_arn, job.role_id, context.image_store.datastore_arn(job.datastore_id))
    return context.job_roles.access(role, "hounsfield-results").buckets


OPERATIONS: Final = (
    Operation(
        "GetImportJobManifest",
        Source.S3,
        "s3:GetObject",
        _permissions(lambda _call, job: manifest_uri(job)),
        (_DATASTORE, _JOB),
        _manifest,
    ),
    Operation(
        "ListImportJobResults",
        Source.S3,
        "s3:GetObject",
        _permissions(lambda call, job: result_uri(job, _kind(call))),
        (
            _DATASTORE,
            _JOB,
            Member("Kind", required=True, choices=tuple(ResultKind)),
            Member("Contains", most=256, shown=False),
            Member("MaxResults", Form.INTEGER, most=MOST_RESULTS),
            Member("NextToken", most=LONGEST_TOKEN, shown=False),
        ),
        _results,
    ),
)
