"""Roles that whoever is signed in may give to an import job (IAM ListRoles, ``iam:PassRole``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from hounsfield.console.calls import ApiError
from hounsfield.console.visit import Visit
from hounsfield.iam.policies.aws_managed import SERVICE
from hounsfield.settings.import_roles import ImportRoles

_SERVERS_OWN: Final = "hounsfield-import"
"""A role that need not be there: a job that root starts with it has the permissions of the server."""
_MOST_PAGES: Final = 10
_A_PAGE: Final = 1000


async def passable_roles(visit: Visit) -> Sequence[tuple[str, str]]:
    """Return the ARN and the name of each role that may be passed; none where one has to be typed.

    A role that does not trust the service to assume it is left out, since no job can have it.
    """
    if visit.place.import_roles is ImportRoles.STS:
        return ()
    found = [(role["Arn"], role["RoleName"]) for role in await _list_roles(visit) if _is_passable(visit, role)]
    own = visit.place.iam_arn("role", _SERVERS_OWN)
    is_root = visit.session.principal.is_root and visit.place.import_roles is ImportRoles.OPEN
    if is_root and all(arn != own for arn, _ in found):
        found.append((own, "none: the permissions of the server"))
    return found


async def _list_roles(visit: Visit) -> Sequence[Any]:
    """Return all roles; none where they may not be listed."""
    found: list[Any] = []
    marker = None
    try:
        visit.require("iam:ListRoles")
        for _ in range(_MOST_PAGES):
            page = await visit.calls.administration("ListRoles", MaxItems=_A_PAGE, Marker=marker)
            found += page["Roles"]
            marker = page.get("Marker")
            if marker is None:
                break
    except ApiError:
        return ()
    return found


def _is_passable(visit: Visit, role: Any) -> bool:
    trust = role.get("AssumeRolePolicyDocument") or ""
    return (SERVICE in trust or '"*"' in trust) and visit.may(
        "iam:PassRole", role["Arn"], context={"iam:passedtoservice": SERVICE}
    )
