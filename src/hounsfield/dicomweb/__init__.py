"""Front door 2: DICOMweb (PS3.18), STOW-RS, WADO-RS and QIDO-RS, at ``/datastore/<id>``."""
