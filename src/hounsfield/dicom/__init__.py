"""DICOM files and data sets as values: P10 in, level tables, the metadata document. Pure, no I/O."""
