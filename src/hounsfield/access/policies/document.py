"""A policy document (IAM User Guide, "IAM JSON policy elements reference"), read once and quick to ask."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy that was read and found valid.

    Attributes
    ----------
    text : str
        The JSON it was read from.
    """

    text: str
