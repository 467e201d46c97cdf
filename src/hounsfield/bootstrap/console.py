"""The console of an API process, made from the settings."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from starlette.types import Scope

from hounsfield.audit.trail import Trail
from hounsfield.console.app import Console, Limits
from hounsfield.console.sessions.attempts import Attempts
from hounsfield.console.sessions.provider_sign_in import ProviderSignIn
from hounsfield.console.sessions.sessions import SEALED_WITH, ConsoleSessions, SessionTimes
from hounsfield.console.sessions.sign_in import SignIn
from hounsfield.console.templates import make_environment
from hounsfield.console.visit import Place
from hounsfield.gateway.audit_record import Recorder
from hounsfield.gateway.authentication import AccessKeyHolders
from hounsfield.gateway.condition_keys import ConditionKeys
from hounsfield.gateway.request_body import RequestBodyMemory
from hounsfield.gateway.route_table import Route
from hounsfield.iam.sessions.web_identity import IdentityProvider
from hounsfield.imaging.image_store import ImageStore
from hounsfield.oidc.code_flow import ClientCredentials, CodeFlow
from hounsfield.oidc.fetch import Fetcher
from hounsfield.oidc.issuer import Issuer
from hounsfield.settings import Settings
from hounsfield.settings.cors_origins import parse_origins
from hounsfield.storage.keys.data_key import KeyWrapper
from hounsfield.storage.keys.installation_secrets import installation_secret

SIGN_IN: Final = "signin.amazonaws.com"
"""Service that CloudTrail has sign-ins of a console under."""
_PROVIDER_SECONDS: Final = 5.0
"""How long the identity provider may take to answer."""
_MOST_BYTES: Final = 256 * 1024


def make_console(
    settings: Settings,
    image_store: ImageStore,
    wrapper: KeyWrapper,
    holders: AccessKeyHolders,
    trail: Trail,
    issuer: Issuer | None,
) -> Console:
    """Make the console; its `pipeline` is to be set."""
    secret = installation_secret(image_store.database, wrapper, SEALED_WITH)
    times = SessionTimes(settings.console_idle_seconds, settings.console_session_seconds)
    sessions = ConsoleSessions(image_store.database, secret, holders, times)
    environment = make_environment()
    recorder = Recorder(
        trail,
        SIGN_IN,
        f"arn:{settings.partition}:iam::{settings.account_id}:",
        on_failure=settings.audit_on_failure,
    )
    cookie = f"hounsfield-{hashlib.sha256(b'cookie:' + secret).hexdigest()[:8]}"

    def condition_keys(scope: Scope) -> ConditionKeys:
        return ConditionKeys(scope, image_store)

    provider = None if issuer is None else _provider(settings, issuer, holders, condition_keys, secret, cookie)
    environment.globals["sign_in_provider"] = None if provider is None else provider.name
    return Console(
        sessions,
        SignIn(
            sessions,
            holders,
            recorder,
            environment,
            cookie,
            settings.insecure_no_auth,
            provider,
            Attempts(settings.api_workers),
        ),
        condition_keys,
        environment,
        Place(settings.account_id, settings.region, settings.partition, settings.job_roles, settings.max_store_bytes),
        RequestBodyMemory(settings.body_memory_bytes),
        Limits(settings.max_header_bytes, parse_origins(settings.cors_origins) if settings.insecure_no_auth else None),
    )


def _provider(
    settings: Settings,
    issuer: Issuer,
    holders: AccessKeyHolders,
    condition_keys: Callable[[Scope], ConditionKeys],
    secret: bytes,
    cookie: str,
) -> ProviderSignIn | None:
    """Return the sign-in by the issuer of the settings; None where the console is no client of it."""
    client = ClientCredentials(settings.console_oidc_client_id, settings.console_oidc_client_secret)
    if not client.id or settings.issuer is None:
        return None
    # An ID token is for the client that asked for it, and access tokens of others are not taken here.
    of_client = replace(issuer, audiences=(client.id,))
    return ProviderSignIn(
        CodeFlow(of_client, client, settings.console_oidc_scopes, Fetcher(_PROVIDER_SECONDS, _MOST_BYTES)),
        IdentityProvider.of(issuer.url, settings.partition, settings.account_id),
        settings.issuer.roles,
        holders,
        lambda request: condition_keys(request.scope),
        secret,
        settings.public_url,
        settings.console_session_seconds,
        cookie,
    )


def console_routes(console: Console) -> Sequence[Route]:
    """Return the routes of the console: all that is below ``/console``."""
    return (
        Route("GET", "/console", "Console", app=console),
        Route("GET", "/console/{rest}", "Console", app=console, rest_is_label=True),
    )
