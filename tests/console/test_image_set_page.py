"""The pages of an image set, by HTTP as a browser asks for them."""

from __future__ import annotations

from typing import Any, Final

import pytest
import requests

from support.clients.dicomweb import part10, store
from support.files.synthetic import slice_of
from support.imaging.imports import image_sets
from support.servers import ServerProcess, active_datastore

HOSTILE: Final = "<script>alert(1)</script>\"'&"


@pytest.fixture(scope="module")
def browser(server: ServerProcess) -> requests.Session:
    key = server.key()
    opened = requests.Session()
    form = {"access_key_id": key[0], "secret_access_key": key[1]}
    opened.post(f"{server.url}/console/sign-in", form, timeout=30)
    return opened


@pytest.fixture(scope="module")
def datastore_id(server: ServerProcess, client: Any) -> str:
    made = active_datastore(client)
    files = [part10(slice_of(1, number, SeriesDescription=HOSTILE)) for number in (1, 2)]
    assert store(server, made, files).status_code == 200
    return made


@pytest.fixture(scope="module")
def address(server: ServerProcess, client: Any, datastore_id: str) -> str:
    (found,) = image_sets(client, datastore_id)
    return f"{server.url}/console/datastores/{datastore_id}/imagesets/{found['imageSetId']}"


def test_the_first_page_says_what_an_image_set_is(browser: requests.Session, address: str) -> None:
    page = browser.get(address, timeout=30)
    assert page.status_code == 200
    assert "ACTIVE" in page.text
    assert "Version 1, the latest" in page.text


def test_what_is_not_there_is_said_in_words(browser: requests.Session, address: str) -> None:
    missing = browser.get(f"{address}?version=7", timeout=30)
    assert missing.status_code == 404
    assert "has no version 7" in missing.text
    other = browser.get(address[:-32] + "0" * 32, timeout=30)
    assert other.status_code == 404
    assert "does not exist" in other.text
