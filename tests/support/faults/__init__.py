"""Faults, each as something that is put on and taken off."""
