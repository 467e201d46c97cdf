"""AWS on the wire. Knows nothing of imaging."""
