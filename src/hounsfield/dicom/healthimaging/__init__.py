"""The metadata document of AWS HealthImaging."""
