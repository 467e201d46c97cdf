"""Choosing, of many statements, those that the request's values can meet at all.

    statements ─▶ asks a key for certain values? ─yes─▶ by that key: value ─▶ statements
                                                 └no──▶ the others, which are always asked

A policy with a statement for each of a hundred wards or studies is then as quick as one with a single statement.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hounsfield.access.policies.context import ConditionContext
from hounsfield.access.policies.statements import Statement


@dataclass(frozen=True, slots=True)
class Selection:
    """Statements, ready to be chosen from.

    Attributes
    ----------
    others : tuple of Statement
        Those that have no condition of the kind that is chosen by.
    by_key : Mapping of str to Mapping of str to tuple of Statement
        The rest by condition key and value; a statement with several values stands with each.
    """

    others: tuple[Statement, ...]
    by_key: Mapping[str, Mapping[str, tuple[Statement, ...]]]

    @classmethod
    def of(cls, statements: Sequence[Statement]) -> Selection:
        """Sort statements."""
        others: list[Statement] = []
        by_key: dict[str, dict[str, list[Statement]]] = defaultdict(lambda: defaultdict(list))
        for statement in statements:
            condition = next((entry for entry in statement.conditions if entry.exact_values), None)
            if condition is None:
                others.append(statement)
                continue
            for value in condition.exact_values:
                by_key[condition.key][value].append(statement)
        return cls(
            tuple(others),
            {key: {value: tuple(found) for value, found in values.items()} for key, values in by_key.items()},
        )

    def candidates(self, context: ConditionContext) -> Iterator[Statement]:
        """Give those that may be met; one may come twice."""
        yield from self.others
        for key, by_value in self.by_key.items():
            value = context.get(key)
            if isinstance(value, str):
                yield from by_value.get(value, ())
            elif value is not None:
                # Several values, or one that is not known: whatever the statements ask for may be it.
                for found in by_value.values():
                    yield from found
