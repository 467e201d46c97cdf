"""Studies as pages show them, and how they are found."""
