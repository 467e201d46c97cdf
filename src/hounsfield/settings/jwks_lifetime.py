"""Lifetime of the keys of an issuer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JwksLifetime:
    """How long keys are kept.

    Attributes
    ----------
    fresh_seconds : float
        After this they are fetched anew.
    most_seconds : float
        After this they are no longer used, also when the issuer does not answer.
    pause_seconds : float
        Least time between two attempts to fetch them, whatever key ids tokens name.
    """

    fresh_seconds: float = 300.0
    most_seconds: float = 3600.0
    pause_seconds: float = 10.0

    def __post_init__(self) -> None:
        if not 0 <= self.fresh_seconds <= self.most_seconds or self.pause_seconds < 0:
            raise ValueError("keys must be fetched anew before they are no longer used, and no time is below 0")
