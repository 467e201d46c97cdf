"""Computed tomography of a torso that nobody has: 200 slices with organs, the same bytes on every machine."""
