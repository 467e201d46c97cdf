"""Index of statements by their conditions: it chooses those that the values of a request can meet.

    statements ─▶ asks a key for values that begin in some way? ─yes─▶ by that key: beginning ─▶ statements
                                                                └no──▶ the others, which are always asked

A certain value begins with all of itself. A policy with a statement for each of a hundred wards or studies is then about as
quick as one with a single statement.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hounsfield.iam.policies.condition_context import ConditionContext
from hounsfield.iam.policies.statement import Statement


@dataclass(frozen=True, slots=True)
class _PrefixIndex:
    """Statements by what a value must begin with.

    Attributes
    ----------
    lengths : tuple of int
        Which lengths the beginnings have, the shortest first.
    statements : Mapping of str to tuple of Statement
        A statement for which several beginnings do stands with each.
    """

    lengths: tuple[int, ...]
    statements: Mapping[str, tuple[Statement, ...]]

    @classmethod
    def of(cls, statements: Mapping[str, Sequence[Statement]]) -> _PrefixIndex:
        lengths = sorted({len(prefix) for prefix in statements})
        return cls(tuple(lengths), {prefix: tuple(found) for prefix, found in statements.items()})

    def prefix(self, value: str) -> Iterator[Statement]:
        for length in self.lengths:
            if length > len(value):
                break
            yield from self.statements.get(value[:length], ())


@dataclass(frozen=True, slots=True)
class ConditionIndex:
    """Statements, ready to be chosen from.

    Attributes
    ----------
    others : tuple of Statement
        Those that have no condition of the kind that is chosen by.
    by_key : Mapping of str to _PrefixIndex
        The rest, by the condition key that they are chosen by.
    """

    others: tuple[Statement, ...]
    by_key: Mapping[str, _PrefixIndex]

    @classmethod
    def of(cls, statements: Sequence[Statement]) -> ConditionIndex:
        """Sort statements."""
        others: list[Statement] = []
        by_key: dict[str, dict[str, list[Statement]]] = defaultdict(lambda: defaultdict(list))
        for statement in statements:
            condition = next((entry for entry in statement.conditions if entry.prefixes), None)
            if condition is None:
                others.append(statement)
                continue
            for prefix in condition.prefixes:
                by_key[condition.key][prefix].append(statement)
        return cls(tuple(others), {key: _PrefixIndex.of(found) for key, found in by_key.items()})

    def candidates(self, context: ConditionContext) -> Iterator[Statement]:
        """Yield those that may be met; one may come twice."""
        yield from self.others
        for key, by_prefix in self.by_key.items():
            value = context.get(key)
            if isinstance(value, str):
                yield from by_prefix.prefix(value)
            elif value is not None:
                # Several values, or one that is not known: whatever the statements ask for may be it.
                for found in by_prefix.statements.values():
                    yield from found
