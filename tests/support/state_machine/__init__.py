"""The state machine that compares a data store with a model of it."""
