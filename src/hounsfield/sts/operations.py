"""Which function carries out which operation; what is not here answers that it is not carried out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from hounsfield.sts.assume_role import assume_role
from hounsfield.sts.caller_identity import get_caller_identity
from hounsfield.sts.context import Call, Context
from hounsfield.sts.web_identity import assume_role_with_web_identity

Handler: TypeAlias = Callable[[Context, Call], Mapping[str, object]]

HANDLERS: Final[Mapping[str, Handler]] = {
    "AssumeRole": assume_role,
    "AssumeRoleWithWebIdentity": assume_role_with_web_identity,
    "GetCallerIdentity": get_caller_identity,
}
