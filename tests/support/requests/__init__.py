"""Requests made from botocore's service model and from the routes of the server."""
