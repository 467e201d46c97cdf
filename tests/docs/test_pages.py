"""The pages tell what is true: settings, operations, links."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from hounsfield.api.healthimaging.operations import HANDLERS
from hounsfield.aws.protocol.model import load_service
from hounsfield.settings import PREFIX, Settings, SettingsError, load_settings

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "SECURITY.md"]
"""Pages that are no part of the site. `make docs` checks the links of those that are."""


def test_every_setting_is_documented_with_its_default() -> None:
    rows = dict(
        re.findall(
            r"^\| `(HOUNSFIELD_\w+)` \| (\S+) \|", (ROOT / "docs/reference/settings.md").read_text(), re.MULTILINE
        )
    )
    expected = {}
    for field in fields(Settings):
        text = str(field.default).lower() if isinstance(field.default, bool) else str(field.default)
        expected[PREFIX + field.name.upper()] = f"`{text}`" if text else "–"
    assert rows == expected


def test_every_dependency_is_documented() -> None:
    declared = re.findall(r'^  "([a-z0-9-]+)[\[>=]', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    page = (ROOT / "docs/reference/dependencies.md").read_text()
    assert [name for name in declared if not re.search(rf"\b{re.escape(name)}\b", page)] == []


def test_the_readme_counts_the_operations_right() -> None:
    assert load_service().operations.keys() == HANDLERS.keys()
    assert f"All {len(HANDLERS)} HealthImaging operations are implemented" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("page", OUTSIDE, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    assert [t for t in targets if not t.startswith("http") and not (page.parent / t).exists()] == []


@pytest.mark.parametrize("page", OUTSIDE, ids=lambda page: page.name)
def test_links_to_headings_lead_to_headings(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]*)\)", page.read_text()):
        headings = re.findall(r"^#+ (.+)$", ((page.parent / target) if target else page).read_text(), re.MULTILINE)
        assert anchor in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="HOUNSFIELD_API_WORKERS is 'many'"):
        load_settings({"HOUNSFIELD_API_WORKERS": "many"})
    config = tmp_path / "h.toml"
    config.write_text('regoin = "eu-west-1"\n')
    with pytest.raises(SettingsError, match="regoin"):
        load_settings({"HOUNSFIELD_CONFIG": str(config)})


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    config = tmp_path / "h.toml"
    config.write_text('region = "eu-west-1"\naccount_id = "111122223333"\n')
    settings = load_settings({"HOUNSFIELD_CONFIG": str(config), "HOUNSFIELD_REGION": "us-west-2"})
    assert (settings.region, settings.account_id) == ("us-west-2", "111122223333")
