"""Frames decoded, encoded and transcoded, without loss."""
