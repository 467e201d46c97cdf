"""The APIs of the server: AWS HealthImaging, DICOMweb and STS."""
