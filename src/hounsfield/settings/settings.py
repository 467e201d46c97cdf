"""The settings of an installation, checked."""

from __future__ import annotations

from dataclasses import dataclass

from hounsfield.settings.checks import check
from hounsfield.settings.fields import Fields
from hounsfield.settings.issuers import IssuerConfiguration, issuer_of


@dataclass(frozen=True, slots=True, repr=False)
class Settings(Fields):
    """Settings of an installation; there are none that were not checked.

    Raises
    ------
    SettingsError
        A setting cannot be, alone or beside another.
    """

    def __post_init__(self) -> None:
        check(self)

    @property
    def issuer(self) -> IssuerConfiguration | None:
        """The issuer whose tokens are taken; None when there is none."""
        return issuer_of(self)
