"""The choice of the transfer syntax in which an instance or a frame is given (PS3.18 section 8.7.3).

    asked for          stored .202 or .90    .50 .91 .203 .11x    one bit, native    kept as one object
    nothing            decoded               decoded              native             as it came
    Explicit VR LE     decoded               decoded              native             406, but native values
    ``*``              as stored             as stored            native             as it came
    .202, .90          as stored or encoded  406                  406                406
    its own            as stored             as stored            native             as it came

What cannot be given raises `NotAcceptableError`. Where nothing is asked for, a frame that does not decode comes as stored,
and so does the file of an instance with such a frame: whichever it is, it is known before the first byte is given.

Samples of 32 bits are given as a codestream for ``*`` only: most decoders give wrong values of them, or none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from functools import lru_cache
from typing import Final, TypeVar

from hounsfield.dicom.io.part10 import Part10
from hounsfield.imaging.errors import NotAcceptableError
from hounsfield.imaging.pixel_description import BITS_ALLOCATED
from hounsfield.imaging.retrieve.instances import StoredInstance
from hounsfield.imaging.staged_instance import PixelKind
from hounsfield.pixels.errors import PixelError
from hounsfield.pixels.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    HTJ2K_LOSSLESS_RPCL,
    JPEG_2000_LOSSLESS,
    NATIVE,
    LosslessFormat,
)

ANY: Final = "*"
"""Asks for an instance as it is stored."""

_HTJ2K_LOSSLESS: Final = "1.2.840.10008.1.2.4.201"
LOSSLESS: Final = {form.transfer_syntax: form for form in LosslessFormat}
CODESTREAMS: Final = frozenset({*LOSSLESS, _HTJ2K_LOSSLESS})
_DEEP_BITS: Final = 32

Made = TypeVar("Made")


class PixelForm(Enum):
    """How pixel data is given."""

    NATIVE = "decoded"
    STORED = "as stored"
    ENCODED = "encoded on the way"


def stored_transfer_syntax(instance: StoredInstance) -> str:
    """Return the transfer syntax that an instance is given in when it is asked for as stored: native is Explicit VR LE."""
    return transfer_syntax_as_stored(instance.stored_transfer_syntax)


def transfer_syntax_as_stored(stored: str | None) -> str:
    """Return the transfer syntax for one that pixel data is stored in, None where there is no pixel data."""
    return EXPLICIT_VR_LITTLE_ENDIAN if stored is None or stored in NATIVE else stored


def list_transfer_syntaxes(instance: StoredInstance, bits_allocated: int | None = None) -> tuple[str, ...]:
    """List what an instance can be asked for in.

    Parameters
    ----------
    instance : StoredInstance
        The instance.
    bits_allocated : int or None
        Bits Allocated of its pixel data, where that is known: of 32 bits no codestreams are given but for `ANY`.

    Returns
    -------
    tuple of str
        Transfer syntax UIDs, the default first: only that of what is stored where frames are known not to decode. Others
        may turn out not to decode, or to be larger than a native value can be.
    """
    return _list_transfer_syntaxes(instance.pixel_kind, instance.stored_transfer_syntax, bits_allocated)


@lru_cache(maxsize=256)
def list_transfer_syntaxes_stored_first(
    kind: PixelKind, stored: str | None, bits_allocated: int | None
) -> tuple[str, ...]:
    """List what instances with pixel data of a kind can be asked for in, what they are stored in first.

    This is Available Transfer Syntax UID (0008,3002); clients that read one value of it are given what costs least.

    Parameters
    ----------
    kind : PixelKind
        How the pixel data is stored.
    stored : str or None
        Transfer syntax of what is stored; None without pixel data.
    bits_allocated : int or None
        Bits Allocated, as for `list_transfer_syntaxes`.
    """
    first = transfer_syntax_as_stored(stored)
    return tuple(sorted(_list_transfer_syntaxes(kind, stored, bits_allocated), key=lambda uid: uid != first))


def _list_transfer_syntaxes(kind: PixelKind, syntax: str | None, bits_allocated: int | None) -> tuple[str, ...]:
    stored = transfer_syntax_as_stored(syntax)
    if kind is not PixelKind.FRAMES or stored == EXPLICIT_VR_LITTLE_ENDIAN:
        return (stored,)
    if stored not in LOSSLESS:
        return (EXPLICIT_VR_LITTLE_ENDIAN, stored)
    if bits_allocated == _DEEP_BITS:
        return (EXPLICIT_VR_LITTLE_ENDIAN,)
    other = JPEG_2000_LOSSLESS if stored == HTJ2K_LOSSLESS_RPCL else HTJ2K_LOSSLESS_RPCL
    return (EXPLICIT_VR_LITTLE_ENDIAN, stored, other, _HTJ2K_LOSSLESS)


def list_frame_transfer_syntaxes(instance: StoredInstance) -> tuple[str, ...]:
    """List what single frames of an instance can be asked for in, the default first; some of them may not decode."""
    if instance.pixel_kind is PixelKind.DAMAGED:
        return tuple(dict.fromkeys((EXPLICIT_VR_LITTLE_ENDIAN, stored_transfer_syntax(instance))))
    return list_transfer_syntaxes(instance)


def choose_frame_transfer_syntax(instance: StoredInstance, asked: str | None) -> str:
    """Return in which transfer syntax frames are tried to be given first, without reading them.

    Raises
    ------
    NotAcceptableError
        They cannot be given so.
    """
    return choose_transfer_syntax(instance, asked, list_frame_transfer_syntaxes(instance))[0]


def refuse_deep_codestream(instance: StoredInstance, original: Part10, asked: str | None) -> None:
    """Raise `NotAcceptableError` where samples of 32 bits are asked for as a codestream."""
    if instance.stored_transfer_syntax not in LOSSLESS or instance.pixel_kind is not PixelKind.FRAMES:
        return
    if asked in CODESTREAMS and original.integer(BITS_ALLOCATED) == _DEEP_BITS:
        raise NotAcceptableError(
            "Samples of 32 bits are given as native pixel data, because decoders of JPEG 2000 and HTJ2K give wrong values of "
            f"them or none; ask for {EXPLICIT_VR_LITTLE_ENDIAN}, or for transfer-syntax=* to get them as stored"
        )


def make_first_possible(
    instance: StoredInstance, asked: str | None, available: Sequence[str], make: Callable[[str, PixelForm], Made]
) -> Made:
    """Make what was asked for; where nothing was, and frames do not decode, as stored."""
    syntax, form = choose_transfer_syntax(instance, asked, available)
    try:
        return make(syntax, form)
    except PixelError as error:
        if asked is None and form is PixelForm.NATIVE:
            return make(stored_transfer_syntax(instance), PixelForm.STORED)
        raise NotAcceptableError(
            f"The pixel data cannot be given in transfer syntax {syntax}: {error}. Ask for transfer-syntax=* to get it as "
            f"stored, in {stored_transfer_syntax(instance)}"
        ) from error


def choose_transfer_syntax(
    instance: StoredInstance, asked: str | None, available: Sequence[str]
) -> tuple[str, PixelForm]:
    """Choose the transfer syntax and the form of what is asked for.

    Parameters
    ----------
    instance : StoredInstance
        The instance.
    asked : str or None
        A UID, `ANY`, or None for the default.
    available : Sequence of str
        Transfer syntax UIDs that there is a choice of, the default first.

    Raises
    ------
    NotAcceptableError
        What is asked for is not available.
    """
    stored = stored_transfer_syntax(instance)
    syntax = available[0] if asked is None else stored if asked == ANY else asked
    if syntax not in available:
        raise NotAcceptableError(
            f"The instance is stored in transfer syntax {stored} and cannot be given in {_clean_uid(syntax)}; "
            f"ask for {' or '.join(available)}, or for transfer-syntax=* to get it as stored"
        )
    if syntax == stored:
        return syntax, PixelForm.STORED
    if syntax == EXPLICIT_VR_LITTLE_ENDIAN:
        return syntax, PixelForm.NATIVE
    # A codestream in RPCL order is one of those that .201 leaves the order of to the encoder.
    kept = stored == HTJ2K_LOSSLESS_RPCL and syntax == _HTJ2K_LOSSLESS
    return syntax, PixelForm.STORED if kept else PixelForm.ENCODED


def _clean_uid(syntax: str) -> str:
    """Return a transfer syntax for a message, but no other text that stood in its place."""
    return syntax if len(syntax) <= 64 and not set(syntax) - set("0123456789.") else "what is not a UID"
