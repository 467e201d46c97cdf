"""GetCallerIdentity: who am I? Needs no permission."""

from __future__ import annotations

from collections.abc import Mapping

from hounsfield.api.sts.context import Call, Context


def get_caller_identity(_context: Context, call: Call) -> Mapping[str, object]:
    """API operation GetCallerIdentity."""
    caller = call.caller
    return {"UserId": caller.id, "Account": caller.account_id, "Arn": caller.arn}
