"""The REST-JSON and query protocols of AWS, read from the service models."""
