"""What tests of faults share: each fault as something that is put on and taken off."""
