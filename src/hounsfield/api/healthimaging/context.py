"""The context of the HealthImaging operations."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hounsfield.aws.protocol.pagination import PageTokens
from hounsfield.gateway.image_set_access import CallerAccess
from hounsfield.iam.principals import Principal
from hounsfield.iam.sessions.import_job_roles import JobRoles
from hounsfield.imaging.image_store import ImageStore
from hounsfield.imaging.imagesets.metadata_document import MetadataReader


@dataclass(frozen=True, slots=True)
class Context:
    """What every handler of HealthImaging works on.

    Attributes
    ----------
    image_store : ImageStore
        The domain's stores.
    metadata : MetadataReader
        Makes and keeps metadata documents.
    tokens : PageTokens
        Seals the position between pages.
    job_roles : JobRoles
        Decides about roles of import jobs.
    caller : Principal or None
        Who calls, for handlers that ask for it.
    given_access : CallerAccess or None
        What the caller may do with image sets, for handlers that ask for the caller.
    """

    image_store: ImageStore
    metadata: MetadataReader
    tokens: PageTokens
    job_roles: JobRoles
    caller: Principal | None = None
    given_access: CallerAccess | None = None

    def of(self, caller: Principal, access: CallerAccess) -> Context:
        """Return the context of a call of somebody."""
        return replace(self, caller=caller, given_access=access)

    @property
    def access(self) -> CallerAccess:
        """What the caller may do with image sets.

        Raises
        ------
        TypeError
            The handler did not ask for the caller.
        """
        if self.given_access is None:
            raise TypeError("a handler that touches image sets must ask for its caller")
        return self.given_access
