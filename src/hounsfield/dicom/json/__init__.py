"""The DICOM JSON Model and the Native DICOM Model (PS3.18 Annex F, PS3.19)."""
