"""One call of DICOMweb, as its operations see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from hounsfield.api.dicomweb.content_negotiation import MediaRange, accept_text, accepted
from hounsfield.api.dicomweb.context import Context
from hounsfield.api.dicomweb.query_parameters import says_how
from hounsfield.aws.protocol.errors import ValidationException
from hounsfield.gateway.threads import CallerThreads
from hounsfield.imaging.image_set_access import ImageSetAccess
from hounsfield.imaging.retrieve.instances import StoredInstance, find_instance

LONGEST_QUERY = 64 * 1024
MOST_PARAMETERS = 512


@dataclass(frozen=True, slots=True)
class Call:
    """One request.

    Attributes
    ----------
    context : Context
        What handlers work on.
    datastore_id : str
        Which data store.
    labels : Mapping of str to str
        Decoded labels of the path, such as ``study``.
    query : sequence of (str, str)
        Query parameters in the order they were sent.
    headers : Mapping of str to str
        The request's headers by name in lower case; of several the first.
    base : str
        URL of the data store, such as ``https://host/datastore/…``, for the URLs in answers.
    access : ImageSetAccess
        What the caller may do with image sets, asked once it is known which ones the request touches.
    threads : CallerThreads
        Where what must not be waited for in the event loop is done; by the caller's turns.
    """

    context: Context
    datastore_id: str
    labels: Mapping[str, str]
    query: Sequence[tuple[str, str]]
    headers: Mapping[str, str]
    base: str
    access: ImageSetAccess = field(repr=False)
    threads: CallerThreads = field(repr=False)

    def parameter(self, name: str) -> str | None:
        """Return a query parameter that may be given once.

        Raises
        ------
        ValidationException
            It is given more than once.
        """
        values = [value for key, value in self.query if key.lower() == name.lower()]
        if len(values) > 1:
            raise ValidationException(f"The query parameter {name} may be given only once.")
        return values[0] if values else None

    def only(self, *names: str) -> None:
        """Refuse query parameters that the operation does not know.

        It always knows ``accept``, those of a presigned URL, and those that only say how an answer is wanted. Case does not
        count in their names.

        Raises
        ------
        ValidationException
            One is not known.
        """
        if not self.query:
            return
        known = {"accept", *names}
        lower = {name.lower() for name in known}
        for key, _ in self.query:
            if key.lower() not in lower and not key.startswith("X-Amz-") and not says_how(key):
                raise ValidationException(
                    f"The query parameter {key[:64]} is not known here. Known are {', '.join(sorted(known))}."
                )

    @property
    def accept_text(self) -> str:
        """What the client accepts, as it says it."""
        return accept_text(self.headers.get("accept"), self._accept_parameters)

    @property
    def accepts(self) -> Sequence[MediaRange]:
        """What the client accepts, the most preferred first."""
        return accepted(self.headers.get("accept"), self._accept_parameters)

    @property
    def _accept_parameters(self) -> list[str]:
        return [value for key, value in self.query if key.lower() == "accept"]

    @property
    def image_set_id(self) -> str | None:
        """The image set that is meant; None for the primary one."""
        return self.parameter("imageSetId")


def instance_of(call: Call) -> StoredInstance:
    """Find the instance that the path of a request names; raises `NotFoundError`."""
    labels = call.labels
    return find_instance(
        call.context.image_store,
        call.access,
        call.datastore_id,
        labels["study"],
        labels["series"],
        labels["instance"],
        call.image_set_id,
    )


def parse_query(query_string: bytes) -> list[tuple[str, str]]:
    """Read a query string.

    Raises
    ------
    ValidationException
        It is too long, has too many parameters, is not UTF-8, or has a zero character in it.
    """
    if not query_string:
        return []
    if len(query_string) > LONGEST_QUERY:
        raise ValidationException(f"The query is longer than {LONGEST_QUERY} bytes.")
    try:
        query = parse_qsl(
            query_string.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_PARAMETERS, errors="strict"
        )
    except UnicodeDecodeError:
        raise ValidationException("The query must be percent-encoded UTF-8.") from None
    except ValueError:
        raise ValidationException(f"The query may have at most {MOST_PARAMETERS} parameters.") from None
    if any("\0" in name or "\0" in value for name, value in query):
        raise ValidationException("The query must not contain the zero character (%00).")
    return query
