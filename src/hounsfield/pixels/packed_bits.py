"""Packed samples: bits cut out of a stream, and unpacked (PS3.5 section 8.1.1, Annex D).

    byte 0           byte 1
    7 6 5 4 3 2 1 0  7 6 5 4 3 2 1 0        the first sample lies in the lowest bits
    ◀───── samples grow this way ─┘

Frames of packed samples follow each other without padding, so that a frame need not begin at a byte.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def cut_bits(data: bytes, first_bit: int, bit_count: int) -> bytes:
    """Cut bits out of a bit stream, so that the first one lies in the lowest bit of the first byte.

    Parameters
    ----------
    data : bytes
        The bytes that hold the bits.
    first_bit : int
        Where the bits begin, 0 to 7.
    bit_count : int
        How many bits are wanted.

    Returns
    -------
    bytes
        ``ceil(bit_count / 8)`` bytes; unused high bits of the last one are zero.
    """
    size = (bit_count + 7) // 8
    stream = np.frombuffer(data, np.uint8)
    bits = stream[:size].copy()
    if first_bit:
        bits >>= first_bit
        following = stream[1 : size + 1] << np.uint8(8 - first_bit)
        bits[: len(following)] |= following
    if bit_count % 8:
        bits[-1] &= (1 << bit_count % 8) - 1
    return bits.tobytes()


def unpack_bits(data: bytes, count: int) -> NDArray[np.uint8]:
    """Unpack 1-bit samples to one byte each."""
    return np.unpackbits(np.frombuffer(data, np.uint8), count=count, bitorder="little")


def unpack_twelve(data: bytes, count: int) -> NDArray[np.uint16]:
    """Unpack 12-bit samples, two of which lie in three bytes, to 16 bits each."""
    pairs = (count + 1) // 2
    stream = np.zeros(pairs * 3, np.uint16)
    used = min(len(data), pairs * 3)
    stream[:used] = np.frombuffer(data, np.uint8, used)
    samples = np.empty(pairs * 2, np.uint16)
    samples[0::2] = stream[0::3] | (stream[1::3] & 0x0F) << 8
    samples[1::2] = stream[1::3] >> 4 | stream[2::3] << 4
    return samples[:count]
