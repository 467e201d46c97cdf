"""Installations to back up, and their backups."""
