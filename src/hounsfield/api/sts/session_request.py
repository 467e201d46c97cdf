"""Session requests: what AssumeRole and AssumeRoleWithWebIdentity share in their parameters and results.

Source: AWS STS API Reference; IAM User Guide, "Session policies" and "Pass session tags".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from hounsfield.api.sts.context import Context
from hounsfield.aws.protocol.errors import (
    MalformedPolicyDocumentException,
    PackedPolicyTooLargeException,
    ValidationException,
)
from hounsfield.aws.protocol.members import optional_integer, optional_text, structures, text
from hounsfield.aws.protocol.model import Parameters
from hounsfield.iam.identities.directory import Directory
from hounsfield.iam.identities.snapshot import Role
from hounsfield.iam.policies.document import PolicyKind
from hounsfield.iam.policies.errors import PolicyError
from hounsfield.iam.policies.parser import parse_policy
from hounsfield.iam.sessions.session_tokens import SessionTooLargeError
from hounsfield.iam.sessions.sessions import NewSession

DEFAULT_SECONDS = 3600
MOST_POLICY_ARNS = 10


def session_seconds(parameters: Parameters, role: Role) -> int:
    """Return how long a session is to last.

    Raises
    ------
    ValidationException
        It is longer than the role allows.
    """
    seconds = optional_integer(parameters, "DurationSeconds") or DEFAULT_SECONDS
    if seconds > role.max_session_seconds:
        raise ValidationException(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role, which is "
            f"{role.max_session_seconds}"
        )
    return seconds


def session_policies(parameters: Parameters) -> tuple[str, ...]:
    """Return the session policies that are given as JSON.

    Raises
    ------
    MalformedPolicyDocumentException
        It is no valid policy.
    """
    policy = optional_text(parameters, "Policy")
    if policy is None:
        return ()
    try:
        return (parse_policy(policy, kind=PolicyKind.SESSION).text,)
    except PolicyError as error:
        raise MalformedPolicyDocumentException(str(error)) from error


def session_policy_arns(parameters: Parameters, directory: Directory) -> tuple[str, ...]:
    """Return the managed policies that are to be session policies.

    Raises
    ------
    ValidationException
        There are too many, or one of them is not there.
    """
    arns = tuple(text(entry, "arn") for entry in structures(parameters.get("PolicyArns", [])) if "arn" in entry)
    if len(arns) > MOST_POLICY_ARNS:
        raise ValidationException(f"There are {len(arns)} PolicyArns, at most {MOST_POLICY_ARNS} are possible")
    for arn in arns:
        if directory.policy(arn) is None:
            raise ValidationException(f"PolicyArns has {arn[:256]}, there is no such managed policy")
    return arns


def refuse(parameters: Parameters, members: Sequence[str], why: str) -> None:
    """Refuse members that would mean something this server does not do; raises `ValidationException`."""
    given = [member for member in members if member in parameters]
    if given:
        raise ValidationException(f"{' and '.join(given)} must not be given: {why}")


def begun(context: Context, role: Role, new: NewSession) -> dict[str, object]:
    """Begin a session and give the members of the answer that tell of it.

    Raises
    ------
    PackedPolicyTooLargeException
        Its policies and tags are more than a session token may hold.
    """
    try:
        credentials = context.sessions.issue(role, new)
    except SessionTooLargeError as error:
        raise PackedPolicyTooLargeException(f"Session policies and session tags are too large: {error}") from error
    home = f"arn:{context.partition}:sts::{context.account_id}"
    answer: dict[str, object] = {
        "Credentials": {
            "AccessKeyId": credentials.access_key_id,
            "SecretAccessKey": credentials.secret,
            "SessionToken": credentials.token,
            "Expiration": datetime.fromtimestamp(credentials.expires_at, UTC),
        },
        "AssumedRoleUser": {
            "AssumedRoleId": f"{role.id}:{new.name}",
            "Arn": f"{home}:assumed-role/{role.name}/{new.name}",
        },
        "SourceIdentity": new.source_identity or None,
    }
    if new.policies or new.policy_arns or new.tags:
        answer["PackedPolicySize"] = credentials.packed_share
    return answer


def tag_context(tags: Mapping[str, str], transitive: Sequence[str]) -> dict[str, str | tuple[str, ...]]:
    """Return the condition keys of session tags: ``aws:RequestTag/…``, ``aws:TagKeys`` and ``sts:TransitiveTagKeys``."""
    context: dict[str, str | tuple[str, ...]] = {f"aws:requesttag/{key.lower()}": value for key, value in tags.items()}
    if tags:
        context["aws:tagkeys"] = tuple(tags)
    if transitive:
        context["sts:transitivetagkeys"] = tuple(transitive)
    return context
