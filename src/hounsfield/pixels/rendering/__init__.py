"""Stored values turned into what is shown (PS3.3 section C.11, PS3.4 Annex N)."""
