"""The console by HTTP alone, as a browser without scripts asks for pages and sends forms."""

from __future__ import annotations

import html
import re
from typing import Any

import requests

from support.servers import ServerProcess

SECONDS = 60


def csrf_token(page: requests.Response) -> str:
    """Return the token that forms of a page send."""
    found = re.search('<meta name="csrf-token" content="([0-9a-f]+)">', page.text)
    assert found is not None, page.text
    return found[1]


def words(answer: requests.Response) -> str:
    """Return the text of an answer with single blanks, its characters as people read them."""
    return " ".join(html.unescape(answer.text).split())


class PlainSession:
    """Somebody who is signed in.

    Parameters
    ----------
    server : ServerProcess
        The server.
    key : tuple of str
        Access key and its secret.
    """

    def __init__(self, server: ServerProcess, key: tuple[str, str]) -> None:
        self._url = server.url
        self._session = requests.Session()
        form = {"access_key_id": key[0], "secret_access_key": key[1]}
        self._token = csrf_token(self._session.post(f"{server.url}/console/sign-in", form, timeout=SECONDS))

    def get(self, path: str, **how: Any) -> requests.Response:
        """Ask for a page; ``how`` is of `requests.Session.get`."""
        return self._session.get(self._url + path, timeout=SECONDS, **how)

    def send(self, path: str, fields: Any) -> requests.Response:
        """Send a form, a mapping or pairs of names and values; the answer is not followed."""
        pairs = list(fields.items()) if isinstance(fields, dict) else list(fields)
        form = [("csrf_token", self._token), *pairs]
        return self._session.post(self._url + path, form, allow_redirects=False, timeout=SECONDS)
