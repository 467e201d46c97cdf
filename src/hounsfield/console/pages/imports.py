"""Imports of a data store: the list of jobs, a new one, and one of them while it runs and after.

ListDICOMImportJobs ─▶ list ─▶ StartDICOMImportJob ─▶ job: GetImportJobProgress each second ─▶ manifest and results
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import uuid4

from starlette.responses import Response

from hounsfield.console.calls import ApiError, label
from hounsfield.console.datastore import Datastore, open_datastore
from hounsfield.console.imports.bucket_browser import Folder, browse, list_buckets
from hounsfield.console.imports.import_job_roles import passable_roles
from hounsfield.console.imports.import_results import Kind, Results, ResultsQuery, download_results, read_results
from hounsfield.console.page import Page
from hounsfield.console.visit import Visit

LIST: Final = "/console/datastores/{datastore}/imports"
_A_PAGE: Final = 50
_IMAGE_SETS_A_PAGE: Final = 25
_STATUSES: Final = ("SUBMITTED", "IN_PROGRESS", "COMPLETED", "FAILED")
_ENDED: Final = frozenset({"COMPLETED", "FAILED"})
_NOT_APART: Final = "OutputAmongInput"
_BUSY: Final = frozenset({429, 500, 503})


_ADDRESS_FORM: Final = (
    "An address has the form s3://bucket/folder/. A bucket has 3 to 63 small letters, digits, dots and hyphens."
)
_FIELDS: Final[Mapping[str, tuple[str, str]]] = {
    "jobName": ("name", "A name has up to 64 letters, digits and . - _ / # and no spaces."),
    "inputS3Uri": ("input_uri", _ADDRESS_FORM),
    "outputS3Uri": ("output_uri", _ADDRESS_FORM),
    "dataAccessRoleArn": ("role", "The ARN of a role has the form arn:aws:iam::123456789012:role/name."),
}
"""Fields of the form by members of the API, and what is said of a value that has not the right form."""


async def list_jobs(visit: Visit) -> Response:
    """Show the jobs, newest first."""
    datastore = await open_datastore(visit)
    status = visit.query.get("status", "")
    query = {
        "maxResults": _A_PAGE,
        "nextToken": visit.query.get("page"),
        "jobStatus": status if status in _STATUSES else None,
    }
    found = (await visit.calls.get(f"/listDICOMImportJobs/datastore/{label(datastore.id)}", query)).json()
    jobs = found["jobSummaries"]
    return visit.render(
        "imports/list.html",
        datastore=datastore,
        tab="imports",
        jobs=jobs,
        next_page=found.get("nextToken"),
        statuses=_STATUSES,
        chosen=status,
        unfinished=any(job["jobStatus"] not in _ENDED for job in jobs),
    )


async def new_job(visit: Visit) -> Response:
    """Show the form of a new job, with what is at the address that it is to read."""
    datastore = await open_datastore(visit)
    visit.require("medical-imaging:StartDICOMImportJob", datastore.arn)
    values = {"client_token": str(uuid4()), "input_uri": visit.query.get("input_uri", "")}
    if not visit.is_part:
        values.update(await _values_of_last_job(visit, datastore))
    return await _form(visit, datastore, values)


async def start_job(visit: Visit) -> Response:
    """Start a job."""
    datastore = await open_datastore(visit)
    form = visit.form
    given = {
        "clientToken": form.text("client_token") or str(uuid4()),
        "jobName": form.text("name") or None,
        "dataAccessRoleArn": form.text("role"),
        "inputS3Uri": form.text("input_uri"),
        "outputS3Uri": form.text("output_uri"),
    }
    path = f"/startDICOMImportJob/datastore/{label(datastore.id)}"
    try:
        _check_apart(form.text("input_uri"), form.text("output_uri"))
        started = (await visit.calls.post(path, given)).json()
    except ApiError as error:
        if not visit.may("medical-imaging:StartDICOMImportJob", datastore.arn):
            raise
        return await _form(visit, datastore, form.values(), error)
    return visit.redirect(f"{datastore.path}/imports/{label(started['jobId'])}", "The import was started.")


def _check_apart(source: str, target: str) -> None:
    """Keep results out of what is imported, since the next import of the same folder would try them as files."""
    inner, outer = (f"{address.rstrip('/')}/" for address in (target, source))
    if source and target and inner.startswith(outer):
        message = "The results would be among the files to import. Choose another place for them."
        raise ApiError(400, _NOT_APART, message, "")


async def _form(
    visit: Visit, datastore: Datastore, values: Mapping[str, str], error: ApiError | None = None
) -> Response:
    is_browsing = visit.is_part and error is None
    wrong = _wrong_field(error)
    return visit.render(
        "imports/new.html",
        status=error.status if error else 200,
        datastore=datastore,
        tab="imports",
        values=values,
        error=None if wrong else error,
        wrong=wrong,
        view=await browse(visit, values.get("input_uri", ""), visit.query.get("page")),
        roles=() if is_browsing else await passable_roles(visit),
        buckets=() if is_browsing else await _bucket_names(visit),
    )


def _wrong_field(error: ApiError | None) -> Mapping[str, str]:
    """Return the field that an error is about, and the error in words; nothing where it is about none."""
    if error is None:
        return {}
    if error.code == _NOT_APART:
        return {"output_uri": error.message}
    for member, (field, form) in _FIELDS.items():
        if member in error.message:
            return {field: form if "constraint" in error.message else error.message}
    return {}


async def _bucket_names(visit: Visit) -> Sequence[Folder]:
    try:
        return await list_buckets(visit)
    except ApiError:
        return ()


async def _values_of_last_job(visit: Visit, datastore: Datastore) -> Mapping[str, str]:
    """Return where the last job wrote its results, and its role; nothing where that cannot be known."""
    try:
        listing = f"/listDICOMImportJobs/datastore/{label(datastore.id)}"
        visit.require("medical-imaging:ListDICOMImportJobs", datastore.arn)
        visit.require("medical-imaging:GetDICOMImportJob", datastore.arn)
        jobs = (await visit.calls.get(listing, {"maxResults": 1})).json()["jobSummaries"]
        if not jobs:
            return {}
        last = await _job(visit, datastore, jobs[0]["jobId"])
    except ApiError:
        return {}
    output = re.sub(r"[^/]*-DicomImport-[^/]*/$", "", last["outputS3Uri"])
    return {"output_uri": output, "role": last["dataAccessRoleArn"]}


async def show_job(visit: Visit) -> Response:
    """Show a job: how far it is while it runs, and what became of its files."""
    if visit.is_part and visit.query.get("part") == "progress":
        return await _show_progress(visit)
    datastore = await open_datastore(visit)
    job = await _job(visit, datastore, visit.labels["job"])
    has_ended = job["jobStatus"] in _ENDED
    summary, summary_error = await _manifest(visit, job) if job["jobStatus"] == "COMPLETED" else ({}, None)
    wanted = ResultsQuery(job["datastoreId"], job["jobId"], _kind(visit, summary), visit.query.get("text", ""))
    download = visit.query.get("download")
    if download in ("csv", "ndjson"):
        return await download_results(visit, wanted, as_csv=download == "csv")
    results = Results()
    if job["jobStatus"] == "COMPLETED":
        results = await read_results(visit, wanted, visit.query.get("page"))
    start = visit.number("sets")
    image_sets = summary.get("imageSetsSummary") or []
    return visit.render(
        "imports/job.html",
        datastore=datastore,
        tab="imports",
        job=job,
        progress=None if has_ended else await _progress(visit),
        took=_duration(job),
        summary=summary,
        summary_error=summary_error,
        image_sets=image_sets[start : start + _IMAGE_SETS_A_PAGE],
        image_sets_from=start,
        image_sets_next=start + _IMAGE_SETS_A_PAGE if start + _IMAGE_SETS_A_PAGE < len(image_sets) else None,
        kinds=Kind,
        wanted=wanted,
        results=results,
        nothing_imported=bool(summary.get("numberOfScannedFiles")) and not summary.get("numberOfImportedFiles"),
    )


async def _show_progress(visit: Visit) -> Response:
    """Show how far a job is, and nothing around it: this is asked for more than once a second, so it costs one call."""
    try:
        progress = await _progress(visit)
    except ApiError as error:
        # What is shown stays, and is asked for again.
        if error.status in _BUSY:
            return Response(status_code=204)
        raise
    return visit.render("imports/progress.html", path=visit.request.url.path, progress=progress, is_alone=True)


async def _progress(visit: Visit) -> Mapping[str, Any]:
    members = {"DatastoreId": visit.labels["datastore"], "JobId": visit.labels["job"]}
    found: Mapping[str, Any] = await visit.calls.administration("GetImportJobProgress", **members)
    return found


async def _job(visit: Visit, datastore: Datastore, job_id: str) -> Mapping[str, Any]:
    path = f"/getDICOMImportJob/datastore/{label(datastore.id)}/job/{label(job_id)}"
    found: Mapping[str, Any] = (await visit.calls.get(path)).json()["jobProperties"]
    return found


async def _manifest(visit: Visit, job: Mapping[str, Any]) -> tuple[Mapping[str, Any], ApiError | None]:
    """Return the summary of a job that has ended, or why it cannot be read."""
    members = {"DatastoreId": job["datastoreId"], "JobId": job["jobId"]}
    try:
        return (await visit.calls.administration("GetImportJobManifest", **members))["JobSummary"], None
    except ApiError as error:
        return {}, error


def _kind(visit: Visit, summary: Mapping[str, Any]) -> Kind:
    """Return the kind of results that is asked for: failures, unless there are none."""
    asked = visit.query.get("kind", "")
    if asked in set(Kind):
        return Kind(asked)
    failed = summary.get("numberOfFilesWithCustomerError", 0) or summary.get("numberOfFilesWithServerError", 0)
    return Kind.SUCCESS if summary and not failed else Kind.FAILURE


def _duration(job: Mapping[str, Any]) -> str:
    """Return how long a job took, in words; empty while it runs."""
    if job.get("endedAt") is None or job.get("submittedAt") is None:
        return ""
    seconds = max(0.0, float(job["endedAt"]) - float(job["submittedAt"]))
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


PAGES: Final = (
    Page(LIST, list_jobs),
    Page(f"{LIST}/new", new_job),
    Page(f"{LIST}/new", start_job, ("POST",)),
    Page(f"{LIST}/{{job}}", show_job),
)
