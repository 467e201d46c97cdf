"""A walk over all pages: by a person who may do everything, and by one who may do nothing.

The pages come from the console, so that a new one is walked over by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest
from playwright.sync_api import Page

from hounsfield.console.pages import PAGES
from support.browser.accessibility import check_accessibility
from support.browser.page_faults import PageFaults
from support.browser.pages import both_themes, check_width, narrow, send_form, settle, sign_in, widths
from support.browser.world import HOSTILE, World, make_world
from support.identities.users_and_roles import UsersAndRoles
from support.servers import ServerProcess

PLANTED: Final = "img[src='x'], script:not([src]), [onerror], [onload], [style]"
"""What is in the page only if it came out of a name."""
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
            answer = page.goto(address)
            settle(page)
            assert answer is not None
            check(path, answer.status)
            assert page.locator(PLANTED).count() == 0, page.locator(PLANTED).first.evaluate(
                "element => element.outerHTML"
            )
            faults.check()
        except AssertionError as error:
            wrong.append(f"{address}: {error}")
            faults.forget()
    assert not wrong, "\n\n".join(wrong)


def test_every_page_is_clean_whatever_it_shows(world: World, page: Page, faults: PageFaults) -> None:
    sign_in(page, world.server.key())

    def check(path: str, status: int) -> None:
        assert status == 200
        assert page.locator("h1").count() == 1
        if path in SHOWING_ALL:
            text = page.locator("main").inner_text()
            assert [hostile for hostile in HOSTILE if hostile not in text] == []
        check_accessibility(page)
        with narrow(page):
            check_width(page)

    walk(page, world, faults, check)


def test_who_may_nothing_is_told_so(world: World, nobody: tuple[str, str], page: Page, faults: PageFaults) -> None:
    sign_in(page, nobody)
    refusals = 0

    def check(path: str, status: int) -> None:
        nonlocal refusals
        text = page.locator("main").inner_text()
        if path in FOR_ALL - {"/console/datastores"}:
            assert status == 200
        else:
            assert status == 403
            assert "is not authorized to perform" in text, text
        forms = page.locator("main form").count()
        assert path in FOR_ALL or forms == 0, "something is offered that will be refused"
        assert all(hidden not in text for hidden in HOSTILE)
        refusals += status == 403
        if refusals <= 1:
            # All refusals look the same.
            check_accessibility(page)

    walk(page, world, faults, check)


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
