"""The fixtures of the browser see what no page may do, and a person with a keyboard."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import pytest
from playwright.sync_api import BrowserContext, Page

from support.browser.accessibility import AccessibilityOfMany, check_accessibility, press, reach, type_into
from support.browser.page_faults import PageFaults
from support.browser.pages import check_page, check_width, settle

POLICY: Final = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'"
HTML: Final = '<!doctype html><html lang="en"><title>A page</title><meta name="viewport" content="width=device-width">'
CLEAN: Final = f"""{HTML}<link rel="stylesheet" href="/style.css"><main><h1>A page</h1>
  <p><a href="#end">First</a> <button>Second</button> <label>Third <input name="third"></label></p><p id="end"></p></main>
  <script src="/script.js"></script>"""
FAULTS: Final[Mapping[str, tuple[str, list[str]]]] = {
    "inline style": ("<p style='color: red'>", ["securitypolicyviolation: style-src-attr forbids inline"]),
    "inline script": ("<script>alert(1)</script>", ["securitypolicyviolation: script-src-elem forbids inline"]),
    "inline handler": ("<img src='x' onerror='alert(1)'>", ["script-src-attr forbids inline", "status 404: GET"]),
    "error": ("<script src='/error.js'></script>", ["uncaught error: ", "planted"]),
    "console": ("<script src='/console.js'></script>", ["console error at", "planted"]),
    "dialog": ("<script src='/alert.js'></script>", ["a script asked by alert: planted"]),
    "other origin": (
        "<img src='http://127.0.0.2:1/x.png'>",
        ["request to another origin: GET http://127.0.0.2:1", "img-src forbids http://127.0.0.2:1"],
    ),
    "no script": ("<script src='/none.js'></script>", ["status 404: GET"]),
    "status": ("<script src='/ask.js'></script>", ["status 500: GET"]),
}
FILES: Final = {
    "/style.css": "a:focus, input:focus { outline: 2px solid } .wide { width: 2000px } .own { overflow-x: auto }"
    " .pale { color: #ccc }",
    "/script.js": "console.log('ready')",
    "/error.js": "throw new Error('planted')",
    "/console.js": "console.error('planted')",
    "/alert.js": "alert('planted')",
    "/ask.js": "fetch('/broken').then(() => document.body.append('asked'))",
    "/bare.css": "a:focus { outline: none }",
}


@dataclass
class Pages:
    """A server of one page and its files."""

    url: str
    body: str = CLEAN
    status: int = 200


@pytest.fixture(scope="module")
def server() -> Iterator[Pages]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/broken":
                status, kind, content = 500, "text/plain", ""
            elif self.path == "/":
                status, kind, content = pages.status, "text/html; charset=utf-8", pages.body
            else:
                content = FILES.get(self.path, "")
                status, kind = (
                    200 if self.path in FILES else 404,
                    "text/css" if "css" in self.path else "text/javascript",
                )
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Security-Policy", POLICY)
            self.send_header("Content-Length", str(len(content.encode())))
            self.end_headers()
            self.wfile.write(content.encode())

        def log_message(self, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        pages = Pages(f"http://127.0.0.1:{listening.server_port}")
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield pages
        listening.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def clean(server: Pages) -> None:
    server.body, server.status = CLEAN, 200


def test_a_clean_page_has_no_fault(server: Pages, page: Page, faults: PageFaults) -> None:
    page.goto("/")
    check_page(page)
    server.status = 403
    page.goto("/")
    faults.check()


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_fails_the_test(server: Pages, page: Page, faults: PageFaults, name: str) -> None:
    part, expected = FAULTS[name]
    server.body = CLEAN + part
    page.goto("/")
    settle(page)
    if name == "status":
        page.get_by_text("asked").wait_for()
    with pytest.raises(AssertionError) as failure:
        faults.check()
    assert [text for text in expected if text not in str(failure.value)] == []
    faults.allow("")
    faults.check()


def test_a_second_tab_is_watched(server: Pages, context: BrowserContext, faults: PageFaults) -> None:
    context.new_page().goto("/")
    server.body = CLEAN + "<script src='/console.js'></script>"
    context.new_page().goto("/")
    with pytest.raises(AssertionError, match="planted"):
        faults.check()
    faults.allow("planted")


def test_a_violation_of_accessibility_is_told(server: Pages, page: Page) -> None:
    server.body = f"{HTML}<main><h1>A page</h1><input id='bare'></main>"
    page.goto("/")
    with pytest.raises(AssertionError, match=r"label \(critical\).*\n.*#bare"):
        check_accessibility(page)


def test_a_violation_is_told_of_each_page_of_many(server: Pages, page: Page, context: BrowserContext) -> None:
    keeping = context.new_page()
    keeping.goto("/")
    accessibility = AccessibilityOfMany(keeping)
    page.goto("/")
    accessibility.check(page)
    server.body = f"{HTML}<main><h1>A page</h1><input id='bare'></main>"
    page.goto("/")
    with pytest.raises(AssertionError, match=r"/:\nlabel \(critical\).*\n.*#bare"):
        accessibility.check(page)
    server.body = CLEAN + "<p class='pale'>hardly to be read</p>"
    page.goto("/")
    with pytest.raises(AssertionError, match="color-contrast"):
        accessibility.check(page)
    server.body = CLEAN
    page.goto("/")
    accessibility.check(page)


def test_a_page_that_scrolls_sideways_is_told(server: Pages, page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 700})
    server.body = CLEAN + "<div class='own'><p class='wide'>a table</p></div>"
    page.goto("/")
    check_width(page)
    server.body = CLEAN + "<p class='wide'>a table</p>"
    page.goto("/")
    with pytest.raises(AssertionError, match=r"2\d{3} > 360.*class=.*wide"):
        check_width(page)


def test_a_keyboard_alone(server: Pages, page: Page) -> None:
    page.goto("/")
    type_into(page, page.get_by_label("Third"), "typed")
    assert page.get_by_label("Third").input_value() == "typed"
    press(page, page.get_by_role("link", name="First"))
    assert page.url.endswith("#end")
    with pytest.raises(AssertionError, match="Tab does not lead to"):
        reach(page, page.get_by_role("heading"))
    server.body = CLEAN.replace("style.css", "bare.css")
    page.goto("/")
    with pytest.raises(AssertionError, match='one does not see that this has the focus: a "First"'):
        reach(page, page.get_by_label("Third"))


def test_others_have_loops_of_their_own() -> None:
    async def one() -> int:
        return 1

    assert asyncio.run(one()) == 1
