"""The processes of an installation: supervisor, API processes and runner."""
