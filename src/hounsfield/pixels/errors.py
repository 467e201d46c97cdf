"""Errors of pixel data: one for the samples, one for the way they are cut into frames."""

from __future__ import annotations

from enum import Enum

from hounsfield.runtime.picklable_error import PicklableError


class PixelError(Exception):
    """Pixel data that cannot be described, decoded, encoded or verified.

    The message names sizes, attributes and transfer syntaxes, never sample values.
    """


class FrameProblem(Enum):
    """Why frames could not be cut out of pixel data (the import warnings 0xB110, 0xB111 and 0xB112)."""

    EXTRACTION = "extraction"
    NUMBER_MISMATCH = "number mismatch"
    OFFSET_TABLE = "offset table"


class FramesError(PicklableError):
    """Frames cannot be cut out of the value of the pixel data element.

    Parameters
    ----------
    problem : FrameProblem
        What is wrong.
    message : str
        The same in words.
    """

    def __init__(self, problem: FrameProblem, message: str) -> None:
        super().__init__(message)
        self.problem = problem
