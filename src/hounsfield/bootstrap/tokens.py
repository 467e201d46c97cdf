"""Authorizers of bearer tokens, made from the settings."""

from __future__ import annotations

import os

from hounsfield.oidc.authorizer import Authorizers, ServiceAccount, TokenAuthorizer
from hounsfield.oidc.grant_cache import GrantCache
from hounsfield.oidc.issuer import Issuer
from hounsfield.oidc.lambda_authorizer import LambdaClient, lambda_client
from hounsfield.settings import Settings
from hounsfield.settings.authorizer_urls import parse_authorizer_urls


def open_lambda(settings: Settings) -> LambdaClient | None:
    """Return the client of the Lambda API; None where the settings name none: tokens must not go to AWS unasked."""
    if not (settings.lambda_endpoint_url or settings.lambda_api or os.environ.get("AWS_ENDPOINT_URL_LAMBDA")):
        return None
    key = (settings.lambda_access_key_id, settings.lambda_secret_access_key)
    return lambda_client(
        settings.region, settings.lambda_endpoint_url, settings.authorizer_calls, key if key[0] else None
    )


def make_token_authorizer(settings: Settings, issuer: Issuer | None) -> TokenAuthorizer:
    """Return what finds out what tokens stand for; the issuer is that of the settings."""
    home = ServiceAccount(settings.partition, settings.region, settings.account_id)
    return TokenAuthorizer(
        Authorizers(home, parse_authorizer_urls(settings.authorizers), open_lambda(settings)),
        issuer,
        () if settings.issuer is None else settings.issuer.roles,
        GrantCache(settings.authorizer_cache_seconds),
        settings.authorizer_calls,
        settings.oidc_leeway_seconds,
    )
