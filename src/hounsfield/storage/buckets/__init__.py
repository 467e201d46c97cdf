"""Buckets that import jobs read from and write to."""
