"""Hounsfield: a self-hosted medical image store that speaks the AWS HealthImaging API."""
