"""Clients of a test server, from boto3's signer to bytes on a socket."""
