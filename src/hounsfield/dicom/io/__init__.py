"""DICOM P10 files and data sets, read and written (PS3.5, PS3.10)."""
