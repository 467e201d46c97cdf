"""Front door 3: temporary credentials (AWS Security Token Service)."""
