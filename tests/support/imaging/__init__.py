"""Image sets of a test server: imported, changed, read and checked."""
