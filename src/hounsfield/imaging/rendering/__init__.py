"""Rendered frames and thumbnails."""
