"""Exceptions that go from process to process: every class of the package, and those of codecs."""

from __future__ import annotations

import importlib
import inspect
import pickle
import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_type_hints

import imagecodecs
import pytest
from starlette.responses import Response

import hounsfield
from hounsfield.iam.throttling import Rate
from hounsfield.pixels.errors import FrameProblem
from hounsfield.runtime.picklable_error import make_picklable
from hounsfield.storage.blobs.packs import Damage, PackDamagedError
from hounsfield.storage.free_space import DiskTrouble
from hounsfield.storage.keys.data_key import KeyUnavailableError
from hounsfield.storage.keys.data_key_cache import KeyNotCachedError

SAMPLES: dict[Any, Any] = {
    str: "what is wrong",
    int: 407,
    bool: True,
    Damage: Damage("0" * 32, "1" * 32, "frame 2 at byte 72 was changed", "2" * 24),
    DiskTrouble: DiskTrouble.FULL,
    FrameProblem: FrameProblem.OFFSET_TABLE,
    Rate: Rate(5.0, 10),
    Response: Response("no", 403, {"allow": "GET"}),
    Hashable: ("pack", 72),
    frozenset[int]: frozenset({1, 4}),
    Sequence[tuple[str, str]]: (("Allow", "GET"),),
    Callable[[], object]: list,
}
"""A value for each type that a constructor of an exception takes."""

DEFINITION = re.compile(r"^ *class \w+\([^)]*(Error|Exception|Mismatch)\b", re.MULTILINE)


def _classes(found: type[BaseException]) -> Iterator[type[BaseException]]:
    for below in found.__subclasses__():
        if below.__module__.startswith("hounsfield."):
            yield below
        yield from _classes(below)


def _instance(kind: type[BaseException]) -> BaseException:
    maker = next(entry for entry in kind.__mro__ if "__init__" in vars(entry))
    if not maker.__module__.startswith("hounsfield."):
        return kind("what is wrong")
    hints = get_type_hints(maker.__init__, {**vars(inspect.getmodule(maker)), "Response": Response})
    parameters = list(inspect.signature(kind).parameters.values())
    values = {parameter.name: SAMPLES[hints[parameter.name]] for parameter in parameters}
    named = {parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}
    given = [value for name, value in values.items() if name not in named]
    return kind(*given, **{name: values[name] for name in named})


def _said(error: BaseException) -> tuple[object, ...]:
    attributes = {name: value for name, value in vars(error).items() if name != "fetch"}
    shown = {
        name: (value.status_code, value.body, value.raw_headers) if isinstance(value, Response) else value
        for name, value in attributes.items()
    }
    return type(error), str(error), error.args if "fetch" not in vars(error) else (), shown


def test_every_exception_says_the_same_after_pickling() -> None:
    root = Path(hounsfield.__file__).parent
    for file in root.rglob("*.py"):
        if DEFINITION.search(file.read_text()):
            importlib.import_module(".".join(("hounsfield", *file.relative_to(root).with_suffix("").parts)))
    kinds = set(_classes(BaseException))
    assert len(kinds) > 120
    for kind in kinds:
        error = _instance(kind)
        assert _said(pickle.loads(pickle.dumps(error))) == _said(error), kind


def test_a_key_is_fetched_only_where_it_was_asked_for() -> None:
    error = pickle.loads(pickle.dumps(KeyNotCachedError(list)))
    with pytest.raises(KeyUnavailableError):
        error.fetch()


def test_errors_of_codecs_become_picklable() -> None:
    for name in (
        "DeflateError",
        "DicomrleError",
        "Htj2kError",
        "Jpeg2kError",
        "Jpeg8Error",
        "JpeglsError",
        "JpegxlError",
    ):
        error = getattr(imagecodecs, name)("decode", -1)
        again = pickle.loads(pickle.dumps(make_picklable(error)))
        assert str(error) in str(again)
    assert isinstance(make_picklable(PackDamagedError(SAMPLES[Damage])), PackDamagedError)
