"""What searches must find, by plain Python."""
