"""HTJ2K decoder that reports errors.

    codestream ─▶ codec ─┬─▶ samples
                         └─▶ errors within the codestream: reported as unraisable, samples are wrong from there on

Older releases of the codec (imagecodecs before 2026.10) cannot raise errors that they meet within a codestream: Python hears of
them through ``sys.unraisablehook`` only. They are listened for here, so that a damaged frame is refused.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock, get_ident
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from hounsfield.pixels.codecs.codestream import J2kHeader, with_depth
from hounsfield.pixels.errors import PixelError

_CODEC_MODULE = "imagecodecs._htj2k"
_MOST_BITS = 32


def decode_htj2k(codestream: bytes, halvings: int = 0) -> NDArray[Any]:
    """Decode an HTJ2K codestream.

    Parameters
    ----------
    codestream : bytes
        A whole codestream without boxes, reversible, whose header has been checked.
    halvings : int
        How many of its levels to leave out: 0 for the full resolution, 1 for half of it, and so on.

    Returns
    -------
    numpy.ndarray
        Shape ``(rows, columns)`` or ``(rows, columns, components)``, of the narrowest type for its precision.

    Raises
    ------
    PixelError
        The codestream is damaged.
    """
    with _listener.reports() as reports:
        try:
            decoded = imagecodecs.htj2k_decode(codestream, planar=False, skipres=halvings or None)
        except RuntimeError as problem:
            raise PixelError(f"the HTJ2K codestream is damaged: {problem}") from problem
    if reports:
        raise PixelError(f"the HTJ2K codestream is damaged: {reports[0]}")
    return decoded


def decode_low_band(codestream: bytes, header: J2kHeader, halvings: int) -> NDArray[Any]:
    """Decode an HTJ2K codestream at a smaller resolution, limited to the range of its samples.

    At sharp edges a low band goes beyond that range, where the codec would let it wrap around: white would have black specks.
    A reversible codestream is the same whatever precision its header states, so it is decoded with two bits more.

    Parameters
    ----------
    codestream : bytes
        A whole codestream without boxes, reversible.
    header : J2kHeader
        What its header says.
    halvings : int
        How many of its levels to leave out, at least 1.

    Returns
    -------
    numpy.ndarray
        As of `decode_htj2k`; the type may be wider than the samples need.

    Raises
    ------
    PixelError
        The codestream is damaged.
    """
    samples = header.samples
    precision = min(samples.precision + 2, _MOST_BITS)
    if precision == samples.precision:
        return decode_htj2k(codestream, halvings)
    low = -(1 << samples.precision - 1) if samples.signed else 0
    decoded = decode_htj2k(with_depth(codestream, samples.components, precision, signed=samples.signed), halvings)
    # Unsigned samples are shifted down by half of their range before they are transformed, and up again by the decoder.
    shift = 0 if samples.signed else (1 << precision - 1) - (1 << samples.precision - 1)
    high = low + (1 << samples.precision) - 1
    limited: NDArray[Any] = np.clip(decoded, low + shift, high + shift)
    limited -= limited.dtype.type(shift)
    return limited


class _Listener:
    """Hears what the codec reports, for as long as some thread decodes; what others report goes its usual way."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._reports: dict[int, list[str]] = {}
        self._usual: Callable[[sys.UnraisableHookArgs], Any] | None = None

    @contextmanager
    def reports(self) -> Iterator[list[str]]:
        """Collect what is reported in this thread."""
        thread = get_ident()
        reports: list[str] = []
        with self._lock:
            if not self._reports:
                self._usual, sys.unraisablehook = sys.unraisablehook, self._listen
            self._reports[thread] = reports
        try:
            yield reports
        finally:
            with self._lock:
                del self._reports[thread]
                if not self._reports and self._usual is not None:
                    sys.unraisablehook = self._usual

    def _listen(self, report: sys.UnraisableHookArgs) -> None:
        reports = self._reports.get(get_ident())
        if reports is not None and str(report.object).startswith(_CODEC_MODULE):
            reports.append(str(report.exc_value))
        elif self._usual is not None:
            self._usual(report)


_listener = _Listener()
