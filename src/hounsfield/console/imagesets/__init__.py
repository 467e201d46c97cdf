"""Image sets as pages show them: their versions and metadata, what is typed to change them, how they are found."""
