"""Choosing, of many statements, those that the request's values can meet at all.

    statements ─▶ asks a key for certain values?           ─yes─▶ by that key: value ─▶ statements
                  └no─▶ for values that begin in some way? ─yes─▶ by that key: beginning ─▶ statements
                        └no─▶ the others, which are always asked

A policy with a statement for each of a hundred wards or studies is then as quick as one with a single statement.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hounsfield.access.policies.conditions import Condition
from hounsfield.access.policies.context import ConditionContext
from hounsfield.access.policies.statements import Statement

_Sorted = defaultdict[str, dict[str, list[Statement]]]


@dataclass(frozen=True, slots=True)
class _ByText:
    """Statements by texts that a value must begin with.

    Attributes
    ----------
    lengths : tuple of int
        Which lengths the texts have; 0 stands for texts that the value must be as a whole.
    statements : Mapping of str to tuple of Statement
        A statement for which several texts do stands with each.
    """

    lengths: tuple[int, ...]
    statements: Mapping[str, tuple[Statement, ...]]

    def of(self, value: str) -> Iterator[Statement]:
        for length in self.lengths:
            yield from self.statements.get(value[:length] if length else value, ())


@dataclass(frozen=True, slots=True)
class Selection:
    """Statements, ready to be chosen from.

    Attributes
    ----------
    others : tuple of Statement
        Those that have no condition of the kinds that are chosen by.
    by_key : tuple of (str, _ByText)
        The rest, with the condition key that they are chosen by.
    """

    others: tuple[Statement, ...]
    by_key: tuple[tuple[str, _ByText], ...]

    @classmethod
    def of(cls, statements: Sequence[Statement]) -> Selection:
        """Sort statements."""
        others: list[Statement] = []
        exact: _Sorted = defaultdict(dict)
        begun: _Sorted = defaultdict(dict)
        for statement in statements:
            for place, texts_of in ((exact, _exact_values), (begun, _beginnings)):
                found = next(((entry, texts) for entry in statement.conditions if (texts := texts_of(entry))), None)
                if found is not None:
                    condition, texts = found
                    for text in texts:
                        place[condition.key].setdefault(text, []).append(statement)
                    break
            else:
                others.append(statement)
        return cls(
            tuple(others),
            (
                *((key, _ByText((0,), _frozen(texts))) for key, texts in exact.items()),
                *((key, _ByText(_lengths(texts), _frozen(texts))) for key, texts in begun.items()),
            ),
        )

    def candidates(self, context: ConditionContext) -> Iterator[Statement]:
        """Give those that may be met; one may come twice."""
        yield from self.others
        for key, by_text in self.by_key:
            value = context.get(key)
            if isinstance(value, str):
                yield from by_text.of(value)
            elif value is not None:
                # Several values, or one that is not known: whatever the statements ask for may be it.
                for found in by_text.statements.values():
                    yield from found


def _exact_values(condition: Condition) -> tuple[str, ...]:
    return condition.exact_values


def _beginnings(condition: Condition) -> tuple[str, ...]:
    return condition.beginnings


def _lengths(texts: Iterable[str]) -> tuple[int, ...]:
    return tuple(sorted({len(text) for text in texts}))


def _frozen(texts: Mapping[str, list[Statement]]) -> Mapping[str, tuple[Statement, ...]]:
    return {text: tuple(found) for text, found in texts.items()}
