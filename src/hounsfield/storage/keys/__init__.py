"""Master keys, data keys, and what wraps them."""
