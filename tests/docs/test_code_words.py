"""The code is named in the words of the field, and its docstrings begin as numpydoc has it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import hounsfield

_ROOT = Path(hounsfield.__file__).parent
_FORMER = frozenset(
    {
        "Archive",
        "AuditKeeper",
        "Authorizing",
        "Bell",
        "Beside",
        "Between",
        "BlobPlace",
        "Caller",
        "CheckedHeads",
        "Claim",
        "Commitment",
        "Concerned",
        "Counted",
        "DicomwebDoor",
        "Entrance",
        "Exactly",
        "FramePlaces",
        "FrontDoor",
        "Home",
        "KeptFrames",
        "KeptProcess",
        "KeptRights",
        "LastingThread",
        "NativeDoor",
        "NoFacts",
        "Patience",
        "PatientReceive",
        "PatientSend",
        "Pictured",
        "Pictures",
        "PipeBell",
        "Placed",
        "Placement",
        "PostgresqlBell",
        "Question",
        "Reach",
        "Relevant",
        "Remembered",
        "RequestFacts",
        "Situation",
        "Strangers",
        "StsDoor",
        "Uids",
        "Unsettled",
        "Waiting",
        "Wanted",
        "Written",
        "anchor_of",
        "begin_importing",
        "bell_of",
        "collecting_later",
        "coming_again",
        "deliver_patiently",
        "display_module",
        "explained",
        "frame_places",
        "browser_redirects",
        "keep_trying_standard_error",
        "let_in",
        "meet",
        "open_archive",
        "organise",
        "place_mark",
        "placed_tier",
        "said_of",
    }
)
"""Classes and functions of former versions that are no word of the field, or one that means something else in it."""
_FORMER_MODULES = frozenset(
    {
        "bell",
        "bodies",
        "coming_again",
        "display_module",
        "door",
        "facts",
        "browser_redirects",
        "garbage",
        "heads",
        "keeping",
        "organise",
        "patience",
        "pictures",
        "place_mark",
        "placing",
        "renditions",
        "set_content",
        "strangers",
    }
)


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(_ROOT.rglob("*.py")):
        yield path.relative_to(_ROOT), ast.parse(path.read_text())


def definitions(module: ast.Module) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(module):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def is_property(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any("property" in ast.unparse(decorator) for decorator in node.decorator_list)


def test_docstrings_say_what_is_returned() -> None:
    """``Return`` and ``Yield``, not ``Give``, ``Tell`` or ``Whether``; a property says what it is."""
    wrong = [
        f"{path}:{node.lineno} {node.name}"
        for path, module in modules()
        for node in definitions(module)
        if re.match(r"(Give|Tell)s? ", ast.get_docstring(node) or "")
        or (not is_property(node) and (ast.get_docstring(node) or "").startswith("Whether "))
    ]
    assert wrong == []


def test_modules_say_what_they_are() -> None:
    """The first sentence is a noun phrase, or an operation; it does not begin with a question word."""
    wrong = [
        str(path)
        for path, module in modules()
        if "migrations" not in path.parts
        and (
            not ast.get_docstring(module)
            or re.match(r"(What|Whether|How|Which|Who|Whom|Where|When|From) ", ast.get_docstring(module) or "")
        )
    ]
    assert wrong == []


def test_no_former_name_is_left() -> None:
    left = [
        f"{path}: {node.name}" for path, module in modules() for node in definitions(module) if node.name in _FORMER
    ]
    left += [str(path) for path, _ in modules() if path.stem in _FORMER_MODULES or set(path.parts) & _FORMER_MODULES]
    assert left == []
