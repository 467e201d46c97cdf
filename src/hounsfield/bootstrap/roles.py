"""The roles of import jobs, put together from the settings."""

from __future__ import annotations

from collections.abc import Callable

from hounsfield.iam.identities.directory import Directory
from hounsfield.iam.sessions.import_job_roles import JobRole, JobRoles
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.imports.jobs import ImportJob
from hounsfield.settings import Settings
from hounsfield.storage.buckets.bucket_access import BucketAccess


def job_roles(settings: Settings, directory: Directory, image_store: ImageStore) -> JobRoles:
    """Return what decides about roles of import jobs."""
    return JobRoles(directory, image_store.buckets, settings.job_roles, settings.region)


def import_access(roles: JobRoles, image_store: ImageStore) -> Callable[[ImportJob], BucketAccess]:
    """Return the buckets of each import job, as its role lets it use them."""

    def access_of(job: ImportJob) -> BucketAccess:
        role = JobRole(job.data_access_role_arn, job.role_id, image_store.datastore_arn(job.datastore_id))
        return roles.access(role, job.id)

    return access_of
