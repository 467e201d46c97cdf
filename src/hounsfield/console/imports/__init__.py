"""Imports as pages show them: buckets to import from, roles, and what became of each file."""
