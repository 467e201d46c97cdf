"""Principals, authorization, and what they are decided by."""
