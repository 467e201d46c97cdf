"""Services that a server depends on: databases, object stores, key services, issuers of tokens."""
