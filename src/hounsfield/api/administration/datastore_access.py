"""ListDatastoreAccess: what each user and role may do in a data store.

An action is ``allowed``, ``denied``, or ``conditional`` where that depends on what only a request would bring, such as a study
or an address, or on the image set. The root key may do everything and is not listed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from hounsfield.api.administration.context import Call, Context
from hounsfield.api.administration.members import Form, Member
from hounsfield.api.administration.operation import Answer, Operation, Source, on_datastore
from hounsfield.api.administration.pages import PAGE_MEMBERS, page_of
from hounsfield.api.administration.simulation import SimulatedConditionKeys
from hounsfield.api.dicomweb.operations import OPERATIONS as DICOMWEB
from hounsfield.api.healthimaging.permissions import PREFIX, names_image_set, permission_of
from hounsfield.audit.events import Json
from hounsfield.aws.protocol.errors import ValidationException
from hounsfield.aws.protocol.members import text, texts
from hounsfield.aws.protocol.model import Location, load_service
from hounsfield.iam.authorization import ContextValue, Permission, refused_resources
from hounsfield.iam.identities.identities import list_identities
from hounsfield.iam.identities.managed_policies import list_policies
from hounsfield.iam.identities.records import IdentityKind, IdentityRecord
from hounsfield.iam.policies.condition_context import UnsettledValue
from hounsfield.iam.policies.document import RESOURCE_TAG
from hounsfield.iam.simulation import SimulatedPrincipal
from hounsfield.imaging.datastores import get_datastore

ALLOWED: Final = "allowed"
CONDITIONAL: Final = "conditional"
DENIED: Final = "denied"
_ANY: Final = "*"
"""Stands for the id of whichever image set."""
_NOT_ON_IMAGE_SETS: Final = ("Store", "GetDatastore")
"""What the actions of DICOMweb begin with that are not about image sets which are there already."""


@dataclass(frozen=True, slots=True)
class _Action:
    """An action on a data store.

    Attributes
    ----------
    labels : tuple of str
        Labels of the path of its operation.
    on_image_sets : bool
        Whether it is about image sets that are there already.
    """

    labels: tuple[str, ...]
    on_image_sets: bool


@cache
def actions_on_datastores() -> Mapping[str, _Action]:
    """Return the actions on a data store and what is in it, by name: those of HealthImaging, then those of DICOMweb alone."""
    found: dict[str, _Action] = {}
    for name, operation in load_service().operations.items():
        labels = tuple(operation.input.located(Location.PATH))
        if labels:
            found[name] = _Action(labels, names_image_set(dict.fromkeys(labels, _ANY)) or name == "SearchImageSets")
    for web in DICOMWEB.values():
        name = web.action or web.name
        found.setdefault(name, _Action(("datastoreId",), not name.startswith(_NOT_ON_IMAGE_SETS)))
    return found


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked of each user and role about one data store."""

    context: Context
    datastore_id: str
    actions: Sequence[str]

    def ask(self, subject: SimulatedPrincipal) -> dict[str, Json]:
        """Return the decision on each action."""
        return {name: self._decision(subject, name) for name in self.actions}

    def _decision(self, subject: SimulatedPrincipal, name: str) -> str:
        action = actions_on_datastores()[name]
        decisions = {self._of(subject, self._on_datastore(name, action))}
        if action.on_image_sets:
            found = self._of(subject, self._on_image_sets(name, action), {RESOURCE_TAG: UnsettledValue.HOPEFUL})
            # Single image sets may be named by their ids.
            below = self.context.image_store.image_set_arn(self.datastore_id, "")
            decisions.add(CONDITIONAL if subject.names_below(PREFIX + name, below) else found)
        return next(decision for decision in (DENIED, CONDITIONAL, ALLOWED) if decision in decisions)

    def _of(
        self, subject: SimulatedPrincipal, needed: Permission, unknown: Mapping[str, ContextValue] | None = None
    ) -> str:
        for value, decision in ((UnsettledValue.CAUTIOUS, ALLOWED), (UnsettledValue.HOPEFUL, CONDITIONAL)):
            own = {**needed.context, **dict.fromkeys(unknown or (), value)}
            keys = SimulatedConditionKeys(self.context, value)
            if not refused_resources(subject.principal, replace(needed, context=own), keys):
                return decision
        return DENIED

    def _on_datastore(self, name: str, action: _Action) -> Permission:
        store = self.context.image_store
        if "resourceArn" in action.labels:
            return permission_of(name, {"resourceArn": store.datastore_arn(self.datastore_id)}, store)
        return permission_of(name, {"datastoreId": self.datastore_id}, store)

    def _on_image_sets(self, name: str, action: _Action) -> Permission:
        every = (self.context.image_store.image_set_arn(self.datastore_id, _ANY),)
        must_be_allowed = len(action.labels) > 1 or self.context.directory.is_restricted(self.datastore_id)
        return Permission(
            PREFIX + name, every if must_be_allowed else (), unless_denied=() if must_be_allowed else every
        )


def _list(context: Context, call: Call) -> Answer:
    datastore = get_datastore(context.image_store, text(call.parameters, "DatastoreId"))
    known = actions_on_datastores()
    wanted = texts(call.parameters.get("ActionNames", []))
    for name in wanted:
        if name not in known:
            raise ValidationException(f"ActionNames has {name}; it must be one of {', '.join(known)}.")
    question = _Question(context, datastore.id, wanted or tuple(known))
    managed = {record.arn: record for record in list_policies(context.repository)}
    records = [record for kind in IdentityKind for record in list_identities(context.repository, kind)]

    def shown(record: IdentityRecord) -> Json:
        decisions = question.ask(SimulatedPrincipal.of(record, managed))
        return {"Type": record.kind.value.capitalize(), "Name": record.name, "Arn": record.arn, "Decisions": decisions}

    page = page_of(call, "Principals", records, lambda record: record.name, shown, lambda one: f"{one.name} {one.kind}")
    return {**page, "Restricted": context.directory.is_restricted(datastore.id)}


OPERATIONS: Final = (
    Operation(
        "ListDatastoreAccess",
        Source.MEDICAL_IMAGING,
        "hounsfield:ListDatastoreAccess",
        on_datastore,
        (
            Member("DatastoreId", required=True, least=32, most=32),
            Member("ActionNames", Form.TEXTS, most=128),
            *PAGE_MEMBERS,
        ),
        _list,
    ),
)
