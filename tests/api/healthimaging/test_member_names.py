"""The member names of HealthImaging's wire format stand in the packages that read and write it, and nowhere else.

What a request says becomes values in `hounsfield.api.healthimaging`; the domain does not know how a client spells them. Its
messages may: they tell a caller what is wrong in the caller's words.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import botocore.session
import pytest
from botocore.model import ListShape, MapShape, Shape, StructureShape

import hounsfield

SOURCE = Path(hounsfield.__file__).parent

WIRE = ("api/healthimaging/", "aws/")
"""Where they belong."""

OTHERS = {
    "api/administration/": "its operations name data stores and jobs as the API does",
    "api/dicomweb/": "AWS's DICOMweb takes imageSetId and its paths have datastoreId",
    "audit/": "CloudTrail's records name parameters as the API does",
    "bootstrap/audit_tasks.py": "it makes such records for what work items do",
    "cli/": "its commands are clients of the API",
    "console/": "it is a client of the API",
    "gateway/audit_redaction.py": "it makes the parameters of such records",
    "imaging/imagesets/edit_document.py": "its messages, which a failed version keeps, name the blob that is wrong",
    "imaging/imports/output_files.py": "the manifest and the result files of an import job have AWS's format",
    "imaging/backup/pack_repair.py": "the report of what was healed, which operators read, names things as the API does",
    "imaging/rebuild/rebuilder.py": "so does the report of a rebuild",
    "imaging/verify/findings.py": "so does the report of a verification",
    "imaging/verify/scopes.py": "so does what such a report was asked about",
    "oidc/http_authorizer.py": "AWS calls an authorizer with datastoreId",
}
"""Where else, and why."""


def members(shape: Shape, seen: set[str]) -> Iterator[str]:
    """Give the members of a structure, and of all inside it."""
    if shape.name in seen:
        return
    seen.add(shape.name)
    if isinstance(shape, StructureShape):
        for name, inner in shape.members.items():
            yield name
            yield from members(inner, seen)
    elif isinstance(shape, ListShape):
        yield from members(shape.member, seen)
    elif isinstance(shape, MapShape):
        yield from members(shape.value, seen)


def member_names() -> set[str]:
    """Give the names of several words, which mean nothing else: ``imageSetId``, not ``tags``."""
    model = botocore.session.get_session().get_service_model("medical-imaging")
    found: set[str] = set()
    for name in model.operation_names:
        operation = model.operation_model(name)
        for shape in (operation.input_shape, operation.output_shape):
            if shape is not None:
                found.update(members(shape, set()))
    return {name for name in found if re.match(r"[a-z]+[A-Z0-9]", name)}


NAMES = member_names()


def texts(tree: ast.AST) -> Iterator[ast.Constant]:
    """Give the texts of a module that are not documentation."""
    documentation = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node


def found_in(path: Path) -> list[str]:
    tree = ast.parse(path.read_text())
    return [f"{path.name}:{text.lineno} {text.value}" for text in texts(tree) if text.value in NAMES]


def test_the_domain_does_not_know_the_names_of_the_wire() -> None:
    paths = {path.relative_to(SOURCE).as_posix(): path for path in SOURCE.rglob("*.py")}
    elsewhere = {name: path for name, path in paths.items() if not name.startswith((*WIRE, *OTHERS))}
    assert {name: found for name, path in elsewhere.items() if (found := found_in(path))} == {}


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_every_exception_is_still_needed(name: str) -> None:
    paths = [SOURCE / name] if name.endswith(".py") else (SOURCE / name).rglob("*.py")
    assert any(found_in(path) for path in paths)


def test_a_name_in_the_domain_is_found(tmp_path: Path) -> None:
    """A test of the test."""
    module = tmp_path / "domain.py"
    module.write_text('"""About imageSetId."""\n\nASKED = {"updatableAttributes": 1}\n')
    assert found_in(module) == ["domain.py:3 updatableAttributes"]
