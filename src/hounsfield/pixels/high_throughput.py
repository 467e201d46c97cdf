"""Decoding HTJ2K without losing sight of errors.

    codestream ─▶ codec ─┬─▶ samples
                         └─▶ errors within the codestream: reported as unraisable, samples are wrong from there on

The codec cannot raise errors that it meets within a codestream: Python hears of them through ``sys.unraisablehook`` only.
They are listened for here, so that a damaged frame is refused.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, get_ident
from typing import Any

import imagecodecs
from numpy.typing import NDArray

from hounsfield.pixels.errors import PixelError

_CODEC_MODULE = "imagecodecs._htj2k"
_listening = Lock()


def decode_htj2k(codestream: bytes) -> NDArray[Any]:
    """Decode an HTJ2K codestream at full resolution.

    Parameters
    ----------
    codestream : bytes
        A whole codestream without boxes, whose header has been checked.

    Returns
    -------
    numpy.ndarray
        Shape ``(rows, columns)`` or ``(rows, columns, components)``, of the narrowest type for its precision.

    Raises
    ------
    PixelError
        The codestream is damaged.
    """
    with _codec_reports() as reports:
        decoded = imagecodecs.htj2k_decode(codestream, planar=False)
    if reports:
        raise PixelError(f"the HTJ2K codestream is damaged: {reports[0]}")
    return decoded


@contextmanager
def _codec_reports() -> Iterator[list[str]]:
    """Collect what the codec reports in this thread; what others report goes its usual way."""
    reports: list[str] = []
    thread = get_ident()
    with _listening:
        usual = sys.unraisablehook

        def listen(report: sys.UnraisableHookArgs) -> None:
            if get_ident() == thread and str(report.object).startswith(_CODEC_MODULE):
                reports.append(str(report.exc_value))
            else:
                usual(report)

        sys.unraisablehook = listen
        try:
            yield reports
        finally:
            sys.unraisablehook = usual
