"""Errors of the domain, one exception per kind of response; each API translates them once."""

from __future__ import annotations


class ImagingError(Exception):
    """Base of all; the message is shown to the caller and never holds patient data."""


class InvalidRequestError(ImagingError):
    """The request breaks a rule that its shape alone does not show."""


class NotFoundError(ImagingError):
    """The data store, job, image set, version or frame is not there."""


class ConflictError(ImagingError):
    """The request does not fit the present state."""


class QuotaExceededError(ImagingError):
    """The request would go beyond a quota."""


class TooManyUnderWayError(ImagingError):
    """As much of this is under way as a quota allows; some of it will have ended soon."""


class NotAcceptableError(ImagingError):
    """What is stored cannot be given in a form the caller accepts."""


class BusyError(ImagingError):
    """What is asked for cannot be done just now, and can be soon."""
