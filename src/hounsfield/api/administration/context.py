"""The context of the operations, and their calls."""

from __future__ import annotations

from dataclasses import dataclass

from hounsfield.audit.call_counts import CallCounter
from hounsfield.audit.trail_folder import TrailFolder
from hounsfield.aws.protocol.model import Parameters
from hounsfield.aws.protocol.pagination import PageTokens
from hounsfield.iam.identities.directory import Directory
from hounsfield.iam.identities.repository import Repository
from hounsfield.iam.principals import Principal
from hounsfield.iam.request_context import RequestConditionKeys
from hounsfield.iam.sessions.import_job_roles import JobRoles
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.search.usage import UsageReader


@dataclass(frozen=True, slots=True)
class Context:
    """What every operation works on.

    Attributes
    ----------
    repository : Repository
        Users, roles and policies in the database.
    directory : Directory
        The same in memory, as requests are decided by it.
    image_store : ImageStore
        The domain's stores.
    root_key_id : str
        Access key id of the root key.
    job_roles : JobRoles
        Gives the buckets as import jobs use them.
    tokens : PageTokens
        Seals where the next page begins.
    trail : TrailFolder
        The audit trail of this machine.
    calls : CallCounter
        Counts the calls that it tells of.
    usage : UsageReader
        Counts what is stored and imported.
    """

    repository: Repository
    directory: Directory
    image_store: ImageStore
    root_key_id: str
    job_roles: JobRoles
    tokens: PageTokens
    trail: TrailFolder
    calls: CallCounter
    usage: UsageReader


@dataclass(frozen=True, slots=True)
class Call:
    """A call of an operation.

    Attributes
    ----------
    parameters : Parameters
        Its parameters, as its members say.
    principal : Principal
        Who calls.
    condition_keys : RequestConditionKeys
        What else is known of the request.
    """

    parameters: Parameters
    principal: Principal
    condition_keys: RequestConditionKeys
