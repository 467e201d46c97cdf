"""The token issuer, from the settings that are about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from hounsfield.settings.claim_roles import ClaimRole, parse_claim_roles
from hounsfield.settings.errors import fault_of
from hounsfield.settings.fields import Fields
from hounsfield.settings.jwks_lifetime import JwksLifetime
from hounsfield.settings.jws_algorithms import parse_algorithms
from hounsfield.settings.urls import check_url


def issuer_of(settings: Fields) -> IssuerConfiguration | None:
    """Return the issuer, None when there is none.

    Raises
    ------
    SettingsError
        A setting cannot be.
    """
    if not settings.oidc_issuer:
        return None
    with fault_of("oidc_issuer"):
        url = check_url(settings.oidc_issuer)
    with fault_of("oidc_jwks_url"):
        jwks_url = check_url(settings.oidc_jwks_url) if settings.oidc_jwks_url else ""
    with fault_of("oidc_audience"):
        audiences = parse_audiences(settings.oidc_audience)
    with fault_of("oidc_algorithms"):
        algorithms = parse_algorithms(settings.oidc_algorithms)
    with fault_of("oidc_roles"):
        roles = parse_claim_roles(settings.oidc_roles)
    with fault_of("oidc_keys_seconds"):
        jwks_lifetime = JwksLifetime(
            settings.oidc_keys_seconds, settings.oidc_keys_most_seconds, settings.oidc_refetch_seconds
        )
    return IssuerConfiguration(url, audiences, jwks_url, algorithms, roles, settings.oidc_leeway_seconds, jwks_lifetime)


def parse_audiences(text: str) -> tuple[str, ...]:
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
    jwks_lifetime : JwksLifetime
        How long its keys are kept.
    """

    url: str
    audiences: tuple[str, ...]
    jwks_url: str
    algorithms: tuple[str, ...]
    roles: tuple[ClaimRole, ...]
    leeway_seconds: float
    jwks_lifetime: JwksLifetime = field(default_factory=JwksLifetime)


MOST_LEEWAY: Final = 60.0
"""Seconds by which clocks may be said to differ."""


def check_leeway(seconds: float) -> float:
    """Return a leeway; raises `ValueError` when it is no leeway but a longer life."""
    if not 0 <= seconds <= MOST_LEEWAY:
        raise ValueError(f"it must be from 0 to {MOST_LEEWAY:g} seconds")
    return seconds
