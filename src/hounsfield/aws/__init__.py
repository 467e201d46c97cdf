"""AWS on the wire: service model, REST-JSON, errors, Signature Version 4, ARNs. Knows nothing of imaging."""
