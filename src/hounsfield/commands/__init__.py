"""Groups of commands that work on an installation itself, beside its running servers."""
