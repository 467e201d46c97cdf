"""The decode check: whether all frames that nobody decoded when they came do decode, known before the first one is given.

    frames ─▶ decoded one by one, the first ones held ─┬─ one does not decode ─▶ PixelError, which is remembered
                                                       └─ all do ─▶ those held, then the others, decoded once more

An answer that has begun cannot be taken back: what does not decode must be found before.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

from hounsfield.imaging.image_store import Decoding, ImageStore
from hounsfield.imaging.retrieve.instances import StoredInstance
from hounsfield.imaging.staged_instance import PixelKind
from hounsfield.pixels.errors import PixelError
from hounsfield.pixels.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, LosslessFormat

_HELD_BYTES: Final = 16 << 20
_VERIFIED: Final = frozenset({None, EXPLICIT_VR_LITTLE_ENDIAN, *(form.transfer_syntax for form in LosslessFormat)})

T = TypeVar("T")

MakeFrames = Callable[[Sequence[int]], Iterator[bytes]]
"""Makes the frames of some ordinals, in their order, as they are asked for; raises `PixelError`."""


def may_not_decode(kind: str, stored_transfer_syntax: str | None) -> bool:
    """Return whether frames of a pixel kind may turn out not to decode: those that were kept as they came."""
    return kind == PixelKind.DAMAGED or (kind == PixelKind.FRAMES and stored_transfer_syntax not in _VERIFIED)


def check_file_frames(image_store: ImageStore, instance: StoredInstance, make: MakeFrames) -> Iterator[bytes]:
    """Make all frames of an instance, every one of which decodes.

    Parameters
    ----------
    image_store : ImageStore
        Remembers which instances are known to decode, and which are known not to.
    instance : StoredInstance
        Whose frames they are.
    make : callable
        Makes them.

    Raises
    ------
    PixelError
        At least one frame does not decode.
    """
    known = image_store.decoding.get(instance.source_key)
    if known is Decoding.BROKEN:
        raise PixelError("at least one of its frames does not decode")
    ordinals = range(instance.frame_count)
    if known is Decoding.WHOLE:
        return make(ordinals)
    try:
        frames = make_ahead(make, ordinals)
    except PixelError:
        image_store.decoding.put(instance.source_key, Decoding.BROKEN)
        raise
    image_store.decoding.put(instance.source_key, Decoding.WHOLE)
    return frames


def make_ahead(make: Callable[[Sequence[T]], Iterator[bytes]], wanted: Sequence[T]) -> Iterator[bytes]:
    """Make frames, or pictures of them, before the first is given.

    Parameters
    ----------
    make : callable
        Makes some of them in their order as they are asked for; what is more than memory should hold is made a second time.
    wanted : sequence
        Which ones.

    Raises
    ------
    PixelError, NotAcceptableError
        Whatever ``make`` raises.
    """
    held: list[bytes] = []
    size = 0
    for frame in make(wanted):
        if size <= _HELD_BYTES:
            held.append(frame)
            size += len(frame)
    rest = wanted[len(held) :]
    return itertools.chain(held, make(rest)) if rest else iter(held)
