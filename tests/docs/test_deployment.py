"""The systemd units and Kubernetes manifests in deploy/: valid, of our commands and settings, and without secrets."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner

from hounsfield.cli.main import cli
from hounsfield.settings import PREFIX, Settings
from support.doc_pages import ROOT, Page, codes
from support.programs import path_of_programs
from support.required_tools import required_tool

UNITS = sorted((ROOT / "deploy/systemd").iterdir())
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
MANIFESTS = sorted((ROOT / "deploy/kubernetes").iterdir())
SYSTEMD, KUBERNETES = Page.of("docs/how-to/systemd.md"), Page.of("docs/how-to/kubernetes.md")
KUBERNETES_VERSIONS = ("1.30", kubernetes_validate.latest_version())
SETTINGS = {PREFIX + field.name.upper() for field in fields(Settings)}
PROGRAM = "/opt/hounsfield/bin/hounsfield"


def values(unit: Path, name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", unit.read_text(), re.MULTILINE)


def is_command(words: list[str]) -> bool:
    # What stands before --help is parsed first.
    return CliRunner().invoke(cli, [*words, "--help"]).exit_code == 0


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_unit_runs_a_command_of_ours_by_settings_of_ours(unit: Path) -> None:
    (start,) = values(unit, "ExecStart")
    program, *words = shlex.split(start)
    assert program == PROGRAM
    assert is_command(words)
    assert {line.partition("=")[0] for line in values(unit, "Environment")} <= SETTINGS


def test_the_units_are_valid(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    required_tool(analyze is not None, "systemd-analyze is not installed")
    assert analyze is not None
    program = shutil.which("hounsfield", path=path_of_programs())
    assert program is not None
    for unit in UNITS:
        (tmp_path / unit.name).write_text(unit.read_text().replace(PROGRAM, program))
    paths = [str(tmp_path / unit.name) for unit in UNITS]
    done = subprocess.run([analyze, "verify", *paths], capture_output=True, text=True, timeout=60, check=False)
    # What other units of the machine are blamed for is not ours.
    assert [line for line in done.stderr.splitlines() if "hounsfield" in line] == []
    (tmp_path / UNITS[0].name).write_text("[Service]\nExecStart=/none/at/all\n")
    control = subprocess.run([analyze, "verify", paths[0]], capture_output=True, text=True, timeout=60, check=False)
    assert "/none/at/all" in control.stderr


def test_all_units_are_hardened_alike() -> None:
    blocks = {unit.read_text().partition("# Hardening")[2].partition("\n\n")[0].strip() for unit in SERVICES}
    assert len(blocks) == 1
    assert "NoNewPrivileges=yes" in blocks.pop()


def test_the_page_lists_all_units() -> None:
    assert [name for row in SYSTEMD.rows("unit") for name in codes(row["unit"])] == [unit.name for unit in UNITS]


def objects() -> Iterator[tuple[str, dict[str, Any]]]:
    for manifest in MANIFESTS:
        for content in yaml.safe_load_all(manifest.read_text()):
            yield f"{manifest.stem}-{content['kind']}-{content['metadata']['name']}", content


OBJECTS = dict(objects())
PODS = {
    name: content["spec"]["template"]["spec"] for name, content in OBJECTS.items() if content["kind"] == "StatefulSet"
}


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
def test_the_manifests_are_those_of_kubernetes(version: str) -> None:
    for content in OBJECTS.values():
        kubernetes_validate.validate(content, version, strict=True)


def test_a_wrong_manifest_is_noticed() -> None:
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(
            {"apiVersion": "v1", "kind": "Service", "spec": {"prots": []}}, "1.34", strict=True
        )


def test_containers_run_our_commands_by_our_settings() -> None:
    assert len(PODS) == 3
    for pod in PODS.values():
        (container,) = pod["containers"]
        assert is_command(container["args"])
        assert {entry["name"] for entry in container.get("env", ())} <= SETTINGS
    maps = [content for content in OBJECTS.values() if content["kind"] == "ConfigMap"]
    assert {name for content in maps for name in content["data"]} <= SETTINGS
    assert OBJECTS["one-machine-StatefulSet-hounsfield"]["spec"]["replicas"] == 1


def test_pods_have_no_rights() -> None:
    for pod in PODS.values():
        assert pod["securityContext"]["runAsNonRoot"]
        assert not pod["automountServiceAccountToken"]
        # HOUNSFIELD_PORT, the address of a service of this name, would look like a setting.
        assert not pod["enableServiceLinks"]
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            assert container["securityContext"]["readOnlyRootFilesystem"]
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys()


def test_selectors_find_their_pods() -> None:
    labels = [
        content["spec"]["template"]["metadata"]["labels"]
        for content in OBJECTS.values()
        if content["kind"] == "StatefulSet"
    ]
    for content in OBJECTS.values():
        spec = content.get("spec", {})
        selector = spec.get("selector", spec.get("podSelector"))
        if selector is not None:
            wanted = selector.get("matchLabels", selector)
            assert any(wanted.items() <= found.items() for found in labels), content["metadata"]["name"]


def test_the_keys_of_a_pod_are_put_there_once(tmp_path: Path) -> None:
    (keys,) = PODS["cluster-StatefulSet-hounsfield-api"]["initContainers"]
    (script,) = keys["args"]
    for folder in ("secrets", "data"):
        (tmp_path / folder).mkdir()
    for name in ("master.json", "credentials"):
        (tmp_path / "secrets" / name).write_text("first")
    here = script.replace("/data", f"{tmp_path}/data").replace("/secrets", f"{tmp_path}/secrets")
    for content in ("first", "second"):
        (tmp_path / "secrets" / "master.json").write_text(content)
        subprocess.run([*keys["command"], here], check=True, timeout=60)
        copied = tmp_path / "data/hounsfield/keys/master.json"
        assert (copied.read_text(), oct(copied.stat().st_mode & 0o777)) == ("first", "0o600")


def test_no_secret_stands_in_a_file() -> None:
    for path in (*UNITS, *MANIFESTS):
        assert not re.search(r"(PASSWORD|SECRET_ACCESS_KEY|DATABASE_URL)\s*[=:]", path.read_text()), path.name
    assert "Secret" not in {content["kind"] for content in OBJECTS.values()}


def test_what_the_pages_set_are_settings() -> None:
    for page in (SYSTEMD, KUBERNETES):
        assert set(re.findall(rf"\b{PREFIX}[A-Z_0-9]+\b", page.text)) <= SETTINGS
