"""Pages of the console in Debian's chromium, driven by Playwright."""
