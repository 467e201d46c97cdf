"""Pixel data cut into frames, native and encapsulated (PS3.5 section 8, Annex A.4)."""
