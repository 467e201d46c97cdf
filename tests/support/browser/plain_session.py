"""The console by HTTP alone, as a browser without scripts asks for pages and sends forms."""

from __future__ import annotations

import re
from typing import Any

import requests

from support.servers import ServerProcess

SECONDS = 30


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
        answer = self._session.post(f"{server.url}/console/sign-in", form, timeout=SECONDS)
        token = re.search('<meta name="csrf-token" content="([0-9a-f]+)">', answer.text)
        assert token is not None, answer.text
        self._token = token[1]

    def get(self, path: str) -> requests.Response:
        """Ask for a page."""
        return self._session.get(self._url + path, timeout=SECONDS)

    def send(self, path: str, fields: Any) -> requests.Response:
        """Send a form, a mapping or pairs of names and values; the answer is not followed."""
        pairs = list(fields.items()) if isinstance(fields, dict) else list(fields)
        form = [("csrf_token", self._token), *pairs]
        return self._session.post(self._url + path, form, allow_redirects=False, timeout=SECONDS)
