"""Access keys of users: create, list, disable, enable, let expire and delete them (IAM CreateAccessKey and so on).

The secret of a key is in the answer of CreateAccessKey and nowhere else. A key is replaced by a second one: CreateAccessKey,
then UpdateAccessKey of the first to Inactive once the second is in use, then DeleteAccessKey.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from hounsfield.api.administration.answers import time_text
from hounsfield.api.administration.context import Call, Context
from hounsfield.api.administration.identities import name_member
from hounsfield.api.administration.members import Form, Member
from hounsfield.api.administration.operation import Answer, Operation, Source
from hounsfield.api.administration.resources import named_identity, permission_on
from hounsfield.audit.events import Json
from hounsfield.aws.protocol.errors import ValidationException
from hounsfield.aws.protocol.members import moment, optional_boolean, optional_text, text
from hounsfield.iam.authorization import Permission
from hounsfield.iam.identities.access_keys import create_key, delete_key, list_keys, update_key
from hounsfield.iam.identities.records import AccessKeyRecord, IdentityKind, KeyStatus
from hounsfield.iam.principals import PrincipalKind

STATUSES: Final = {"Active": KeyStatus.ACTIVE, "Inactive": KeyStatus.INACTIVE}
_NAMES: Final = {status: name for name, status in STATUSES.items()}
_OWNER: Final = name_member(IdentityKind.USER, required=False)
_KEY: Final = Member("AccessKeyId", required=True, least=16, most=128)
_EXPIRES: Final = Member("ExpirationDate", Form.MOMENT)


def key_members(record: AccessKeyRecord) -> Mapping[str, Json]:
    """Return an access key without its secret."""
    return {
        "UserName": record.user,
        "AccessKeyId": record.id,
        "Status": _NAMES[record.status],
        "CreateDate": time_text(record.created_at),
        "ExpirationDate": time_text(record.expires_at),
        "LastUsedDate": time_text(record.last_used_at),
    }


def _on_owner(context: Context, call: Call, action: str) -> Sequence[Permission]:
    if call.principal.kind is PrincipalKind.ROOT:
        # Who may do everything is told at once: it has no user's name to leave out.
        _refuse_root_key(context, call)
    return (permission_on(context, call, action, IdentityKind.USER),)


def _create(context: Context, call: Call) -> Answer:
    expires = call.parameters.get("ExpirationDate")
    made = create_key(
        context.repository,
        named_identity(call, IdentityKind.USER),
        expires_at=None if expires is None else moment(expires),
    )
    return {"AccessKey": {**key_members(made.record), "SecretAccessKey": made.secret}}


def _list(context: Context, call: Call) -> Answer:
    records = list_keys(context.repository, named_identity(call, IdentityKind.USER))
    return {"AccessKeyMetadata": [key_members(record) for record in records]}


def _refuse_root_key(context: Context, call: Call) -> None:
    if optional_text(call.parameters, "AccessKeyId") == context.root_key_id:
        raise ValidationException(
            "The key is the root key, which is no user's: it is neither disabled nor deleted here."
        )


def _update(context: Context, call: Call) -> Answer:
    parameters = call.parameters
    _refuse_root_key(context, call)
    status, expires = optional_text(parameters, "Status"), parameters.get("ExpirationDate")
    never = optional_boolean(parameters, "NeverExpires") or False
    if never and expires is not None:
        raise ValidationException("NeverExpires and ExpirationDate exclude each other.")
    if status is None and expires is None and not never:
        raise ValidationException("One of Status, ExpirationDate and NeverExpires must say what is to change.")
    updated = update_key(
        context.repository,
        text(parameters, "AccessKeyId"),
        named_identity(call, IdentityKind.USER),
        status=None if status is None else STATUSES[status],
        expires_at=None if expires is None else moment(expires),
        never_expires=never,
    )
    return {"AccessKey": key_members(updated)}


def _delete(context: Context, call: Call) -> Answer:
    _refuse_root_key(context, call)
    delete_key(context.repository, text(call.parameters, "AccessKeyId"), named_identity(call, IdentityKind.USER))
    return {}


OPERATIONS: Final = (
    Operation("CreateAccessKey", Source.IAM, "iam:CreateAccessKey", _on_owner, (_OWNER, _EXPIRES), _create),
    Operation("ListAccessKeys", Source.IAM, "iam:ListAccessKeys", _on_owner, (_OWNER,), _list),
    Operation(
        "UpdateAccessKey",
        Source.IAM,
        "iam:UpdateAccessKey",
        _on_owner,
        (_OWNER, _KEY, Member("Status", choices=tuple(STATUSES)), _EXPIRES, Member("NeverExpires", Form.BOOLEAN)),
        _update,
    ),
    Operation("DeleteAccessKey", Source.IAM, "iam:DeleteAccessKey", _on_owner, (_OWNER, _KEY), _delete),
)
