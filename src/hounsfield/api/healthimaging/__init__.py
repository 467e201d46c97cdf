"""The operations of AWS HealthImaging."""
