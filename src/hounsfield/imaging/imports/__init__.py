"""Import jobs: listing, batches, runner, output files."""
