"""Principals and authorization.

identities, sessions ─▶ principals ─┐
request_context ────────────────────┴─▶ authorization ─▶ policies.evaluation ─▶ allowed, or AccessDeniedError
"""
