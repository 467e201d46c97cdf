"""Key files: JSON beside the packs with what the keyring or a key service wrapped, as it is in the database.

    database ──wrapped──▶ keys/<name>.json in the place of the packs ──▶ read without the database

A file is written where it is missing, damaged, or other than the database; what is wrapped anew meanwhile is written too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import orjson

from hounsfield.storage.blobs.blobs import BlobMissingError, Blobs, write_blob

FOLDER: Final = "keys"
VERSION: Final = 1
Wrapped = TypeVar("Wrapped")


class KeyFileError(ValueError):
    """What stands beside the packs cannot be read by this version; the message says why."""


def read_key_file(
    place: Blobs,
    name: str,
    longest: int,
    own: Mapping[str, str],
    otherwise: str,
    wrapped_in: Callable[[Mapping[str, Any]], Wrapped],
) -> Wrapped:
    """Return what is wrapped in a key file.

    Parameters
    ----------
    place : Blobs
        The place of the packs.
    name : str
        Blob name of the file.
    longest : int
        How many bytes are read at most.
    own : Mapping of str to str
        Members by which the file is known, such as ``format``.
    otherwise : str
        What is to be said of a file that has others.
    wrapped_in : callable
        From all members to what is wrapped; raises KeyError, TypeError, AttributeError or ValueError where they are damaged.

    Raises
    ------
    BlobMissingError
        There is no such file.
    KeyFileError
        It is damaged, another one, or of a newer version.
    OSError
        The place cannot be reached.
    """
    data = place.read(name, 0, min(place.size(name), longest))
    try:
        content = orjson.loads(data)
        _check(content, name, own, otherwise)
        return wrapped_in(content)
    except KeyFileError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise KeyFileError(f"{name} is damaged") from error


def _check(content: Mapping[str, Any], name: str, own: Mapping[str, str], otherwise: str) -> None:
    if any(content[member] != value for member, value in own.items()):
        raise KeyFileError(f"{name} {otherwise}")
    if content["version"] != VERSION:
        raise KeyFileError(f"{name} is of version {content['version']}, this Hounsfield reads {VERSION}")


def keep_key_file(
    place: Blobs,
    name: str,
    known: Callable[[], Wrapped | None],
    read: Callable[[Blobs], Wrapped],
    content_of: Callable[[Wrapped], Mapping[str, object]],
) -> bool:
    """Make sure that a key file is as the database has it.

    Parameters
    ----------
    place : Blobs
        The place of the packs.
    name : str
        Blob name of the file.
    known : callable
        Reads what the database has; None where there is nothing, and then the file stays as it is.
    read : callable
        Reads what the file of a place has; raises as `read_key_file` does.
    content_of : callable
        From what is wrapped to all members of the file.

    Returns
    -------
    bool
        Whether it was written.

    Raises
    ------
    OSError
        The place cannot be reached.
    """
    wrapped = known()
    if wrapped is None or _has(place, read, wrapped):
        return False
    while wrapped is not None:
        written = wrapped
        content = orjson.dumps(content_of(written), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        write_blob(place, name, content)
        # Another process may have wrapped it anew meanwhile, and have written that before this was.
        wrapped = known()
        if wrapped == written:
            break
    return True


def _has(place: Blobs, read: Callable[[Blobs], Wrapped], wrapped: Wrapped) -> bool:
    try:
        return read(place) == wrapped
    except (BlobMissingError, KeyFileError):
        return False
