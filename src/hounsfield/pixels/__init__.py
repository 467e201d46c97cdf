"""Pixel data as values: split into frames, decode, re-code to HTJ2K, verify. Pure, no I/O."""
