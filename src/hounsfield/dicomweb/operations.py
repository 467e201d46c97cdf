"""Which handler carries out which DICOMweb operation."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass

from hounsfield.aws.response import WireResponse
from hounsfield.dicomweb.calls import Call
from hounsfield.dicomweb.storing import store
from hounsfield.gate.answers import StreamedResult

Answer = WireResponse | StreamedResult


@dataclass(frozen=True, slots=True)
class Operation:
    """A DICOMweb operation.

    Attributes
    ----------
    name : str
        Its name, which is that of its IAM action.
    read : callable or None
        Carries it out where it has no body; runs in a thread unless it is quick.
    take : callable or None
        Carries it out where it has a body, which it reads as it arrives.
    quick : bool
        Whether it is a short read that may run in the event loop when all it reads is on this machine.
    """

    name: str
    read: Callable[[Call], Answer] | None = None
    take: Callable[[Call, AsyncIterator[bytes]], Awaitable[Answer]] | None = None
    quick: bool = False


OPERATIONS: Mapping[str, Operation] = {
    operation.name: operation
    for operation in (
        Operation("StoreDICOM", take=store),
        Operation("StoreDICOMStudy", take=store),
    )
}
