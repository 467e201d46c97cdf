"""Web pages of other origins, deleting and capabilities, on a server that allows the first two."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import requests

from hounsfield.api.dicomweb.capabilities import MEDIA_TYPES
from hounsfield.api.dicomweb.resources import ROUTES
from hounsfield.settings import SettingsError, load_settings
from support.clients.dicomweb import get, part10, root, session, store, web_client
from support.files.synthetic import slice_of, uid
from support.servers import ServerProcess, active_datastore, wait_for

VIEWER = "https://viewer.example.org"
SERIES = f"studies/{uid(1)}/series/{uid(1, 1)}"


@pytest.fixture(scope="module")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that lets two origins call, and allows DELETE."""
    environment = {
        "HOUNSFIELD_CORS_ORIGINS": f"{VIEWER}, http://localhost:3000",
        "HOUNSFIELD_DICOMWEB_DELETE": "true",
    }
    process = ServerProcess(tmp_path_factory.mktemp("open") / "data", environment).start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def stored(open_server: ServerProcess) -> str:
    datastore_id = active_datastore(open_server.client())
    assert store(open_server, datastore_id, [part10(slice_of())]).ok
    return datastore_id


def preflight(server: ServerProcess, path: str, origin: str = VIEWER, method: str = "GET") -> requests.Response:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization,x-amz-date,x-amz-content-sha256,range",
    }
    return requests.options(f"{server.url}{path}", headers=headers, timeout=60)


@pytest.mark.parametrize("path", [f"/datastore/0/{SERIES}", "/datastore/0/imageSet/1/getImageFrame", "/datastore"])
def test_a_preflight_needs_no_signature(open_server: ServerProcess, path: str) -> None:
    for origin in (VIEWER, "http://localhost:3000"):
        answer = preflight(open_server, path, origin, "POST")
        assert answer.status_code == 200, answer.text
        assert answer.headers["access-control-allow-origin"] == origin
        assert "Origin" in answer.headers["vary"]
        assert "POST" in answer.headers["access-control-allow-methods"]
        assert "authorization" in answer.headers["access-control-allow-headers"].lower()


def test_another_origin_may_not(open_server: ServerProcess, stored: str) -> None:
    for origin in ("https://evil.example.org", f"{VIEWER}.evil.org", "null", "http://viewer.example.org"):
        answer = preflight(open_server, f"/datastore/{stored}/{SERIES}", origin)
        assert answer.status_code == 400
        assert "access-control-allow-origin" not in answer.headers
        signed = get(open_server, stored, f"{SERIES}/metadata", Origin=origin)
        assert (signed.status_code, "access-control-allow-origin" in signed.headers) == (200, False)


def test_answers_and_errors_can_be_read_by_the_page(open_server: ServerProcess, stored: str) -> None:
    paths = {f"{SERIES}/metadata": 200, "studies/9.9/metadata": 404, f"{SERIES}/rendered?quality=x": 400}
    for path, status in paths.items():
        answer = get(open_server, stored, path, Origin=VIEWER)
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == VIEWER
        assert "Origin" in answer.headers["vary"]
        assert "ETag" in answer.headers["access-control-expose-headers"]
    unsigned = requests.get(f"{root(open_server, stored)}/studies", headers={"Origin": VIEWER}, timeout=60)
    assert (unsigned.status_code, unsigned.headers["access-control-allow-origin"]) == (403, VIEWER)


def test_it_is_off_by_default(server: ServerProcess) -> None:
    answer = preflight(server, f"/datastore/0/{SERIES}")
    assert answer.status_code in {403, 405}
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("value", ["viewer.example.org", "https://a/b", "*,https://a", "ftp://a", "https://*.a.org"])
def test_what_is_not_an_origin_is_refused_at_start(value: str) -> None:
    with pytest.raises(SettingsError, match="CORS_ORIGINS"):
        load_settings({"HOUNSFIELD_CORS_ORIGINS": value})


def test_delete_is_off_by_default(server: ServerProcess, datastore: str) -> None:
    assert store(server, datastore, [part10(slice_of())]).ok
    answer = session(server).delete(f"{root(server, datastore)}/{SERIES}", timeout=60)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert get(server, datastore, f"{SERIES}/metadata").status_code == 200


def metadata(server: ServerProcess, datastore_id: str, path: str) -> list[Any]:
    answer = get(server, datastore_id, f"{path}/metadata")
    return answer.json() if answer.ok else []


def test_deleting(open_server: ServerProcess) -> None:
    client = open_server.client()
    datastore_id = active_datastore(client)
    slices = [slice_of(series=series, number=number) for series in (1, 2, 3) for number in (1, 2)]
    assert store(open_server, datastore_id, [part10(dataset) for dataset in slices]).ok
    study, web = f"studies/{uid(1)}", web_client(open_server, datastore_id)

    web.delete_instance(uid(1), uid(1, 1), uid(1, 1, 1))
    wait_for(lambda: len(metadata(open_server, datastore_id, f"{study}/series/{uid(1, 1)}")) == 1, "the removal")
    last = f"{study}/series/{uid(1, 1)}/instances/{uid(1, 1, 2)}"

    def gone() -> bool:
        answer = session(open_server).delete(f"{root(open_server, datastore_id)}/{last}", timeout=60)
        assert answer.status_code in {204, 409}, "409 while the update before it is under way"
        return answer.status_code == 204

    wait_for(gone, "the deletion of the last instance")
    assert get(open_server, datastore_id, f"{study}/series/{uid(1, 1)}/metadata").status_code == 404
    web.delete_series(uid(1), uid(1, 2))
    assert get(open_server, datastore_id, f"{study}/series/{uid(1, 2)}/metadata").status_code == 404
    assert len(metadata(open_server, datastore_id, study)) == 2
    assert [found["0020000E"]["Value"] for found in web.search_for_series(uid(1))] == [[uid(1, 3)]]
    web.delete_study(uid(1))
    assert get(open_server, datastore_id, f"{study}/metadata").status_code == 404
    assert not web.search_for_studies()
    assert not web.search_for_instances()
    assert not client.search_image_sets(datastoreId=datastore_id)["imageSetsMetadataSummaries"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("studies/9.9", 404),
        (f"studies/{uid(1)}/series/9.9", 404),
        (f"{SERIES}/instances/9.9", 404),
        (f"{SERIES}?imageSetId=abc", 400),
        ("studies", 405),
        (f"{SERIES}/metadata", 405),
    ],
)
def test_what_cannot_be_deleted(open_server: ServerProcess, stored: str, path: str, status: int) -> None:
    answer = session(open_server).delete(f"{root(open_server, stored)}/{path}", timeout=60)
    assert answer.status_code == status, answer.text
    assert metadata(open_server, stored, SERIES)


def test_deleting_needs_a_signature(open_server: ServerProcess, stored: str) -> None:
    assert requests.delete(f"{root(open_server, stored)}/{SERIES}", timeout=60).status_code == 403
    assert metadata(open_server, stored, SERIES)


def options(server: ServerProcess, datastore_id: str, accept: str | None = None) -> requests.Response:
    headers = {"Accept": accept} if accept else {}
    return session(server).options(root(server, datastore_id), headers=headers, timeout=60)


def operations_in(document: ET.Element) -> Iterator[tuple[str, str, str]]:
    space = {"w": "http://wadl.dev.java.net/2009/02"}

    def below(element: ET.Element, path: str) -> Iterator[tuple[str, str, str]]:
        for method in element.findall("w:method", space):
            yield method.attrib["name"], path, method.attrib["id"]
        for resource in element.findall("w:resource", space):
            yield from below(resource, f"{path}/{resource.attrib['path']}".lstrip("/"))

    resources = document.find("w:resources", space)
    assert resources is not None
    yield from below(resources, "")


def test_capabilities(server: ServerProcess, open_server: ServerProcess, datastore: str, stored: str) -> None:
    answer = options(open_server, stored)
    assert answer.headers["content-type"] == "application/vnd.sun.wadl+xml"
    document = ET.fromstring(answer.content)
    assert set(operations_in(document)) == set(ROUTES)
    assert document[0].attrib["base"] == f"{root(open_server, stored)}/"
    without = options(server, datastore, "application/json").json()
    told = {(each["method"], each["path"][1:], each["id"]) for each in without["operations"]}
    assert told == {route for route in ROUTES if route[0] != "DELETE"}
    assert {name for _, _, name in ROUTES} == MEDIA_TYPES.keys()


def test_capabilities_that_cannot_be_had(server: ServerProcess, datastore: str) -> None:
    assert options(server, "0" * 32).status_code == 404
    assert options(server, datastore, "text/html").status_code == 406
    assert requests.options(root(server, datastore), timeout=60).status_code == 403
