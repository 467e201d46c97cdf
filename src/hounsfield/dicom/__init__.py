"""DICOM files and data sets as values. Pure, no I/O.

bytes ─▶ io (P10 reader) ─▶ values (elements) ─┬─▶ healthimaging (records, levels, metadata document)
                                               └─▶ json (DICOM JSON, XML)
"""
