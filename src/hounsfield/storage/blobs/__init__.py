"""Immutable objects, packs of sealed records, and their caches."""
