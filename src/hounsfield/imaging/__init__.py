"""Data stores and their image sets: the domain."""
