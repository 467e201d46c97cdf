"""Access to image sets: what the caller of an operation may do with those that the domain is about to touch.

    gateway ─▶ ImageSetAccess ─▶ operation of the domain, in its transaction: which image sets? ─▶ require ─▶ read, change
                                                                                     or denied  ─▶ leave these out

A request names some of the image sets that it touches. The others (siblings in a study, the primary image set of a series,
what a search finds) are known within the transaction only, and are decided there, before anything is changed or answered.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Protocol

from sqlalchemy import Connection

from hounsfield.storage.db.tag_filters import Formula


class ImageSetAccess(Protocol):
    """What one caller may do, in one request, with image sets."""

    @property
    def is_limited(self) -> bool:
        """Whether image sets may be refused at all; reads need not ask where it is not so."""
        ...

    def require(self, connection: Connection | None, datastore_id: str, image_set_ids: Collection[str]) -> None:
        """Let the operation touch image sets, all of them, and note them in the record of the request.

        Whatever changes image sets asks here, also where the access is not limited.

        Parameters
        ----------
        connection : Connection or None
            The transaction of the operation, in which tags are looked up; None for a read that has none, and needs one only
            where a policy asks for tags.
        datastore_id : str
            Their data store.
        image_set_ids : Collection of str
            The image sets. They need not exist.

        Raises
        ------
        Exception
            One is refused: the error of whoever decides, which the gateway translates.
        """
        ...

    def denied(self, connection: Connection, datastore_id: str, image_set_ids: Collection[str]) -> frozenset[str]:
        """Return the image sets that the operation has to leave out; parameters are those of `require`."""
        ...

    def visible(self, connection: Connection, datastore_id: str) -> Formula | None:
        """Return the image sets of a data store that lists may show, as what an index can find.

        Parameters
        ----------
        connection : Connection
            The transaction of the operation.
        datastore_id : str
            The data store.

        Returns
        -------
        Formula or None
            None where image sets have to be asked for one by one, by `denied`.
        """
        ...


class UnlimitedAccess:
    """The access of the service itself, which nobody limits and no record tells of."""

    @property
    def is_limited(self) -> bool:
        """False."""
        return False

    def require(self, connection: Connection | None, datastore_id: str, image_set_ids: Collection[str]) -> None:
        """Let everything pass."""

    def denied(
        self,
        connection: Connection,  # noqa: ARG002 - as in the protocol
        datastore_id: str,  # noqa: ARG002
        image_set_ids: Collection[str],  # noqa: ARG002
    ) -> frozenset[str]:
        """Leave nothing out."""
        return frozenset()

    def visible(self, connection: Connection, datastore_id: str) -> Formula | None:  # noqa: ARG002
        """Show everything."""
        return True


UNLIMITED: Final[ImageSetAccess] = UnlimitedAccess()
