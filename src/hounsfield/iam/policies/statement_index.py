"""Index of statements by action and resource, with a cache for those that repeat.

    policies · action ─▶ find_statements ─▶ ActionStatements ─on(resource)─▶ MatchingStatements

Resources that are named by the same statements share one `MatchingStatements`: there are few, however many the resources.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from hounsfield.iam.policies.condition import Effect
from hounsfield.iam.policies.condition_index import ConditionIndex
from hounsfield.iam.policies.document import RESOURCE_TAG, Policy
from hounsfield.iam.policies.statement import Statement
from hounsfield.iam.policies.wildcards import ANY

_MOST_ACTIONS: Final = 8_192
_MOST_RESOURCES: Final = 16_384
_MOST_SHARED: Final = 64


@dataclass(frozen=True, slots=True, eq=False)
class MatchingStatements:
    """The statements that are about an action and may be about a resource.

    Attributes
    ----------
    denying, allowing : ConditionIndex
        By their effect.
    same_everywhere : bool
        Whether the resource makes no difference to them beyond that: none asks for its tags, none names it by a variable.
    """

    denying: ConditionIndex
    allowing: ConditionIndex
    same_everywhere: bool


@dataclass(frozen=True, slots=True, eq=False)
class ActionStatements:
    """The statements that are about an action.

    Attributes
    ----------
    statements : tuple of Statement
        All of them.
    """

    statements: tuple[Statement, ...]
    _shared: dict[tuple[bool, ...], MatchingStatements] = field(default_factory=dict, init=False, repr=False)

    def on(self, resource: str) -> MatchingStatements:
        """Return those that may concern a resource, by its ARN or ``*``."""
        return _on(self, resource)

    def denies_below(self, prefix: str) -> bool:
        """Return whether one may deny a resource whose ARN begins in some way, and not every resource alike."""
        return _denies_below(self, prefix)

    def of(self, effect: Effect) -> tuple[Statement, ...]:
        """Return those with an effect."""
        return tuple(statement for statement in self.statements if statement.effect is effect)

    def _find(self, resource: str) -> MatchingStatements:
        named = tuple(statement.may_concern(resource) for statement in self.statements)
        kept = self._shared.get(named)
        if kept is not None:
            return kept
        found = [statement for statement, meant in zip(self.statements, named, strict=True) if meant]
        concerned = MatchingStatements(
            denying=ConditionIndex.of([statement for statement in found if statement.effect is Effect.DENY]),
            allowing=ConditionIndex.of([statement for statement in found if statement.effect is Effect.ALLOW]),
            same_everywhere=not any(_depends_on_resource(statement) for statement in found),
        )
        if len(self._shared) < _MOST_SHARED:
            self._shared[named] = concerned
        return concerned


def _depends_on_resource(statement: Statement) -> bool:
    templates = statement.resources is not None and statement.resources.templates
    return bool(templates) or any(key.startswith(RESOURCE_TAG) for key in statement.keys)


@lru_cache(maxsize=_MOST_ACTIONS)
def _denies_below(found: ActionStatements, prefix: str) -> bool:
    return any(_tells_apart_below(statement, prefix) for statement in found.of(Effect.DENY))


def _tells_apart_below(statement: Statement, prefix: str) -> bool:
    resources = statement.resources
    if resources is None or (resources.everything and not resources.negated):
        return _depends_on_resource(statement)
    if resources.negated or resources.templates:
        return True
    named = (*resources.names, *(f"{pattern.prefix}{ANY}" for pattern in resources.patterns))
    return any(_may_share_prefix(name, prefix) for name in named)


def _may_share_prefix(name: str, prefix: str) -> bool:
    """Return whether something that begins so may be a name, which may end with a wildcard."""
    if name.endswith(ANY):
        return name[:-1].startswith(prefix) or prefix.startswith(name[:-1])
    return name.startswith(prefix)


@lru_cache(maxsize=_MOST_RESOURCES)
def _on(found: ActionStatements, resource: str) -> MatchingStatements:
    return found._find(resource)  # noqa: SLF001 - the cached half of `ActionStatements.on`


@lru_cache(maxsize=_MOST_ACTIONS)
def find_statements(policies: tuple[Policy, ...], action: str) -> ActionStatements:
    """Return the statements of some policies that are about an action, such as ``medical-imaging:GetImageFrame``.

    Upper and lower case of the action do not matter.
    """
    lower = action.lower()
    return ActionStatements(
        tuple(statement for policy in policies for statement in policy.statements if statement.actions.include(lower))
    )
