"""Content types of image frames (GetImageFrame), and whether a client accepts them."""

from __future__ import annotations

from hounsfield.imaging.errors import NotAcceptableError
from hounsfield.imaging.retrieve.image_frame import StoredImageFrame

OCTET_STREAM = "application/octet-stream"

_PREFIX = "1.2.840.10008.1.2."
_BY_TRANSFER_SYNTAX = {
    _PREFIX + suffix: kind
    for kind, suffixes in {
        OCTET_STREAM: ("1",),
        "image/jpeg": ("4.50",),
        "image/j2c": ("4.90", "4.91"),
        "video/mpeg": ("4.100", "4.100.1", "4.101", "4.101.1"),
        "video/mp4": (
            "4.102",
            "4.102.1",
            "4.103",
            "4.103.1",
            "4.104",
            "4.104.1",
            "4.105",
            "4.105.1",
            "4.106",
            "4.106.1",
        ),
        "video/H256": ("4.107", "4.108"),
        "image/jph": ("4.202",),
        "image/jphc": ("4.203",),
        "image/jxl": ("4.110", "4.111", "4.112"),
    }.items()
    for suffix in suffixes
}


def media_type(frame: StoredImageFrame) -> str:
    """Return the content type of a stored frame."""
    if not frame.is_frame:
        return OCTET_STREAM
    return frame_media_type(frame.stored_transfer_syntax)


def frame_media_type(transfer_syntax: str) -> str:
    """Return the content type of a frame that is stored in a transfer syntax."""
    return _BY_TRANSFER_SYNTAX.get(transfer_syntax, OCTET_STREAM)


def acceptable(kind: str, accept: str | None) -> None:
    """Check a content type against an Accept header (RFC 9110 section 12.5.1, quality 0 excludes).

    Raises
    ------
    NotAcceptableError
        The header excludes the type.
    """
    if accept is None or not accept.strip():
        return
    main = kind.partition("/")[0]
    for entry in accept.split(","):
        offered, *options = (part.strip().lower() for part in entry.split(";"))
        refused = any(option.replace(" ", "") in {"q=0", "q=0.0", "q=0.00", "q=0.000"} for option in options)
        if offered in {"*/*", f"{main}/*", kind.lower()} and not refused:
            return
    raise NotAcceptableError(f"The image frame is stored as {kind}, which the Accept header does not allow.")
