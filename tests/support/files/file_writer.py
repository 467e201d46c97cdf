"""A writer of files that no sane software would make."""

from __future__ import annotations

import struct

LONG = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}


class Writer:
    """Writes elements and files byte by byte, right or wrong as asked."""

    uids = ("1.2.3", "1.2.3.4", "1.2.3.4.5")

    @staticmethod
    def element(
        tag: int, vr: str, value: bytes = b"", *, order: str = "<", explicit: bool = True, length: int | None = None
    ) -> bytes:
        size = len(value) if length is None else length
        head = struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF)
        if not explicit:
            return head + struct.pack(f"{order}L", size) + value
        if vr in LONG:
            return head + vr.encode() + b"\0\0" + struct.pack(f"{order}L", size) + value
        return head + vr.encode() + struct.pack(f"{order}H", size) + value

    @staticmethod
    def item(content: bytes, *, defined: bool = True, order: str = "<") -> bytes:
        head = struct.pack(f"{order}HH", 0xFFFE, 0xE000)
        if defined:
            return head + struct.pack(f"{order}L", len(content)) + content
        end = struct.pack(f"{order}HHL", 0xFFFE, 0xE00D, 0)
        return head + struct.pack(f"{order}L", 0xFFFFFFFF) + content + end

    @staticmethod
    def delimiter(order: str = "<") -> bytes:
        return struct.pack(f"{order}HHL", 0xFFFE, 0xE0DD, 0)

    def meta(self, syntax: str | None = "1.2.840.10008.1.2.1", sop_class: str = "1.2.840.10008.5.1.4.1.1.2") -> bytes:
        body = self.element(0x00020002, "UI", _even(sop_class)) + self.element(0x00020003, "UI", b"1.2.3.4.5\0")
        if syntax is not None:
            body += self.element(0x00020010, "UI", _even(syntax))
        return self.element(0x00020000, "UL", struct.pack("<L", len(body))) + body

    def file(self, data_set: bytes, syntax: str | None = "1.2.840.10008.1.2.1", *, preamble: bool = True) -> bytes:
        return (bytes(128) + b"DICM" if preamble else b"") + self.meta(syntax) + data_set

    def identity(self, *, order: str = "<", explicit: bool = True) -> dict[int, bytes]:
        """SOP, study and series UIDs, by tag, to be merged with others in tag order."""
        study, series, sop = self.uids
        values = {0x00080018: sop, 0x0020000D: study, 0x0020000E: series}
        return {tag: self.element(tag, "UI", _even(uid), order=order, explicit=explicit) for tag, uid in values.items()}

    def instance(self, *elements: tuple[int, str, bytes], syntax: str = "1.2.840.10008.1.2.1") -> bytes:
        """Explicit VR file of an instance with some elements more; the byte order follows the syntax."""
        order = ">" if syntax == "1.2.840.10008.1.2.2" else "<"
        explicit = syntax != "1.2.840.10008.1.2"
        parts = self.identity(order=order, explicit=explicit)
        for tag, vr, value in elements:
            parts[tag] = self.element(tag, vr, value, order=order, explicit=explicit)
        return self.file(b"".join(parts[tag] for tag in sorted(parts)), syntax)


def _even(text: str) -> bytes:
    raw = text.encode()
    return raw + b"\0" * (len(raw) & 1)
