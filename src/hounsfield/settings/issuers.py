"""The issuer whose tokens are taken, of the settings that are about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from hounsfield.settings.claim_roles import ClaimRole, claim_roles_of
from hounsfield.settings.errors import said_of
from hounsfield.settings.fields import Fields
from hounsfield.settings.jwks_lifetime import Keeping
from hounsfield.settings.jws_algorithms import algorithms_of
from hounsfield.settings.urls import check_url


def issuer_of(settings: Fields) -> IssuerConfiguration | None:
    """Give the issuer, None when there is none.

    Raises
    ------
    SettingsError
        A setting cannot be.
    """
    if not settings.oidc_issuer:
        return None
    with said_of("oidc_issuer"):
        url = check_url(settings.oidc_issuer)
    with said_of("oidc_jwks_url"):
        jwks_url = check_url(settings.oidc_jwks_url) if settings.oidc_jwks_url else ""
    with said_of("oidc_audience"):
        audiences = audiences_of(settings.oidc_audience)
    with said_of("oidc_algorithms"):
        algorithms = algorithms_of(settings.oidc_algorithms)
    with said_of("oidc_roles"):
        roles = claim_roles_of(settings.oidc_roles)
    with said_of("oidc_keys_seconds"):
        keeping = Keeping(settings.oidc_keys_seconds, settings.oidc_keys_most_seconds, settings.oidc_refetch_seconds)
    return IssuerConfiguration(url, audiences, jwks_url, algorithms, roles, settings.oidc_leeway_seconds, keeping)


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


MOST_LEEWAY: Final = 60.0
"""Seconds by which clocks may be said to differ."""


def check_leeway(seconds: float) -> float:
    """Give back a leeway; raises `ValueError` when it is no leeway but a longer life."""
    if not 0 <= seconds <= MOST_LEEWAY:
        raise ValueError(f"it must be from 0 to {MOST_LEEWAY:g} seconds")
    return seconds
