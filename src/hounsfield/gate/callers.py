"""Who is calling: from the headers of a request to a principal, and to a reader that proves its body.

headers ─▶ Callers.meet ─▶ Caller(principal, proven) ─▶ permission ─▶ body through Caller.reader ─▶ proven
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import Scope

from hounsfield.access.principals import Principal
from hounsfield.aws.errors import UnrecognizedClientException
from hounsfield.aws.payloads import PayloadReader, PlainPayload
from hounsfield.aws.request import Request
from hounsfield.aws.sigv4 import Verifier


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller whose headers were accepted.

    Attributes
    ----------
    principal : Principal
        Who it is.
    proven : bool
        Whether that is certain already; where it is not, only a body read to its end through `reader` makes it so, because
        the request does not state the hash of its body.
    reader : callable
        Makes the reader of the body; one reader reads one body.
    """

    principal: Principal
    proven: bool
    reader: Callable[[], PayloadReader]


@dataclass(frozen=True, slots=True)
class Callers:
    """Tells who is calling.

    Attributes
    ----------
    verifier : Verifier or None
        Checks signatures; None lets everybody in as ``root``.
    root : Principal
        Who the holder of the root key is.
    """

    verifier: Verifier | None
    root: Principal

    def meet(self, scope: Scope) -> Caller:
        """Check the headers of a request.

        Parameters
        ----------
        scope : dict
            ASGI scope of the request.

        Raises
        ------
        AwsError
            The request is not signed, or not as it must be.
        """
        if self.verifier is None:
            return Caller(self.root, proven=True, reader=PlainPayload)
        request = Request(scope["method"], scope["raw_path"], scope["query_string"], scope["headers"])
        pending = self.verifier.authenticate(request)
        if pending.session_token is not None:
            # Only temporary credentials come with a session token, and none are given out.
            raise UnrecognizedClientException("The security token included in the request is invalid.")
        return Caller(self.root, pending.signature_verified, pending.reader)
