"""Database tables, blobs, packs and the keys that seal them."""
