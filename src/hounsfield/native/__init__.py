"""Front door 1: the operations of the AWS HealthImaging API."""
