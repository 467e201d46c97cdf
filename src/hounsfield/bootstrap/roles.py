"""What has to do with roles, put together from the settings: the STS door, who calls, and roles of import jobs."""

from __future__ import annotations

from collections.abc import Callable

from hounsfield.api.sts.app import StsDoor
from hounsfield.api.sts.context import Context
from hounsfield.audit.trail import Trail
from hounsfield.aws.protocol.model import load_service
from hounsfield.bootstrap.audit import make_sts_recorder
from hounsfield.gateway.authentication import Callers, Holders
from hounsfield.gateway.request_body import BodyMemory
from hounsfield.iam.identities.directory import Directory
from hounsfield.iam.sessions.import_job_roles import JobRole, JobRoles
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.imports.jobs import ImportJob
from hounsfield.oidc.issuer import Issuer
from hounsfield.settings import Settings
from hounsfield.storage.buckets.bucket_access import BucketAccess


def sts_door(
    settings: Settings,
    image_store: ImageStore,
    holders: Holders,
    issuer: Issuer | None,
    trail: Trail,
    bodies: BodyMemory,
) -> StsDoor:
    """Make the door of the Security Token Service."""
    return StsDoor(
        context=Context(holders.directory, holders.sessions, issuer, settings.partition, settings.account_id),
        service=load_service("sts"),
        callers=callers_of(settings, holders, "sts"),
        image_store=image_store,
        bodies=bodies,
        recorder=make_sts_recorder(settings, trail),
    )


def job_roles(settings: Settings, directory: Directory, image_store: ImageStore) -> JobRoles:
    """Return what decides about roles of import jobs."""
    return JobRoles(directory, image_store.buckets, settings.job_roles, settings.region)


def import_access(roles: JobRoles, image_store: ImageStore) -> Callable[[ImportJob], BucketAccess]:
    """Return the buckets of each import job, as its role lets it use them."""

    def access_of(job: ImportJob) -> BucketAccess:
        role = JobRole(job.data_access_role_arn, job.role_id, image_store.datastore_arn(job.datastore_id))
        return roles.access(role, job.id)

    return access_of


def callers_of(settings: Settings, holders: Holders, service: str) -> Callers:
    """Return what authenticates the callers of a service: by signatures, or not at all."""
    if settings.insecure_no_auth:
        return Callers.everybody(holders)
    return Callers.by_signature(settings.region, holders, service)
