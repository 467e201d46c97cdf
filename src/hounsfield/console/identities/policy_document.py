"""Policy documents in forms: where one is wrong, and whether somebody else changed it meanwhile.

shown ─▶ mark in the form ─▶ sent with the mark ─▶ does the document still have it? ─no─▶ 409, both are shown
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from hounsfield.console.calls import ApiError
from hounsfield.console.form import Form

EMPTY_POLICY: Final = """{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": ["medical-imaging:Get*", "medical-imaging:List*", "medical-imaging:Search*"],
      "Resource": "*"
    }
  ]
}
"""
"""What a new policy begins with."""
SCOPES_OF_DATASTORE: Final[Mapping[str, tuple[str, ...]]] = {
    "read": ("Get*", "List*", "Search*"),
    "store": ("Get*", "List*", "Search*", "StoreDICOM*"),
    "change": ("*",),
}
"""What a policy for one data store may be begun with: actions by name."""
_PLACE: Final = re.compile(r"line (\d+), column (\d+)")


class ChangedMeanwhileError(ApiError):
    """Somebody else changed the document after the form was opened.

    Attributes
    ----------
    current : str
        What it says now.
    """

    def __init__(self, current: str) -> None:
        super().__init__(
            409,
            "ConflictException",
            "Somebody changed this after you opened it. Their text is below yours. Save again to put yours in its place.",
            "",
        )
        self.current = current


def policy_of_datastore(arn: str, actions: tuple[str, ...]) -> str:
    """Return a policy that allows actions in one data store, and to find it in the list of all.

    Parameters
    ----------
    arn : str
        ARN of the data store.
    actions : tuple of str
        HealthImaging actions, without their prefix.
    """
    statements = [
        {
            "Effect": "Allow",
            "Action": [f"medical-imaging:{action}" for action in actions],
            "Resource": [arn, f"{arn}/*"],
        },
        {"Effect": "Allow", "Action": "medical-imaging:ListDatastores", "Resource": "*"},
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2) + "\n"


def mark_of(document: str) -> str:
    """Return what tells a document from every other."""
    return hashlib.sha256(document.encode()).hexdigest()


def check_unchanged(form: Form, current: str) -> None:
    """Let a form pass whose document is still what it was; raises `ChangedMeanwhileError`."""
    if "seen" in form and form.text("seen") != mark_of(current):
        raise ChangedMeanwhileError(current)


def document_values(document: str, error: ApiError | None) -> Mapping[str, Any]:
    """Return what templates show of a document in a form.

    Parameters
    ----------
    document : str
        What the field holds.
    error : ApiError or None
        What is wrong with what was sent.
    """
    found = _PLACE.search(error.message) if error is not None else None
    theirs = error.current if isinstance(error, ChangedMeanwhileError) else None
    return {
        "document_text": document,
        "error": error,
        "place_of_error": {} if found is None else {"data-line": found[1], "data-column": found[2]},
        "theirs": theirs,
    }
