"""A server that takes bearer tokens: authorizers of every kind, an issuer, and roles."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from support.clients.dicomweb import root
from support.identities.users_and_roles import Statement, UsersAndRoles, allow, trust
from support.servers import ServerProcess, active_datastore, free_port, wait_for
from support.services.authorizers import Asked, http_endpoint, lambda_endpoint
from support.services.token_issuer import TokenIssuer

ACCOUNT = "123456789012"  # that of moto
VIEWER = "https://viewer.example.org"
SERVICE = "medical-imaging.amazonaws.com"
ROLES = ("reader", "writer", "untrusting", "bound", "near")
HTTP_FUNCTIONS = (
    *ROLES,
    *("no-role", "invalid", "malformed", "not-json", "no-arn", "huge", "unknown-role", "foreign-role"),
    *("missing", "crash", "elsewhere", "slow", "down"),
)


def function(name: str, region: str = "us-east-1", account: str = ACCOUNT) -> str:
    return f"arn:aws:lambda:{region}:{account}:function:{name}"


def images(*actions: str) -> Statement:
    """Return a statement that allows some actions of DICOMweb."""
    return allow([f"medical-imaging:{action}" for action in actions])


def trusting(condition: Mapping[str, Any] | None = None) -> Statement:
    """Return a statement by which a role trusts the service."""
    return trust({"Service": SERVICE}, **({"Condition": condition} if condition else {}))


@dataclass
class World:
    """A server, its issuer, its authorizers, and the data store of each."""

    server: ServerProcess
    issuer: TokenIssuer
    asked: Asked
    identities: UsersAndRoles
    client: Any
    stores: dict[str, str]

    def store_of(self, arn: str) -> str:
        if arn not in self.stores:
            self.stores[arn] = active_datastore(self.client, lambdaAuthorizerArn=arn)
        return self.stores[arn]

    def get(self, name_or_arn: str, token: str, path: str = "studies", **headers: str) -> requests.Response:
        arn = name_or_arn if name_or_arn.startswith("arn:") else function(name_or_arn)
        return self.ask(self.store_of(arn), token, path, **headers)

    def ask(self, datastore_id: str, token: str, path: str = "studies", **headers: str) -> requests.Response:
        url = f"{root(self.server, datastore_id)}/{path}"
        return requests.get(url, headers={"Authorization": f"Bearer {token}", **headers}, timeout=60)


@contextmanager
def world_with(data: Path, moto_url: str) -> Iterator[World]:
    """Make it all on a data folder, and end it."""
    roles = {name: f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in ROLES}
    asked, issuer = Asked(roles), TokenIssuer()
    endpoint, invoke = http_endpoint(asked), lambda_endpoint(asked, moto_url)
    urls = {name: f"{endpoint.url}/{name}" for name in HTTP_FUNCTIONS} | {"down": f"http://127.0.0.1:{free_port()}"}
    rules = [
        {"claim": ["realm_access", "roles"], "value": "dicom-writer", "role": roles["writer"]},
        {"claim": "groups", "value": "readers", "role": roles["reader"]},
    ]
    environment = {
        "HOUNSFIELD_ACCOUNT_ID": ACCOUNT,
        "HOUNSFIELD_AUTHORIZERS": ",".join(f"{function(name)}={url}" for name, url in urls.items()),
        "HOUNSFIELD_LAMBDA_ENDPOINT_URL": invoke.url,
        "HOUNSFIELD_LAMBDA_ACCESS_KEY_ID": "lambda-key",
        "HOUNSFIELD_LAMBDA_SECRET_ACCESS_KEY": "lambda-secret",
        "HOUNSFIELD_AUTHORIZER_CACHE_SECONDS": "60",
        "HOUNSFIELD_AUTHORIZER_CALLS": "4",
        "HOUNSFIELD_OIDC_ISSUER": issuer.url,
        "HOUNSFIELD_OIDC_AUDIENCE": "hounsfield",
        "HOUNSFIELD_OIDC_ROLES": json.dumps(rules),
        "HOUNSFIELD_OIDC_REFETCH_SECONDS": "0",
        "HOUNSFIELD_CORS_ORIGINS": VIEWER,
        "HOUNSFIELD_LOG_LEVEL": "debug",
    }
    server = ServerProcess(data, environment).start()
    identities = UsersAndRoles(server)
    try:
        here = {"aws:SourceArn": f"arn:aws:medical-imaging:us-east-1:{ACCOUNT}:datastore/*"}
        trusted = {
            "reader": trusting(),
            "writer": trusting(),
            "untrusting": trust({"AWS": ACCOUNT}),
            "bound": trusting({"StringEquals": {"aws:SourceArn": "none"}}),
            "near": trusting({"ArnLike": here}),
        }
        for name in ROLES:
            identities.role(
                name, trusted[name], images(*(["*"] if name == "writer" else ["SearchDICOM*", "GetDICOM*"]))
            )
        made = World(server, issuer, asked, identities, server.client(), {})
        wait_for(lambda: made.get("reader", issuer.token()).ok, "the roles to be known")
        yield made
    finally:
        asked.released.set()
        identities.close()
        server.stop()
        for each in (endpoint, invoke, issuer):
            each.stop()
