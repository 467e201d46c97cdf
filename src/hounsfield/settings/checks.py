"""Checks of settings, each alone and together."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Final

from hounsfield.settings.authorizer_urls import parse_authorizer_urls
from hounsfield.settings.cors_origins import parse_origins
from hounsfield.settings.errors import PREFIX, SettingsError, fault_of
from hounsfield.settings.fields import Fields
from hounsfield.settings.import_roles import ImportRoles
from hounsfield.settings.issuers import check_leeway, issuer_of
from hounsfield.settings.throttling import parse_rates
from hounsfield.settings.trusted_proxies import parse_proxies

_S3_URI: Final = re.compile(r"s3://[^/]+(/.*)?")
_LOG_LEVELS: Final = ("debug", "info", "warning", "error")
_MORE_THAN_NOTHING: Final = (
    "database_wait_seconds",
    "database_replica_seconds",
    "max_connections",
    "max_header_bytes",
    "body_memory_bytes",
    "answer_memory_bytes",
    "header_timeout_seconds",
    "body_timeout_seconds",
    "answer_timeout_seconds",
    "least_bytes_per_second",
)
_NOTHING_OR_MORE: Final = {
    "database_statement_seconds": "for no limit",
    "free_space_floor_bytes": "to fill the disk",
    "read_cache_bytes": "for none",
}
"""Settings that may be zero, and what zero is."""
_POSTGRESQL: Final = ("postgresql://", "postgresql+psycopg://")


def check(settings: Fields) -> None:
    """Check all settings.

    Raises
    ------
    SettingsError
        One cannot be, alone or beside another.
    """
    _check_numbers(settings)
    _check_database(settings)
    _check_keys_and_certificates(settings)
    _check_callers(settings)
    _check_tokens(settings)
    _check_console(settings)
    _check_import_roles(settings)
    _check_executor(settings)
    _check_audit(settings)


def _check_numbers(settings: Fields) -> None:
    if settings.log_level.lower() not in _LOG_LEVELS:
        raise SettingsError(f"{PREFIX}LOG_LEVEL is {settings.log_level!r}, it must be one of {', '.join(_LOG_LEVELS)}")
    quotas = {field.name: "for no limit" for field in fields(settings) if field.name.startswith("quota_")}
    for name, zero in (quotas | _NOTHING_OR_MORE).items():
        if getattr(settings, name) < 0:
            raise SettingsError(f"{PREFIX}{name.upper()} must be 0 {zero}, or more")
    for name in _MORE_THAN_NOTHING:
        if not getattr(settings, name) > 0:
            raise SettingsError(f"{PREFIX}{name.upper()} must be more than 0")


def _check_database(settings: Fields) -> None:
    if settings.database_url and not settings.database_url.startswith(_POSTGRESQL):
        raise SettingsError(
            f"{PREFIX}DATABASE_URL must be the URL of a PostgreSQL database: postgresql://user@host/name"
        )
    if settings.database_replica_url and not settings.database_replica_url.startswith(_POSTGRESQL):
        raise SettingsError(
            f"{PREFIX}DATABASE_REPLICA_URL must be the URL of a standby of the database: postgresql://user@host/name"
        )
    if settings.database_replica_url and not settings.database_url:
        raise SettingsError(f"{PREFIX}DATABASE_REPLICA_URL needs {PREFIX}DATABASE_URL")


def _check_keys_and_certificates(settings: Fields) -> None:
    if not 5 <= settings.kms_cache_seconds <= 3600:
        raise SettingsError(f"{PREFIX}KMS_CACHE_SECONDS is {settings.kms_cache_seconds}, it must be 5 to 3600")
    if settings.kms not in {"", "aws"}:
        raise SettingsError(f"{PREFIX}KMS is {settings.kms!r}, it must be aws or empty")
    if bool(settings.tls_certificate) != bool(settings.tls_key):
        raise SettingsError(f"{PREFIX}TLS_CERTIFICATE and {PREFIX}TLS_KEY are set together or not at all")
    if settings.tls_client_ca and not settings.tls_certificate:
        raise SettingsError(f"{PREFIX}TLS_CLIENT_CA needs {PREFIX}TLS_CERTIFICATE and {PREFIX}TLS_KEY")


def _check_callers(settings: Fields) -> None:
    with fault_of("throttle_rates"):
        parse_rates(settings.throttling, settings.throttle_rates)
    with fault_of("cors_origins"):
        parse_origins(settings.cors_origins)
    with fault_of("trusted_proxies"):
        parse_proxies(settings.trusted_proxies)


def _check_tokens(settings: Fields) -> None:
    with fault_of("authorizers"):
        parse_authorizer_urls(settings.authorizers)
    if settings.lambda_api not in {"", "aws"}:
        raise SettingsError(f"{PREFIX}LAMBDA_API is {settings.lambda_api!r}, it must be aws or empty")
    if not 0 <= settings.authorizer_cache_seconds <= 60:
        raise SettingsError(f"{PREFIX}AUTHORIZER_CACHE_SECONDS must be from 0 to 60")
    if settings.authorizer_calls < 1:
        raise SettingsError(f"{PREFIX}AUTHORIZER_CALLS must be 1 or more")
    with fault_of("oidc_leeway_seconds"):
        check_leeway(settings.oidc_leeway_seconds)
    issuer_of(settings)


def _check_console(settings: Fields) -> None:
    for name in ("console_idle_seconds", "console_session_seconds"):
        if not getattr(settings, name) > 0:
            raise SettingsError(f"{PREFIX}{name.upper()} must be more than 0")
    if not settings.console_oidc_client_id:
        return
    for name in ("oidc_issuer", "oidc_roles"):
        if not getattr(settings, name):
            raise SettingsError(f"{PREFIX}CONSOLE_OIDC_CLIENT_ID needs {PREFIX}{name.upper()}")
    if "openid" not in settings.console_oidc_scopes.split():
        raise SettingsError(f"{PREFIX}CONSOLE_OIDC_SCOPES must have openid among them")


def _check_import_roles(settings: Fields) -> None:
    if settings.import_roles not in {"", *ImportRoles}:
        raise SettingsError(
            f"{PREFIX}IMPORT_ROLES is {settings.import_roles!r}, it must be one of {', '.join(ImportRoles)}, or empty"
        )
    if settings.job_roles is ImportRoles.STS and not (settings.s3_endpoint_url or settings.s3 == "aws"):
        raise SettingsError(f"{PREFIX}IMPORT_ROLES is sts, but buckets are folders; set {PREFIX}S3_ENDPOINT_URL or S3")


def _check_executor(settings: Fields) -> None:
    with fault_of("executor"):
        _ = settings.cluster


def _check_audit(settings: Fields) -> None:
    if settings.audit_s3_uri and not _S3_URI.fullmatch(settings.audit_s3_uri):
        raise SettingsError(f"{PREFIX}AUDIT_S3_URI is {settings.audit_s3_uri!r}, it must be s3://bucket/prefix")
    for name in ("audit_file_bytes", "audit_file_seconds", "audit_s3_seconds"):
        if getattr(settings, name) <= 0:
            raise SettingsError(f"{PREFIX}{name.upper()} must be more than 0")
    if settings.audit_unproven_per_second < 0:
        raise SettingsError(f"{PREFIX}AUDIT_UNPROVEN_PER_SECOND must be 0 or more")
    if settings.audit_retention_days < 0:
        raise SettingsError(f"{PREFIX}AUDIT_RETENTION_DAYS must be 0 for ever, or more")
