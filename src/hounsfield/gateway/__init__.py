"""What all APIs share: dispatch, limits, timeouts, authentication, CORS, audit record, errors."""
