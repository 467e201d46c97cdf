"""Names of browsers in the list of one's sessions."""

from __future__ import annotations

import pytest

from hounsfield.console.sessions.user_agents import browser_name

_WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (f"Mozilla/5.0 (X11; Linux x86_64) {_WEBKIT} Chrome/156.0.0.0 Safari/537.36", "Chrome 156, Linux"),
        (f"Mozilla/5.0 (X11; Linux x86_64) {_WEBKIT} HeadlessChrome/156.0.0.0 Safari/537.36", "Chrome 156, Linux"),
        (f"Mozilla/5.0 (Windows NT 10.0) {_WEBKIT} Chrome/156.0.0.0 Safari/537.36 Edg/156.0", "Edge 156, Windows"),
        (f"Mozilla/5.0 (Linux; Android 15) {_WEBKIT} Chrome/156.0.0.0 Mobile Safari/537.36", "Chrome 156, Android"),
        ("Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox 140, Windows"),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.1 Safari/605",
            "Safari 19, macOS",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1 Version/19.0 Mobile/15E148 Safari/604.1",
            "Safari 19, iOS",
        ),
        ("python-requests/2.32", "python-requests/2.32"),
        ("x" * 200, "x" * 40),
        ("", "unknown"),
    ],
)
def test_the_name_is_that_which_people_know(user_agent: str, name: str) -> None:
    assert browser_name(user_agent) == name
