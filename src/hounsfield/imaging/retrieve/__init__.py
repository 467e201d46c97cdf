"""Frames and instances out again, with edits, in any transfer syntax."""
