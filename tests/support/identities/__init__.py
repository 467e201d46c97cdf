"""Users, roles and sessions of a test server."""
