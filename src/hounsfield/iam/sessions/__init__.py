"""Temporary credentials of roles."""
