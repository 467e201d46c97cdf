"""An issuer as the settings name it, and what is made of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hounsfield.oidc.role_mapping import ClaimRole
from hounsfield.settings.jwks_lifetime import Keeping

if TYPE_CHECKING:
    from hounsfield.oidc.issuer import Issuer

_FETCH_SECONDS = 2.0
_MOST_BYTES = 256 * 1024


def audiences_of(text: str) -> tuple[str, ...]:
    """Read a list of audiences with commas between them.

    Raises
    ------
    ValueError
        There is none.
    """
    audiences = tuple(entry.strip() for entry in text.split(",") if entry.strip())
    if not audiences:
        raise ValueError("it must say whom tokens are for, such as hounsfield")
    return audiences


@dataclass(frozen=True, slots=True)
class IssuerConfiguration:
    """An issuer whose tokens are taken.

    Attributes
    ----------
    url : str
        Its identifier, as ``iss`` of its tokens has it.
    audiences : tuple of str
        Whom tokens must be for: one of these.
    jwks_url : str
        Where its keys are; empty to ask its discovery document.
    algorithms : tuple of str
        Algorithms of signatures that are taken.
    roles : tuple of ClaimRole
        Which role a token stands for at DICOMweb.
    leeway_seconds : float
        By how much its clock may differ.
    keeping : Keeping
        How long its keys are kept.
    """

    url: str
    audiences: tuple[str, ...]
    jwks_url: str
    algorithms: tuple[str, ...]
    roles: tuple[ClaimRole, ...]
    leeway_seconds: float
    keeping: Keeping = field(default_factory=Keeping)

    def open(self) -> Issuer:
        """Give the issuer, which fetches its keys when they are first needed."""
        # Every process reads the settings; those that check no tokens do without the libraries for them.
        from hounsfield.oidc.fetch import Fetcher
        from hounsfield.oidc.issuer import Issuer
        from hounsfield.oidc.jwks import KeySource

        keys = KeySource(self.url, self.jwks_url, Fetcher(_FETCH_SECONDS, _MOST_BYTES), self.keeping)
        return Issuer(self.url, self.audiences, self.algorithms, keys, self.leeway_seconds)
