"""Roles of import jobs: who may start a job with which role, and which buckets the job may use.

                                       role of the directory          none of the directory
    open    (first steps)              its policies decide            only root may name it; the rights of the installation
    strict                             its policies decide            refused
    sts     (S3 is AWS, or speaks STS) AssumeRole at the store's STS; its policies decide there

A role is looked up when the job starts, and again whenever the job does something: what changes in between, counts. Where a job
begins, in whichever process, the directory is looked at first.

Source: developer guide, "Creating an IAM role for import"; Service Authorization Reference, Amazon S3.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import structlog

from hounsfield.iam.identities.directory import Directory
from hounsfield.iam.identities.snapshot import Role
from hounsfield.iam.policies.aws_managed import SERVICE
from hounsfield.iam.policies.condition_context import ContextValue
from hounsfield.iam.policies.evaluation import decide
from hounsfield.iam.policies.principal_element import Party, PartyKind
from hounsfield.iam.policies.trust_policy import decide_trust
from hounsfield.iam.principals import Principal, Session
from hounsfield.iam.request_context import RequestContext
from hounsfield.iam.sessions.sessions import session_principal
from hounsfield.settings.import_roles import ImportRoles
from hounsfield.storage.buckets.bucket_access import BucketAccess, BucketAction, BucketUse, OwnAccess
from hounsfield.storage.buckets.buckets import Buckets
from hounsfield.storage.buckets.role_credentials import RoleRefusedError, role_credentials

_log = structlog.get_logger(__name__)
_SERVICE: Final = Party(PartyKind.SERVICE, frozenset({SERVICE}))


class JobRoleError(Exception):
    """A role cannot be that of an import job; the message says why, and what would be right."""


class JobRoleDeniedError(Exception):
    """The role of an import job lacks what the job needs."""


@dataclass(frozen=True, slots=True)
class JobRole:
    """The role of a job.

    Attributes
    ----------
    arn : str
        Its ARN.
    id : str or None
        Its unique id in the directory; None where the directory does not decide.
    datastore_arn : str
        The data store that the job is for.
    """

    arn: str
    id: str | None
    datastore_arn: str


@dataclass(frozen=True, slots=True)
class JobRoles:
    """Decides about roles of import jobs.

    Attributes
    ----------
    directory : Directory
        The roles.
    buckets : Buckets
        The buckets, with the rights of the installation.
    mode : ImportRoles
        What roles are.
    region : str
        Region of the installation.
    clock : callable
        Gives the seconds since 1970-01-01 UTC.
    """

    directory: Directory
    buckets: Buckets
    mode: ImportRoles
    region: str
    clock: Callable[[], float] = time.time

    def admit(self, principal: Principal, arn: str, datastore_arn: str, uses: Iterable[BucketUse]) -> JobRole:
        """Let a job start with a role.

        Parameters
        ----------
        principal : Principal
            Who starts it; that they may pass the role is decided before.
        arn : str
            The role.
        datastore_arn : str
            The data store.
        uses : iterable of BucketUse
            What the job will do for certain.

        Raises
        ------
        JobRoleError
            There is no such role, it does not trust the service, or it cannot be assumed.
        JobRoleDeniedError
            Its policies do not allow one of the uses.
        """
        if self.mode is ImportRoles.STS:
            job_role = JobRole(arn, None, datastore_arn)
        else:
            # A role that was made a moment ago counts: whoever made it starts the job.
            self.directory.refresh()
            role = self.directory.role(arn)
            if role is None and (self.mode is ImportRoles.STRICT or not principal.is_root):
                raise JobRoleError(f"dataAccessRoleArn names {arn}, which is no role of this installation")
            job_role = JobRole(arn, None if role is None else role.id, datastore_arn)
        try:
            access = self.access(job_role, "hounsfield-start")
        except OSError as error:
            # Whether the role can be assumed shows when the job runs, which is tried again.
            _log.warning("role not checked", role=arn, reason=str(error))
            return job_role
        if isinstance(access, _NoAccess):
            raise JobRoleError(access.reason)
        refusal = access.refusal(uses)
        if refusal is not None:
            raise JobRoleDeniedError(refusal)
        return job_role

    def access(self, job_role: JobRole, session: str) -> BucketAccess:
        """Return the buckets as a job may use them now.

        Parameters
        ----------
        job_role : JobRole
            The role of the job.
        session : str
                Name of the session, such as the id of the job.

        Raises
        ------
        OSError
            The security token service of the object store does not answer.
        """
        if self.mode is ImportRoles.STS:
            return self._assumed(job_role, session)
        if job_role.id is None:
            if self.mode is ImportRoles.STRICT:
                return _NoAccess(self.buckets, f"The role {job_role.arn} is no role of this installation")
            return OwnAccess(self.buckets)
        # The process that let the job start may have heard of a change before this one.
        self.directory.refresh()
        return _DirectoryAccess(self, job_role, session).checked()

    def _assumed(self, job_role: JobRole, session: str) -> BucketAccess:
        buckets = self.buckets.under(job_role.arn, session)
        assert buckets.role is not None  # noqa: S101 - under() sets it
        try:
            role_credentials(buckets.role).check()
        except RoleRefusedError as error:
            return _NoAccess(buckets, f"The role {job_role.arn} cannot be assumed: {error}")
        return OwnAccess(buckets)


@dataclass(frozen=True, slots=True)
class _NoAccess:
    """Buckets of which nothing may be used.

    Attributes
    ----------
    buckets : Buckets
        The buckets.
    reason : str
        Why not.
    """

    buckets: Buckets
    reason: str

    def refusal(self, uses: Iterable[BucketUse]) -> str | None:
        """Refuse everything."""
        del uses
        return self.reason


@dataclass(frozen=True, slots=True)
class _DirectoryAccess:
    """Buckets as the policies of a role of the directory let a job use them; the role is looked up anew each time."""

    roles: JobRoles
    job_role: JobRole
    session: str

    @property
    def buckets(self) -> Buckets:
        return self.roles.buckets

    def checked(self) -> BucketAccess:
        """Return itself, or why nothing may be used."""
        found = self._role()
        return self if isinstance(found, Role) else _NoAccess(self.buckets, found)

    def refusal(self, uses: Iterable[BucketUse]) -> str | None:
        """Say why something may not be done; None when everything may."""
        role = self._role()
        if not isinstance(role, Role):
            return role
        principal = session_principal(role, Session(role.arn, role.id, self.roles.clock(), name=self.session))
        condition_keys = self._condition_keys()
        for use in uses:
            resource = f"arn:{role.arn.split(':')[1]}:s3:::{use.bucket}"
            own: dict[str, ContextValue] = dict(self._source())
            if use.action is BucketAction.LIST:
                own["s3:prefix"] = use.prefixes
            else:
                resource = f"{resource}/{use.key}"
            decision = decide(
                principal.rights, use.action, resource, RequestContext(own, principal, resource, condition_keys)
            )
            if not decision.allowed:
                return (
                    f"The role {role.arn} is not authorized to perform: {use.action} on bucket {use.bucket} "
                    f"{decision.reason(use.action)}"
                )
        return None

    def _role(self) -> Role | str:
        """Return the role as it is now, or why the job may not have it."""
        arn = self.job_role.arn
        role = self.roles.directory.role(arn)
        if role is None or role.id != self.job_role.id:
            return f"The role {arn} was deleted"
        trusted = decide_trust(
            role.trust,
            "sts:AssumeRole",
            _SERVICE,
            _ConditionValues({**self._source(), **self._condition_keys().values}),
        )
        if not trusted.allowed:
            return f"The role {arn} does not trust {SERVICE} to assume it for this data store"
        return role

    def _source(self) -> dict[str, str]:
        arn = self.job_role.datastore_arn
        return {"aws:sourcearn": arn, "aws:sourceaccount": arn.split(":")[4]}

    def _condition_keys(self) -> _JobConditionKeys:
        now = self.roles.clock()
        return _JobConditionKeys(
            {
                "aws:currenttime": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "aws:epochtime": str(int(now)),
                "aws:requestedregion": self.roles.region,
            }
        )


@dataclass(frozen=True, slots=True)
class _ConditionValues:
    values: Mapping[str, str]

    def get(self, key: str, /) -> ContextValue | None:
        return self.values.get(key)


@dataclass(frozen=True, slots=True)
class _JobConditionKeys:
    """What is known of what a job does beside what it does."""

    values: Mapping[str, str] = field(default_factory=dict)

    def value(self, key: str) -> ContextValue | None:
        return self.values.get(key)

    def resource_tags(self, resource: str) -> Mapping[str, str]:
        del resource  # tags of buckets are not known here
        return {}
