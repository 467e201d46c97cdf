"""The table of STS operations and their handlers; an operation without one answers that it is not implemented."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from hounsfield.api.sts.assume_role import assume_role
from hounsfield.api.sts.assume_role_with_web_identity import assume_role_with_web_identity
from hounsfield.api.sts.context import Call, Context
from hounsfield.api.sts.get_caller_identity import get_caller_identity

Handler: TypeAlias = Callable[[Context, Call], Mapping[str, object]]

HANDLERS: Final[Mapping[str, Handler]] = {
    "AssumeRole": assume_role,
    "AssumeRoleWithWebIdentity": assume_role_with_web_identity,
    "GetCallerIdentity": get_caller_identity,
}
