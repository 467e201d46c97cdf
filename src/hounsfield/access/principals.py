"""Who is calling."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller that was identified.

    Attributes
    ----------
    arn : str
        What error messages and records name the caller by.
    is_root : bool
        Whether it is the root of the account, who may do everything.
    """

    arn: str
    is_root: bool

    @property
    def account_id(self) -> str:
        """The account it belongs to, 12 digits."""
        return self.arn.split(":", 5)[4]


def root_of(partition: str, account_id: str) -> Principal:
    """Give the root principal of an account."""
    return Principal(f"arn:{partition}:iam::{account_id}:root", is_root=True)
