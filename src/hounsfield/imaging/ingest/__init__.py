"""From a P10 file to a pack and rows."""
