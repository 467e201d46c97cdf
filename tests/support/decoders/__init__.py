"""Public decoders, in environments of their own."""
