"""Sessions of the console: signing in by key, link or identity provider, and who is signed in."""
