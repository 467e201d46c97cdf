"""AWS Security Token Service: temporary credentials of roles."""
