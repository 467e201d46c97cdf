"""Request rates of actions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

_SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something may be done.

    Attributes
    ----------
    per_second : float
        Tokens that come back in a second, more than 0.
    burst : int
        Tokens of a full bucket, 1 at least.
    """

    per_second: float
    burst: int
    interval_ns: int = field(init=False, repr=False, compare=False)
    """Nanoseconds in which one token comes back."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.per_second) and self.per_second > 0) or self.burst < 1:
            raise ValueError("a rate is more than 0 a second, a burst 1 at least")
        object.__setattr__(self, "interval_ns", max(1, round(_SECOND_NS / self.per_second)))

    def __str__(self) -> str:
        """Return the form that `parse_rates` reads, such as ``1000/2000``."""
        return f"{self.per_second:g}/{self.burst}"

    def share_of(self, processes: int) -> Rate:
        """Return the rate of one of several processes that answer the same requests; together they keep to this one."""
        return Rate(self.per_second / processes, max(1, self.burst // processes))


def _rates(per_second: float, burst: int, *actions: str) -> dict[str, Rate]:
    return dict.fromkeys(actions, Rate(per_second, burst))


AWS_RATES: Final[Mapping[str, Rate]] = {
    **_rates(0.085, 1, "CreateDatastore", "DeleteDatastore"),
    **_rates(10, 20, "GetDatastore"),
    **_rates(5, 10, "ListDatastores"),
    **_rates(1, 2, "StartDICOMImportJob"),
    **_rates(25, 50, "GetDICOMImportJob"),
    **_rates(10, 20, "ListDICOMImportJobs"),
    **_rates(25, 50, "SearchImageSets", "GetImageSet", "ListImageSetVersions"),
    **_rates(50, 100, "GetImageSetMetadata"),
    **_rates(1000, 2000, "GetImageFrame"),
    **_rates(0.25, 1, "UpdateImageSetMetadata", "CopyImageSet", "DeleteImageSet"),
    **_rates(10, 20, "TagResource", "UntagResource", "ListTagsForResource"),
    **_rates(
        50, 100, "GetDICOMInstance", "GetDICOMInstanceMetadata", "GetDICOMInstanceFrames", "GetDICOMSeriesMetadata"
    ),
}
"""The figures of AWS HealthImaging (its quotas page), by action."""


UNLIMITED_BY_AWS: Final = frozenset(
    {
        "GetDICOMBulkdata",
        "SearchDICOMStudies",
        "SearchDICOMSeries",
        "SearchDICOMInstances",
        "SearchDICOMStudyInstances",
        "SearchDICOMAllSeries",
        "SearchDICOMAllInstances",
        "StoreDICOM",
        "StoreDICOMStudy",
    }
)
"""Actions for which AWS names no figure."""


class Throttling(StrEnum):
    """Whose rates apply."""

    AWS = "aws"
    """Those of AWS."""
    OFF = "off"
    """None."""


def parse_rates(throttling: Throttling, overrides: str) -> dict[str, Rate]:
    """Return the rate of every action that has one.

    Parameters
    ----------
    throttling : Throttling
        Whose rates.
    overrides : str
        Rates for single actions instead, as ``<action>=<per second>/<burst>`` or ``<action>=off``, separated by commas.

    Raises
    ------
    ValueError
        The overrides are not of that form, or name an action that does not exist.
    """
    rates = {} if throttling is Throttling.OFF else dict(AWS_RATES)
    for entry in overrides.split(","):
        if not entry.strip():
            continue
        action, _, value = (part.strip() for part in entry.partition("="))
        if action not in AWS_RATES and action not in UNLIMITED_BY_AWS:
            raise ValueError(f"{action!r} is not an action, such as GetImageFrame")
        if value == Throttling.OFF:
            rates.pop(action, None)
        else:
            rates[action] = _rate(action, value)
    return rates


def _rate(action: str, value: str) -> Rate:
    per_second, slash, burst = value.partition("/")
    try:
        return Rate(float(per_second), int(burst if slash else ""))
    except ValueError as error:
        raise ValueError(
            f"{action}={value} must be {action}=<per second>/<burst> with a rate above 0 and a burst of 1 or more, "
            f"such as {action}=10/20, or {action}={Throttling.OFF}"
        ) from error
