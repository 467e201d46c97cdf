"""From method and raw path to the operation.

    GET /tags/arn%3Aaws%3A…  ─▶  Router.match  ─▶  Match(ListTagsForResource, {"resourceArn": "arn:aws:…"})

The path is taken as it was sent and cut at its slashes first; only then is each label decoded, so that an encoded slash
stays inside its label. An empty segment in the place of a label is an empty label: its member's constraints refuse it, which
tells more than an unknown path. The paths of the operations form a tree of segments, built once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote

from hounsfield.aws.protocol.errors import MethodNotAllowedException, UnknownOperationException
from hounsfield.aws.protocol.model import Operation, Service


@dataclass(frozen=True, slots=True)
class Match:
    """An operation found for a request.

    Attributes
    ----------
    operation : Operation
        The operation.
    path_parameters : dict of str to str
        Decoded labels of the path by their name in the path template.
    """

    operation: Operation
    path_parameters: dict[str, str]


@dataclass(slots=True)
class _Node:
    """A place in the tree of paths: literal segments, a label for any segment, a label for all the rest."""

    literals: dict[str, _Node] = field(default_factory=dict)
    label: _Node | None = None
    rest: _Node | None = None
    routes: dict[str, _Route] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Route:
    operation: Operation
    labels: tuple[str, ...]


class Router:
    """Finds the operation a request asks for.

    Parameters
    ----------
    service : Service
        The service model, which holds the path templates.
    """

    def __init__(self, service: Service) -> None:
        self._root = _Node()
        for operation in service.operations.values():
            _add(self._root, operation)

    @property
    def operations(self) -> tuple[Operation, ...]:
        """The operations that can be found."""
        found: list[Operation] = []
        nodes = [self._root]
        while nodes:
            node = nodes.pop()
            found.extend(route.operation for route in node.routes.values())
            nodes.extend(child for child in (*node.literals.values(), node.label, node.rest) if child is not None)
        return tuple(found)

    def match(self, method: str, raw_path: bytes | str) -> Match:
        """Find the operation for a method and path.

        Parameters
        ----------
        method : str
            HTTP method in capitals.
        raw_path : bytes or str
            Path as sent: percent-encoded, without the query string.

        Returns
        -------
        Match
            Operation and decoded path parameters, which are not validated yet.

        Raises
        ------
        UnknownOperationException
            No operation has this path.
        MethodNotAllowedException
            The path exists with other methods; they are in the ``Allow`` header.
        """
        path = raw_path.decode("utf-8", "replace") if isinstance(raw_path, bytes) else raw_path
        node, values = self._walk(path)
        if node is None or not node.routes:
            raise UnknownOperationException("No operation of this service has the path of the request.")
        route = node.routes.get(method)
        if route is None:
            allowed = ", ".join(sorted(node.routes))
            raise MethodNotAllowedException(f"The path of the request takes {allowed} only.", [("Allow", allowed)])
        return Match(route.operation, dict(zip(route.labels, values, strict=True)))

    def _walk(self, path: str) -> tuple[_Node | None, list[str]]:
        node = self._root
        values: list[str] = []
        segments = path.split("/")
        if segments[0]:
            return None, values
        for position, segment in enumerate(segments[1:], start=1):
            literal = node.literals.get(segment)
            if literal is not None:
                node = literal
            elif node.label is not None:
                values.append(unquote(segment))
                node = node.label
            elif node.rest is not None:
                values.append(unquote("/".join(segments[position:])))
                return node.rest, values
            else:
                return None, values
        return node, values


def _add(root: _Node, operation: Operation) -> None:
    segments = operation.uri.split("/")[1:]
    path_members = {member.wire_name: member for member in operation.input.members.values()}
    labels = []
    node = root
    for position, segment in enumerate(segments, start=1):
        if not segment.startswith("{"):
            node = node.literals.setdefault(segment, _Node())
            continue
        label = segment.strip("{}")
        labels.append(label)
        # Clients encode the slash inside an ARN, people at a command line do not. A label at the end whose values
        # have slashes therefore takes all the rest.
        if position == len(segments) and "/" in (path_members[label].shape.pattern or ""):
            node.rest = node.rest or _Node()
            node = node.rest
        else:
            node.label = node.label or _Node()
            node = node.label
    node.routes[operation.method] = _Route(operation, tuple(labels))
