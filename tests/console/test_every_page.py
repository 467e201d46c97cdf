"""A walk over all pages: by a person who may do everything, and by one who may do nothing.

The pages come from the console, so that a new one is walked over by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest
from playwright.sync_api import Page

from hounsfield.console.pages import PAGES
from support.browser.accessibility import AccessibilityOfMany, check_accessibility
from support.browser.page_faults import PageFaults
from support.browser.pages import (
    both_themes,
    check_width,
    narrow,
    open_page,
    send_form,
    settle,
    sign_in,
    sign_in_by_form,
    widths,
)
from support.browser.world import HOSTILE, World, make_world
from support.identities.users_and_roles import UsersAndRoles
from support.servers import ServerProcess

PLANTED: Final = "img[src='x'], script:not([src]), [onerror], [onload], [style]"
"""What is in the page only if it came out of a name."""
LOOK_FOR: Final = """([text, planted]) => {
  const copied = new DOMParser().parseFromString(text, "text/html"), main = copied.querySelector("main");
  return {
    text: main.textContent, forms: main.querySelectorAll("form").length, planted: copied.querySelectorAll(planted).length,
  };
}"""
"""Gives what the text of a page offers, without running its scripts."""
FOR_ALL: Final = {"/console/attributes", "/console/datastores", "/console/session", "/console/start"}
"""Pages that need no permission."""
SHOWING_ALL: Final = {"/console/datastores/{datastore}/studies", "/console/datastores/{datastore}/imagesets"}
"""Pages that show every hostile text as it is."""


@pytest.fixture(scope="module")
def world(server: ServerProcess) -> World:
    return make_world(server)


@pytest.fixture(scope="module")
def nobody(users: UsersAndRoles) -> tuple[str, str]:
    """The key of a user without any permission."""
    return users.some_user()


def walk(
    page: Page, world: World, faults: PageFaults, check: Callable[[str, int], None], *, with_queries: bool = False
) -> None:
    """Open each page and check it, with its path and its status; fail at the end with what was wrong on all of them."""
    wrong = []
    for path, address in world.addresses(with_queries=with_queries):
        try:
            answer = open_page(page, address)
            assert answer is not None
            check(path, answer.status)
            planted = page.evaluate("selector => document.querySelector(selector)?.outerHTML", PLANTED)
            assert planted is None, planted
            faults.check()
        except AssertionError as error:
            wrong.append(f"{address}: {error}")
            faults.forget()
    assert not wrong, "\n\n".join(wrong)


def test_every_page_is_clean_whatever_it_shows(world: World, page: Page, faults: PageFaults) -> None:
    sign_in_by_form(page, world.server.key())
    wide = page.context.new_page()
    wide.goto("/console/")
    accessibility = AccessibilityOfMany(wide)

    def check(path: str, status: int) -> None:
        assert status == 200
        assert page.evaluate("document.querySelectorAll('h1').length") == 1
        if path in SHOWING_ALL:
            text = page.locator("main").inner_text()
            assert [hostile for hostile in HOSTILE if hostile not in text] == []
        check_width(page)
        accessibility.check(page)

    with narrow(page):
        walk(page, world, faults, check)


def test_who_may_nothing_is_told_so(world: World, nobody: tuple[str, str], page: Page) -> None:
    sign_in(page, nobody)
    refused = []
    for path, address in world.addresses(with_queries=False):
        answer = page.request.get(address)
        shown = page.evaluate(LOOK_FOR, [answer.text(), PLANTED])
        if path in FOR_ALL - {"/console/datastores"}:
            assert answer.status == 200
            open_page(page, address)
        else:
            refused.append(address)
            assert answer.status == 403, path
            assert "is not authorized to perform" in shown["text"], shown["text"]
        assert path in FOR_ALL or shown["forms"] == 0, f"{path}: something is offered that will be refused"
        assert all(hidden not in shown["text"] for hidden in HOSTILE), path
        assert shown["planted"] == 0, path
    # All refusals look the same.
    open_page(page, refused[0])
    check_accessibility(page)


def test_who_may_nothing_changes_nothing(world: World, nobody: tuple[str, str], page: Page) -> None:
    sign_in(page, nobody)
    for one in PAGES:
        if "POST" in one.methods:
            answer = send_form(page, world.address(one.path), {})
            assert answer.status in {400, 403, 404}, f"{one.path}: {answer.status} {answer.text()[:300]}"
            without = page.request.post(world.address(one.path), form={}, max_redirects=0)
            assert without.status == 403, f"{one.path} without a CSRF token: {without.status}"


@pytest.mark.slow
def test_every_page_at_every_width_in_both_themes(world: World, page: Page, faults: PageFaults) -> None:
    sign_in(page, world.server.key())

    def check(_path: str, _status: int) -> None:
        for _ in both_themes(page):
            for _ in widths(page):
                settle(page)
                check_width(page)
                check_accessibility(page)

    walk(page, world, faults, check, with_queries=True)
