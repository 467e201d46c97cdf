"""Files received by STOW-RS, committed in groups."""
