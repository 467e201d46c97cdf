"""The issuer whose tokens are taken, of the settings that are about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hounsfield.oidc.configuration import IssuerConfiguration, audiences_of
from hounsfield.oidc.role_mapping import claim_roles_of
from hounsfield.settings.errors import said_of
from hounsfield.settings.jwks_lifetime import Keeping
from hounsfield.settings.jws_algorithms import algorithms_of
from hounsfield.settings.urls import check_url

if TYPE_CHECKING:
    from hounsfield.settings.fields import Settings


def issuer_of(settings: Settings) -> IssuerConfiguration | None:
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
