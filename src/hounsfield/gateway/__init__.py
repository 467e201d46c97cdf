"""The gateway, which all APIs share: pipeline, limits, timeouts, authentication, CORS, audit record, errors."""
