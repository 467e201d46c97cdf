"""Discovery documents: what an issuer says of itself (OpenID Connect Discovery 1.0, section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson

from hounsfield.oidc.fetch import Fetcher
from hounsfield.settings.urls import check_url

DISCOVERY: Final = "/.well-known/openid-configuration"


class DiscoveryError(ValueError):
    """The document is not what it must be; the message says what, for logs."""


def fetch_discovery(fetcher: Fetcher, issuer: str) -> Mapping[str, object]:
    """Return the discovery document of an issuer; sends a request.

    Parameters
    ----------
    fetcher : Fetcher
        Sends the request.
    issuer : str
        Its identifier, the URL of the document without the end.

    Raises
    ------
    DiscoveryError
        It is no discovery document, or that of another issuer.
    UnreachableError
        There is no answer.
    """
    document = read_object(fetch_document(fetcher, issuer.rstrip("/") + DISCOVERY))
    if document.get("issuer") != issuer:
        raise DiscoveryError("the discovery document is of another issuer")
    return document


def fetch_document(fetcher: Fetcher, url: str) -> bytes:
    """Return a document of an issuer; raises as `fetch_discovery` does."""
    response = fetcher.get(url)
    if response.status != 200:
        raise DiscoveryError(f"{url} answers with status {response.status}")
    return response.body


def url_in(document: Mapping[str, object], name: str) -> str:
    """Return a URL that a discovery document names; raises `DiscoveryError` where it is none that tokens may travel over."""
    location = document.get(name)
    try:
        return check_url(location if isinstance(location, str) else "")
    except ValueError as error:
        raise DiscoveryError(f"{name} of the discovery document: {error}") from error


def read_object(content: bytes) -> Mapping[str, object]:
    """Read a JSON object; raises `DiscoveryError`."""
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:
        raise DiscoveryError("the document of the issuer is not JSON") from None
    if not isinstance(value, dict):
        raise DiscoveryError("the document of the issuer is not a JSON object")
    return value
