"""Progress of import jobs: how many of its files a job is done with, while it runs.

GetDICOMImportJob of AWS tells the state of a job, and its manifest counts the files once it has ended. This tells what is known
in between. Whoever may see the job may ask (``medical-imaging:GetDICOMImportJob``).
"""

from __future__ import annotations

from typing import Final

from hounsfield.api.administration.context import Call, Context
from hounsfield.api.administration.members import Member
from hounsfield.api.administration.operation import Answer, Operation, Source, on_datastore
from hounsfield.aws.protocol.members import text
from hounsfield.imaging.imports.jobs import get_import_job, read_progress


def _progress(context: Context, call: Call) -> Answer:
    datastore_id, job_id = text(call.parameters, "DatastoreId"), text(call.parameters, "JobId")
    progress = read_progress(context.image_store, job_id)
    # The state is read last: a job that ends in between has forgotten its files, and is not shown as one that has none yet.
    job = get_import_job(context.image_store, datastore_id, job_id)
    return {
        "JobStatus": job.status,
        "NumberOfScannedFiles": progress.scanned,
        "NumberOfProcessedFiles": progress.done,
        "NumberOfFailedFiles": progress.failed,
    }


OPERATIONS: Final = (
    Operation(
        "GetImportJobProgress",
        Source.MEDICAL_IMAGING,
        "medical-imaging:GetDICOMImportJob",
        on_datastore,
        (Member("DatastoreId", required=True, most=32), Member("JobId", required=True, most=32)),
        _progress,
    ),
)
