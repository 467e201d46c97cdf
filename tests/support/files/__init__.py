"""DICOM files made for tests, right and wrong."""
