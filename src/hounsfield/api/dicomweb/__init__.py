"""DICOMweb: STOW-RS, WADO-RS, QIDO-RS and deletion (PS3.18)."""
