"""Tag keys: policies ignore their case, so no two of a resource may differ in case only.

Source: IAM User Guide, "Controlling access to AWS resources using tags": names of condition keys are not case-sensitive.
"""

from __future__ import annotations

from collections.abc import Iterable

from hounsfield.imaging.errors import InvalidRequestError


def check_distinct(keys: Iterable[str]) -> None:
    """Make sure that a policy can tell all keys of a resource apart.

    Parameters
    ----------
    keys : iterable of str
        All keys the resource would have, each once.

    Raises
    ------
    InvalidRequestError
        Two of them differ only in upper and lower case.
    """
    seen: dict[str, str] = {}
    for key in sorted(keys):
        first = seen.setdefault(key.lower(), key)
        if first != key:
            raise InvalidRequestError(
                f"the resource would have the tag keys {first} and {key}, which differ only in upper and lower case: "
                f"policies could not tell them apart; remove one, or write both alike"
            )
