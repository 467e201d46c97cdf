"""The table of everything the server answers, over all APIs: from method and raw path to a route, looked up once a request.

    GET /tags/arn%3Aaws%3A…  ─▶  RouteTable.find  ─▶  Match(HealthImaging, ListTagsForResource, {"resourceArn": "arn%3A…"})

The path is taken as it was sent and cut at its slashes; a label is decoded only afterwards, by its API, so that an encoded
slash stays inside its label. A word of the path may be encoded too, which means the same (RFC 3986 section 6.2.2.2). A path
that is no route's belongs to the API all of whose routes begin like it, else to the first API of the table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from starlette.types import ASGIApp

from hounsfield.audit.events import Category
from hounsfield.aws.protocol.errors import AwsError, MethodNotAllowedException, UnknownOperationException
from hounsfield.gateway.threads import Threads

if TYPE_CHECKING:
    from hounsfield.gateway.exchange import Api

_PLAIN: Final = re.compile(r"[!-$&-~]{0,4096}")
"""Paths in which there is nothing to decode and nothing too long."""

_ANY_METHOD: Final = "*"


@dataclass(frozen=True, slots=True)
class Route:
    """One operation that the server answers.

    Attributes
    ----------
    method : str
        HTTP method.
    path : str
        Template of the path, its labels in braces: ``/datastore/{datastoreId}``.
    operation : str
        Name of the operation.
    action : str
        IAM action without its prefix.
    category : Category
        Category of its audit events.
    source : str
        Service that its audit events name; empty for that of its API.
    threads : Threads or None
        Where it is run; None for a route that has an application of its own.
    quick : bool
        Whether it is a short read that may run in the event loop when all it reads is on this machine.
    streams_body : bool
        Whether the operation takes its body as it arrives, instead of whole.
    most_body_bytes : int
        Largest body.
    stores : bool
        Whether it stores what takes room, and is refused where the disk is to take no more.
    app : callable or None
        ASGI application that answers everybody, with every method, unsigned and unrecorded; None for a route of the pipeline.
    answers_head : bool
        Whether HEAD is answered as GET is, without the body.
    answers_slash : bool
        Whether the path may have a slash at its end.
    rest_is_label : bool
        Whether the label at the end of the path takes all the rest, slashes and all.
    is_chosen_by_body : bool
        Whether routes share method and path, and the body says which one is meant.
    """

    method: str
    path: str
    operation: str
    action: str = field(default="", compare=False)
    category: Category = field(default=Category.MANAGEMENT, compare=False)
    source: str = field(default="", compare=False)
    threads: Threads | None = field(default=None, compare=False, repr=False)
    quick: bool = field(default=False, compare=False)
    streams_body: bool = field(default=False, compare=False)
    most_body_bytes: int = field(default=0, compare=False)
    stores: bool = field(default=False, compare=False)
    app: ASGIApp | None = field(default=None, compare=False, repr=False)
    answers_head: bool = field(default=False, compare=False)
    answers_slash: bool = field(default=False, compare=False)
    rest_is_label: bool = field(default=False, compare=False)
    is_chosen_by_body: bool = field(default=False, compare=False)


@dataclass(slots=True)
class Match:
    """What the table has for a request.

    Attributes
    ----------
    api : Api
        Which API answers.
    route : Route or None
        The route; None where there is none.
    labels : dict of str to str
        Labels of the path by name, as they were sent.
    is_plain : bool
        Whether there is nothing to decode or to check in the labels: none is encoded, empty or very long.
    allowed : sequence of str
        Methods that the path has, where it does not have the one of the request.
    """

    api: Api
    route: Route | None
    labels: dict[str, str]
    is_plain: bool = True
    allowed: Sequence[str] = ()

    def error(self) -> AwsError:
        """Return why there is no route."""
        if self.allowed:
            names = ", ".join(self.allowed)
            return MethodNotAllowedException(f"The path of the request takes {names} only.", [("Allow", names)])
        return UnknownOperationException("No operation has the path of the request.")


@dataclass(slots=True)
class _Entry:
    """A route at the end of its path, with the names of the labels on the way."""

    api: Api
    route: Route
    labels: tuple[str, ...]


@dataclass(slots=True)
class _Node:
    """A place in the tree of paths: literal segments, a label for any segment, a label for all the rest."""

    literals: dict[str, _Node] = field(default_factory=dict)
    label: _Node | None = None
    rest: _Node | None = None
    entries: dict[str, _Entry] = field(default_factory=dict)
    allowed: list[str] = field(default_factory=list)
    apis: list[Api] = field(default_factory=list)


class RouteTable:
    """Finds the route of a request.

    Parameters
    ----------
    apis : sequence of Api
        The APIs; a path that is none's is answered by the first.
    open_routes : sequence of Route
        Routes that have applications of their own.

    Raises
    ------
    ValueError
        Two routes have the same method and path.
    """

    def __init__(self, apis: Sequence[Api], open_routes: Sequence[Route] = ()) -> None:
        self.apis: Final = tuple(apis)
        self._root = _Node()
        self.open_routes: Final = tuple(open_routes)
        for api in apis:
            for route in api.routes:
                _add(self._root, api, route)
        for route in open_routes:
            _add(self._root, apis[0], route)

    @property
    def routes(self) -> tuple[Route, ...]:
        """Everything the server answers."""
        return (*self.open_routes, *(route for api in self.apis for route in api.routes))

    def find(self, method: str, raw_path: bytes) -> Match:
        """Find the route for a method and path.

        Parameters
        ----------
        method : str
            HTTP method in capitals.
        raw_path : bytes
            Path as sent: percent-encoded, without the query string.

        Returns
        -------
        Match
            Route and labels, which are not validated yet; without a route where there is none.
        """
        path = raw_path.decode("utf-8", "replace")
        node = self._root
        last = node
        values: list[str] = []
        segments = path.split("/")
        for position, segment in enumerate(segments[1:], start=1):
            following = node.literals.get(segment)
            if following is None:
                if node.label is not None:
                    values.append(segment)
                    following = node.label
                elif node.rest is not None:
                    values.append("/".join(segments[position:]))
                    last = node = node.rest
                    break
                else:
                    following = node.literals.get(unquote(segment))
                    if following is None:
                        return Match(self._owner(node), None, {})
            last = node = following
        entry = last.entries.get(method) or last.entries.get(_ANY_METHOD)
        if entry is None or segments[0]:
            return Match(self._owner(last), None, {}, allowed=() if segments[0] else last.allowed)
        is_plain = "" not in values and _PLAIN.fullmatch(path) is not None
        return Match(entry.api, entry.route, dict(zip(entry.labels, values, strict=True)), is_plain)

    def _owner(self, node: _Node) -> Api:
        """Return the API that answers for a path of which no more than this is known."""
        return node.apis[0] if len(node.apis) == 1 else self.apis[0]


def _add(root: _Node, api: Api, route: Route) -> None:
    """Add a route to the tree."""
    node = root
    path = [root]
    labels = []
    segments = route.path.split("/")[1:]
    for position, segment in enumerate(segments, start=1):
        if not segment.startswith("{"):
            node = node.literals.setdefault(segment, _Node())
        else:
            labels.append(segment.strip("{}"))
            if position == len(segments) and route.rest_is_label:
                node.rest = node.rest or _Node()
                node = node.rest
            else:
                node.label = node.label or _Node()
                node = node.label
        path.append(node)
    entry = _Entry(api, route, tuple(labels))
    _put(node, entry)
    if route.is_chosen_by_body:
        # The path says nothing: with another method it is no path of this API.
        return
    node.allowed = sorted({*node.allowed, route.method})
    if route.answers_slash:
        path.append(node.literals.setdefault("", _Node()))
        _put(path[-1], entry)
    for passed in path:
        if api not in passed.apis:
            passed.apis.append(api)


def _put(node: _Node, entry: _Entry) -> None:
    for method in _methods(entry.route):
        if method in node.entries:
            if entry.route.is_chosen_by_body:
                continue
            raise ValueError(f"{entry.route.method} {entry.route.path} is routed twice")
        node.entries[method] = entry


def _methods(route: Route) -> Iterable[str]:
    if route.app is not None:
        return (route.method, _ANY_METHOD)
    return (route.method, "HEAD") if route.answers_head else (route.method,)
