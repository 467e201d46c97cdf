"""Pages: an address, the methods it takes, and the function that answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.responses import Response

from hounsfield.console.visit import Visit


@dataclass(frozen=True, slots=True)
class Page:
    """A page.

    Attributes
    ----------
    path : str
        Template of the path, its labels in braces: ``/console/datastores/{datastore}``.
    handler : callable
        Takes the visit, gives the response; what the API refuses (`ApiError`) it may let through.
    methods : tuple of str
        HTTP methods.
    is_file : bool
        Whether it answers what is no page of the console: a file that the browser keeps, or OHIF.
    """

    path: str
    handler: Callable[[Visit], Awaitable[Response]]
    methods: tuple[str, ...] = ("GET",)
    is_file: bool = False
