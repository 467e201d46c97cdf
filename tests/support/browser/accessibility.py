"""What axe-core finds on a page, and a person who has only a keyboard."""

from __future__ import annotations

from typing import Any, Final

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Locator, Page

_FOCUSED: Final = """target => {
  const element = document.activeElement, style = getComputedStyle(element);
  const name = element.getAttribute("aria-label") || element.labels?.[0]?.innerText || element.innerText || element.name || "";
  return {
    text: `${element.tagName.toLowerCase()}${element.id && "#" + element.id} "${name.trim().slice(0, 60)}"`,
    place: [...document.querySelectorAll("*")].indexOf(element),
    nothing: element === document.body,
    reached: element === target,
    shown: (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none",
  };
}"""

_COPY: Final = """async text => {
  const copied = new DOMParser().parseFromString(text, "text/html").documentElement;
  document.documentElement.replaceWith(document.adoptNode(copied));
  const sheets = [...document.querySelectorAll("link[rel=stylesheet]")];
  await Promise.all(sheets.map(link => link.sheet || new Promise(done => link.onload = link.onerror = done)));
}"""
"""Shows the text of a page without running its scripts."""
_RUN: Final = "options => axe.run(options).then(result => result.violations)"
_OF_COLOURS: Final = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}


def check_accessibility(page: Page, *, only_colours: bool = False) -> None:
    """Fail with rule, selector and reason of each violation that axe-core finds, by all of its rules or those of colours."""
    _run_axe(page, page.url, {"runOnly": _OF_COLOURS} if only_colours else {})


class AccessibilityOfMany:
    """axe-core for many pages, which takes each of them longer to read than to run: a page of its own keeps it.

    What a page shows is copied there, so what only scripts know of it (a modal dialog, typed text) is not looked at.

    Parameters
    ----------
    page : playwright.sync_api.Page
        A page of the console that nobody needs.
    """

    def __init__(self, page: Page) -> None:
        self._page = page

    def check(self, page: Page) -> None:
        """Fail as `check_accessibility` does."""
        self._page.evaluate(_COPY, page.content())
        _run_axe(self._page, page.url, {})


def _run_axe(page: Page, url: str, options: dict[str, Any]) -> None:
    """Run axe-core in a page; a failure is told of an address."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    found = page.evaluate(_RUN, {"resultTypes": ["violations"], **options})
    assert not found, _told(url, found)


def _told(url: str, violations: list[dict[str, Any]]) -> str:
    lines = [f"axe-core finds on {url}:"]
    for violation in violations:
        lines.append(f"{violation['id']} ({violation['impact']}): {violation['help']}")
        for node in violation["nodes"]:
            reason = " ".join(node["failureSummary"].split())
            lines.append(f"    {node['target']}: {reason} In: {node['html'][:200]}")
    return "\n".join(lines)


def reach(page: Page, target: Locator, key: str = "Tab") -> None:
    """Press a key until an element has the focus; fail if it never gets it, or if an element on the way shows no focus."""
    passed: list[str] = []
    places: list[int] = []
    target.wait_for()
    focused = target.evaluate(_FOCUSED)
    while not focused["reached"]:
        # Once round, from wherever it begins.
        assert not places or places.count(places[-1]) < 3, f"{key} does not lead to {target}; it led to {_once(passed)}"
        page.keyboard.press(key)
        focused = target.evaluate(_FOCUSED)
        places.append(focused["place"])
        assert focused["nothing"] or focused["shown"], f"one does not see that this has the focus: {focused['text']}"
        passed.append(focused["text"])


def _once(texts: list[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def press(page: Page, target: Locator, key: str = "Enter") -> None:
    """Go to an element by Tab, and press a key there."""
    reach(page, target)
    page.keyboard.press(key)


def type_into(page: Page, target: Locator, text: str) -> None:
    """Go to a field by Tab, and type there instead of what it holds."""
    reach(page, target)
    page.keyboard.press("Control+A")
    page.keyboard.type(text)
