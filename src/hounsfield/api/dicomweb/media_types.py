"""Media types of pixel data by transfer syntax, and back (PS3.18 Table 8.7.3-5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hounsfield.api.dicomweb.content_negotiation import OCTET_STREAM, MediaRange

STORED = "*"

_PREFIX = "1.2.840.10008.1.2"
_SYNTAXES = {
    OCTET_STREAM: (".1", "", ".2", ".1.99"),
    "image/jpeg": (".4.50", ".4.51", ".4.57", ".4.70"),
    "image/jls": (".4.80", ".4.81"),
    "image/dicom-rle": (".5",),
    "image/jp2": (".4.90", ".4.91"),
    "image/jpx": (".4.92", ".4.93"),
    "image/jphc": (".4.202", ".4.201", ".4.203"),
    "image/jxl": (".4.112", ".4.110", ".4.111"),
    "video/mpeg": (".4.100", ".4.100.1", ".4.101", ".4.101.1"),
    "video/mp4": (
        ".4.102",
        ".4.102.1",
        ".4.103",
        ".4.103.1",
        ".4.104",
        ".4.104.1",
        ".4.105",
        ".4.105.1",
        ".4.106",
        ".4.106.1",
    ),
    "video/H265": (".4.107", ".4.108"),
}
_KINDS = {_PREFIX + suffix: kind for kind, suffixes in _SYNTAXES.items() for suffix in suffixes}


def media_type(transfer_syntax: str) -> str:
    """Return the media type of pixel data in a transfer syntax."""
    return _KINDS.get(transfer_syntax, OCTET_STREAM)


def syntaxes_of(entry: MediaRange, available: Sequence[str], stored: str) -> Iterator[str | None]:
    """Return the transfer syntaxes that a media range asks frames in, the most likely first.

    Parameters
    ----------
    entry : MediaRange
        One range of the Accept header.
    available : sequence of str
        Syntaxes that the frames can be had in, the default first.
    stored : str
        The syntax that they are stored in.

    Yields
    ------
    str or None
        None for the default, `STORED` for whatever is stored, or a UID.
    """
    wanted, kind = entry.transfer_syntax, entry.part_kind
    if wanted is not None:
        # Octets are what every syntax is made of; a named image type must be that of the syntax.
        if kind == OCTET_STREAM or entry.covers(media_type(stored if wanted == STORED else wanted)):
            yield wanted
    elif kind == "*/*":
        yield from (None, *available)
    elif kind == OCTET_STREAM:
        yield from (None, *(uid for uid in available if media_type(uid) == OCTET_STREAM))
    else:
        yield from (uid for uid in available if entry.covers(media_type(uid)))
